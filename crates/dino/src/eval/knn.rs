//! Weighted k-nearest-neighbor classification by DINO's protocol.
//!
//! ```text
//! votes(x)[c] = Σ exp(cos(x, t) / T)   over the k training rows t most similar to x with label c
//! ```
//!
//! Rows are unit vectors; equal similarities are ranked by the lower training index, equal votes by
//! the lower class. Accuracies are top-1 and top-min(5, k), in percent.
//!
//! As in the official code, all classes are ranked, those without a vote last. So where fewer than
//! five classes get votes, top-5 also counts classes that nobody voted for (here the lowest ones;
//! which ones is undefined there), and with five classes or fewer it is 100 % from `k = 5` on.
//! There are never more neighbors than training rows: a larger `k` is lowered, and [`Score::k`] is
//! the one that was used.
//!
//! Source: `eval_knn.py` of DINO; Wu et al., arXiv:1805.01978.

use engine::matmul::{Mat, MatMut, Product, matmul};
use engine::pool::Buffer;
use rayon::prelude::*;
use serde::Serialize;

/// Labelled unit vectors, `[n, d]`.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// Row-major numbers.
    pub rows: Vec<f32>,
    /// Width of a row.
    pub width: usize,
    /// One label for each row.
    pub labels: Vec<u32>,
}

/// Accuracy for one number of neighbors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Neighbors that voted: what was asked for, or all training rows if they are fewer.
    pub k: usize,
    /// Percent.
    pub top1: f64,
    /// Percent.
    pub top5: f64,
}

/// Queries whose similarities are held at once, by each thread.
const CHUNK: usize = 64;

impl Labelled {
    /// Scales every row to unit length, in f64.
    pub fn normalize(&mut self) {
        for row in self.rows.chunks_exact_mut(self.width) {
            let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            let scale = 1.0 / norm.max(1e-12);
            row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
    }
}

/// The votes of each test row for each number of neighbors: `[ks, tests, classes]`.
pub fn votes(
    train: &Labelled,
    test: &[f32],
    ks: &[usize],
    temperature: f64,
    classes: usize,
) -> Vec<Vec<f64>> {
    votes_of(train, test, ks, temperature, classes, false)
}

/// The same; with `own`, test row `i` is training row `i` and has no vote for itself.
fn votes_of(
    train: &Labelled,
    test: &[f32],
    ks: &[usize],
    temperature: f64,
    classes: usize,
    own: bool,
) -> Vec<Vec<f64>> {
    let (n, d) = (train.labels.len(), train.width);
    let most = ks.iter().copied().max().unwrap_or(0).min(n - usize::from(own).min(n));
    let bank = Mat::new(&train.rows, n, d);
    let chunks: Vec<Vec<Vec<f64>>> = test
        .par_chunks(CHUNK * d)
        .enumerate()
        .map(|(chunk, queries)| {
            let count = queries.len() / d;
            let mut similarities = Buffer::take(count * n);
            let out = MatMut::new(&mut similarities, count, n);
            matmul(out, Mat::new(queries, count, d), bank.t(), Product::ONE);
            let mut votes = vec![vec![0.0; count * classes]; ks.len()];
            for (i, row) in similarities.chunks_exact_mut(n).enumerate() {
                if own {
                    row[chunk * CHUNK + i] = f32::NEG_INFINITY;
                }
                let near = nearest(row, most);
                for (votes, &k) in votes.iter_mut().zip(ks) {
                    for &j in &near[..k.min(most)] {
                        let weight = (f64::from(row[j as usize]) / temperature).exp();
                        votes[i * classes + train.labels[j as usize] as usize] += weight;
                    }
                }
            }
            votes
        })
        .collect();
    let join = |i: usize| chunks.iter().flat_map(|votes| votes[i].iter().copied()).collect();
    (0..ks.len()).map(join).collect()
}

/// Indices of the `k` largest similarities, largest first.
fn nearest(similarities: &[f32], k: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..similarities.len() as u32).collect();
    let by_rank = |&a: &u32, &b: &u32| {
        similarities[b as usize].total_cmp(&similarities[a as usize]).then(a.cmp(&b))
    };
    if k > 0 && k < order.len() {
        order.select_nth_unstable_by(k - 1, by_rank);
        order.truncate(k);
    }
    order.sort_unstable_by(by_rank);
    order
}

/// Classes from best to worst.
fn ranking(votes: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..votes.len()).collect();
    order.sort_by(|&a, &b| votes[b].total_cmp(&votes[a]).then(a.cmp(&b)));
    order
}

