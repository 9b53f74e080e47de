use proptest::prelude::*;

use super::*;
use crate::testing::*;

/// The definition of gather: the list of rows that are taken.
fn taken(sequences: &Layout) -> Vec<usize> {
    sequences.spans().iter().flat_map(|span| span.first..span.first + span.rows).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gather_takes_the_rows_and_scatter_is_its_transpose(
        groups in prop::collection::vec((0usize..4, 1usize..6), 0..4),
        keep in prop::collection::vec(any::<bool>(), 16), width in 1usize..5, only_cls: bool,
    ) {
        let all = Layout::packed(&groups);
        let kept = all.filter(|i| keep[i]);
        let kept = if only_cls { kept.cls() } else { kept };
        let matrix = random_tensor(1, &[all.rows(), width]);
        let out = gather(&matrix, &kept);
        let rows = taken(&kept);
        let expected: Vec<f32> =
            rows.iter().flat_map(|i| matrix.host()[i * width..][..width].to_vec()).collect();
        assert_eq!(out.shape(), [rows.len(), width]);
        assert_eq!(out.host()[..], expected);

        let (from, before) = (random_tensor(2, out.shape()), random_tensor(3, matrix.shape()));
        let mut to = before.clone();
        scatter_add(&from, &kept, &mut to);
        let mut expected = before.host().to_vec();
        for (at, i) in rows.iter().enumerate() {
            (0..width).for_each(|j| expected[i * width + j] += from.host()[at * width + j]);
        }
        assert_eq!(to.host()[..], expected[..]);
    }
}

/// Backward is the other one: they are transposes.
#[test]
fn concat_puts_rows_one_after_the_other_and_split_takes_them_apart() {
    for rows in [0, 2, 5] {
        let (a, b) = (random_tensor(1, &[rows, 3]), random_tensor(2, &[4, 3]));
        let both = concat(&a, &b);
        assert_eq!(both.shape(), [rows + 4, 3]);
        assert_eq!(both.host(), [a.host(), b.host()].concat());
        let (first, second) = split(&both, rows);
        assert_eq!((first.shape(), second.shape()), (a.shape(), b.shape()));
        assert_eq!((first.host(), second.host()), (a.host(), b.host()));
    }
}

#[test]
fn threads_give_equal_bits() {
    let kept = Layout::packed(&[(40, 7)]).filter(|i| i % 3 != 0);
    let matrix = random_tensor(4, &[280, 5]);
    assert_threads_agree(|| {
        let out = gather(&matrix, &kept);
        let mut to = matrix.clone();
        scatter_add(&out, &kept, &mut to);
        [out.host(), to.host()].concat()
    });
}

#[test]
#[should_panic(expected = "rows to scatter")]
fn rows_without_a_place_are_refused() {
    let sequences = Layout::packed(&[(1, 2)]);
    scatter_add(&Tensor::zeros(&[3, 1]), &sequences, &mut Tensor::zeros(&[4, 1]));
}

#[test]
#[should_panic]
fn a_matrix_that_ends_early_is_refused() {
    gather(&Tensor::zeros(&[3, 1]), &Layout::packed(&[(2, 2)]));
}
