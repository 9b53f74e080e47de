//! Similar rows: against all cosines in f64, over several blocks of rows.

use std::ops::ControlFlow;

use probe::Matrix;
use probe::similarity::duplicates::{
    Found, Group, Outcome, Pair, Search, groups, groups_against, search, suggest,
};
use probe::similarity::{Near, Nearest, Neighbor, Rows, nearest};

/// Rows in a block.
const BLOCK: usize = 2048;

/// Unit vectors of a fixed irregular sequence; every fifth one is the same.
fn rows(count: usize, width: usize) -> Matrix {
    let value = |i: usize| {
        let (row, column) = (i / width, i % width);
        let row = if row.is_multiple_of(5) { 0 } else { row };
        ((row * 31 + column * 17) as f32 * 0.61).sin()
    };
    let mut rows = Matrix::new((0..count * width).map(value).collect(), width);
    rows.normalize();
    rows
}

#[test]
fn neighbors_are_those_of_all_cosines_in_f64() {
    // more than one block on both sides
    let (queries, bank) = (rows(BLOCK + 3, 6), rows(BLOCK + 40, 6));
    let itself: Vec<_> = (0..queries.len()).map(Some).collect();
    let near = Near { queries: &queries, bank: &bank, count: 4, itself: &itself };
    let found = nearest(near, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    for query in [0, 1, 5, 777, BLOCK - 1, BLOCK, BLOCK + 2] {
        let of_query = &queries.values[query * 6..][..6];
        let cosine = |row: usize| -> f64 {
            let row = &bank.values[row * 6..][..6];
            row.iter().zip(of_query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let mut all: Vec<usize> = (0..bank.len()).filter(|row| *row != query).collect();
        all.sort_by(|a, b| cosine(*b).total_cmp(&cosine(*a)).then(a.cmp(b)));
        assert_eq!(found[query].len(), 4);
        for (found, row) in found[query].iter().zip(all) {
            assert!((f64::from(found.cosine) - cosine(row)).abs() < 1e-6, "{query}");
        }
    }
    let places: Vec<usize> = found[5].iter().map(|neighbor| neighbor.row).collect();
    assert_eq!(places, [0, 10, 15, 20], "equal ones in order, the query itself not among them");
}

/// Rows so alike that rounding to bf16 changes their order, wide enough for products in bf16.
#[test]
fn neighbors_are_exact_where_rounding_could_hide_them() {
    let width = 48;
    let value = |i: usize| {
        let (row, column) = (i / width, i % width);
        (column as f32 * 0.3).cos() + 0.02 * ((row * 31 + column * 17) as f32 * 0.61).sin()
    };
    let mut bank = Matrix::new((0..5000 * width).map(value).collect(), width);
    bank.normalize();
    let queries = Matrix::new(bank.values[..70 * width].to_vec(), width);
    let near = Near { queries: &queries, bank: &bank, count: 20, itself: &[] };
    let found = nearest(near, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    for (query, found) in queries.rows().zip(found) {
        let cosine = |row: &[f32]| -> f64 {
            row.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let mut all: Vec<f64> = bank.rows().map(cosine).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        for (found, expected) in found.iter().zip(all) {
            assert!((f64::from(found.cosine) - expected).abs() < 3e-7, "{found:?} for {expected}");
        }
    }
}

#[test]
fn a_bank_in_pieces_gives_the_bits_of_a_whole_one() {
    let (queries, bank) = (rows(100, 24), rows(3000, 24));
    let near = Near { queries: &queries, bank: &bank, count: 7, itself: &[] };
    let whole = nearest(near, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    let mut pieces = Nearest::new(&queries, 7, &[]);
    for piece in [0..1, 1..1200, 1200..1263, 1263..3000] {
        let added = pieces.add(&bank, piece, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(added.is_continue());
    }
    assert_eq!(pieces.found(), whole);
}

#[test]
fn a_small_bank_gives_what_it_has_and_a_stop_gives_nothing() {
    let (queries, bank) = (rows(2, 3), rows(3, 3));
    let near = Near { queries: &queries, bank: &bank, count: 9, itself: &[] };
    let found = nearest(near, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    assert!(found.iter().all(|of| of.len() == 3));
    let none = Near { count: 0, ..near };
    let found = nearest(none, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    assert!(found.iter().all(Vec::is_empty));
    assert!(nearest(near, &mut |_, _| ControlFlow::Break(())).unwrap().is_none());
}

/// Unit vectors of a fixed irregular sequence; row 7 is that of row 3, and the last row that of row 10.
fn distinct(count: usize) -> Matrix {
    let value = |i: usize| {
        let row = match i / 6 {
            7 => 3,
            row if row + 1 == count => 10,
            row => row,
        };
        ((row * row * 7 + row * 31 + (i % 6) * 17) as f32 * 0.61).sin()
    };
    let mut rows = Matrix::new((0..count * 6).map(value).collect(), 6);
    rows.normalize();
    rows
}

fn cosine(a: &Matrix, i: usize, b: &Matrix, j: usize) -> f64 {
    let (a, b) = (&a.values[i * 6..][..6], &b.values[j * 6..][..6]);
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn run(what: Search<'_>) -> Outcome {
    search(what, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

#[test]
fn pairs_and_nearest_rows_are_those_of_all_cosines_in_f64() {
    let (rows, others) = (distinct(BLOCK + 50), distinct(BLOCK + 9));
    for against in [None, Some(&others)] {
        let against_rows = against.map(|others| others as &dyn Rows);
        let what = Search { rows: &rows, against: against_rows, threshold: 0.9, most: usize::MAX };
        let Outcome::Done(found) = run(what) else { panic!("it goes through") };
        let bank = against.unwrap_or(&rows);
        let (mut expected, mut close) = (Vec::new(), 0);
        for i in 0..rows.len() {
            let from = if against.is_none() { i + 1 } else { 0 };
            for j in from..bank.len() {
                let cosine = cosine(&rows, i, bank, j);
                // A pair at the threshold may be on either side of it.
                close += usize::from((cosine - 0.9).abs() < 1e-6);
                if cosine >= 0.9 {
                    expected.push((i, j));
                }
            }
        }
        assert!(expected.len() > 1000 && found.pairs.len().abs_diff(expected.len()) <= close);
        if close == 0 {
            let pairs: Vec<_> = found.pairs.iter().map(|pair| (pair.left, pair.right)).collect();
            assert_eq!(pairs, expected);
        }
        for i in [0, 3, 7, 10, BLOCK - 1, BLOCK, rows.len() - 1] {
            let others = (0..bank.len()).filter(|j| against.is_some() || *j != i);
            let best = others.map(|j| cosine(&rows, i, bank, j)).fold(-1.0, f64::max);
            let near = found.nearest[i].expect("a neighbor");
            assert!((f64::from(near.cosine) - best).abs() < 1e-6, "{i}");
        }
        if against.is_none() {
            let near = |row: usize| found.nearest[row].expect("a neighbor").row;
            assert_eq!((near(3), near(7), near(10)), (7, 3, rows.len() - 1));
        }
    }
}

#[test]
fn too_many_pairs_and_a_stop_are_no_result() {
    let rows = distinct(100);
    let what = Search { rows: &rows, against: None, threshold: -1.0, most: 1000 };
    assert_eq!(run(what), Outcome::TooMany);
    let stopped = search(what, &mut |_, _| ControlFlow::Break(())).unwrap();
    assert_eq!(stopped, Outcome::TooMany, "4950 pairs are too many before the first report");
    let stopped = search(Search { threshold: 2.0, ..what }, &mut |_, _| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap(), Outcome::Stopped);
    let one = Matrix::new(vec![1.0; 6], 6);
    let Outcome::Done(found) = run(Search { rows: &one, ..what }) else { panic!("one row") };
    assert_eq!((found.pairs, found.nearest), (vec![], vec![None]));
}

#[test]
fn a_threshold_is_a_fifth_of_the_median_distance_and_equal_rows_are_above_it() {
    let go_on = &mut |_: usize, _: usize| ControlFlow::Continue(());
    let rows = distinct(300);
    let nearest = (0..300).map(|i| {
        let others = (0..300).filter(|j| *j != i);
        others.map(|j| cosine(&rows, i, &rows, j)).fold(-1.0, f64::max)
    });
    let mut nearest: Vec<f64> = nearest.collect();
    nearest.sort_by(f64::total_cmp);
    let median = (nearest[149] + nearest[150]) / 2.0;
    let found = suggest(&rows, None, go_on).unwrap().unwrap();
    assert!((f64::from(found) - (1.0 - (1.0 - median) / 5.0)).abs() < 1e-6, "{found}");
    // against itself every row finds itself
    let same = suggest(&rows, Some(&rows), go_on).unwrap().unwrap();
    assert!(same < 1.0 && same > 0.999_998, "{same}");
    let one = Matrix::new(vec![1.0; 6], 6);
    assert!(suggest(&one, None, go_on).unwrap().unwrap() < 1.0);
}

fn pair(left: usize, right: usize) -> Pair {
    Pair { left, right, cosine: 0.99 }
}

#[test]
fn no_two_kept_rows_are_near_duplicates_and_each_dropped_one_has_a_kept_one() {
    // a chain, a triangle and a pair
    let pairs =
        [pair(0, 1), pair(1, 2), pair(2, 3), pair(5, 6), pair(5, 7), pair(6, 7), pair(8, 9)];
    let found = groups(&pairs, |_| 0);
    let shown = |groups: &[Group]| -> Vec<(usize, Vec<usize>)> {
        let rows = |group: &Group| group.dropped.iter().map(|other| other.row).collect();
        groups.iter().map(|group| (group.kept, rows(group))).collect()
    };
    assert_eq!(shown(&found), [(0, vec![1]), (2, vec![3]), (5, vec![6, 7]), (8, vec![9])]);
    let larger = groups(&pairs, |row| u64::from(row == 1 || row == 7));
    assert_eq!(shown(&larger), [(1, vec![0, 2]), (7, vec![5, 6]), (8, vec![9])]);
    assert_eq!(groups(&[], |_| 0), []);
}

#[test]
fn leaks_are_grouped_by_the_row_that_they_are_most_similar_to() {
    let near = |row, cosine| Some(Neighbor { row, cosine });
    let nearest = vec![near(4, 0.99), near(2, 0.5), near(4, 0.98), None, near(0, 0.97)];
    let found = Found { pairs: Vec::new(), nearest };
    let groups = groups_against(&found, 0.97);
    let kept: Vec<usize> = groups.iter().map(|group| group.kept).collect();
    assert_eq!(kept, [0, 4]);
    let rows: Vec<usize> = groups[1].dropped.iter().map(|other| other.row).collect();
    assert_eq!(rows, [0, 2]);
}