/// Accuracies on a test set for each number of neighbors.
pub fn classify(train: &Labelled, test: &Labelled, ks: &[usize], temperature: f64) -> Vec<Score> {
    let ks: Vec<usize> = ks.iter().map(|&k| k.min(train.labels.len())).collect();
    let labels = train.labels.iter().chain(&test.labels);
    let classes = labels.max().map_or(0, |&label| label as usize + 1);
    let votes = votes(train, &test.rows, &ks, temperature, classes);
    let score = |(&k, votes): (&usize, Vec<f64>)| {
        let (mut top1, mut top5) = (0usize, 0usize);
        for (votes, &label) in votes.chunks_exact(classes.max(1)).zip(&test.labels) {
            let rank = ranking(votes);
            top1 += usize::from(rank.first() == Some(&(label as usize)));
            top5 += usize::from(rank.iter().take(k.min(5)).any(|&class| class == label as usize));
        }
        let percent = |hits: usize| 100.0 * hits as f64 / test.labels.len().max(1) as f64;
        Score { k, top1: percent(top1), top5: percent(top5) }
    };
    ks.iter().zip(votes).map(score).collect()
}

/// Whether each row is classified rightly by its `k` nearest other rows.
pub fn leave_one_out(rows: &Labelled, k: usize, temperature: f64) -> Vec<bool> {
    let classes = rows.labels.iter().max().map_or(0, |&label| label as usize + 1);
    hits(&votes_of(rows, &rows.rows, &[k], temperature, classes, true)[0], &rows.labels, classes)
}

/// Whether each test row is classified rightly by its `k` nearest training rows.
pub fn right(train: &Labelled, test: &Labelled, k: usize, temperature: f64) -> Vec<bool> {
    let labels = train.labels.iter().chain(&test.labels);
    let classes = labels.max().map_or(0, |&label| label as usize + 1);
    hits(&votes(train, &test.rows, &[k], temperature, classes)[0], &test.labels, classes)
}

fn hits(votes: &[f64], labels: &[u32], classes: usize) -> Vec<bool> {
    let hit = |(votes, &label): (&[f64], &u32)| {
        let label = label as usize;
        ranking(votes).first() == Some(&label) && votes[label] > 0.0
    };
    votes.chunks_exact(classes.max(1)).zip(labels).map(hit).collect()
}

/// The score that a summary shows: k = 20, else the largest k.
pub fn headline(scores: &[Score]) -> Option<&Score> {
    scores.iter().find(|score| score.k == 20).or_else(|| scores.iter().max_by_key(|s| s.k))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_a_vote_come_last_and_count_as_in_the_official_code() {
        let train =
            Labelled { rows: vec![1.0, 0.0, 0.8, 0.6, 0.6, 0.8], width: 2, labels: vec![3, 3, 2] };
        let test = Labelled { rows: [1.0, 0.0].repeat(7), width: 2, labels: (0..7).collect() };
        let score = classify(&train, &test, &[3], 0.07)[0];
        // The ranking of seven classes is 3, 2, 0, 1, 4, 5, 6, of which the first min(5, k) count.
        assert!((score.top1 - 100.0 / 7.0).abs() < 1e-9, "{score:?}");
        assert!((score.top5 - 300.0 / 7.0).abs() < 1e-9, "{score:?}");
    }

    #[test]
    fn the_k_that_was_used_is_reported() {
        let rows = vec![1.0, 0.0, 0.8, 0.6];
        let train = Labelled { rows, width: 2, labels: vec![0, 1] };
        let used: Vec<_> =
            classify(&train, &train, &[1, 2, 1000], 0.07).iter().map(|score| score.k).collect();
        assert_eq!(used, [1, 2, 2]);
    }

    #[test]
    fn no_row_votes_for_itself() {
        let rows = vec![1.0, 0.0, 0.8, 0.6, 0.6, 0.8, 0.0, 1.0];
        let rows = Labelled { rows, width: 2, labels: vec![0, 1, 1, 1] };
        assert_eq!(leave_one_out(&rows, 1, 0.07), [false, true, true, true]);
        assert_eq!(right(&rows, &rows, 1, 0.07), [true; 4]);
        let alone = Labelled { rows: vec![1.0, 0.0], width: 2, labels: vec![0] };
        assert_eq!(leave_one_out(&alone, 20, 0.07), [false]);
    }
}
