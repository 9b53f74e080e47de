//! `Knn` classifies images by their k nearest neighbors among frozen features, by DINO's protocol.
//!
//! ```text
//! votes(x)[c] = Σ exp(cos(x, t) / T)   over the k training rows t most similar to x with label c
//! ```
//!
//! Rows are unit vectors. Equal similarities are ranked by the lower training index, equal votes by the
//! lower class. Accuracies are top-1 and top-min(5, k), in percent.
//!
//! As in the official code, all classes are ranked, those without a vote last. If fewer than five classes
//! get votes, top-5 therefore counts classes that nobody voted for (here the lowest ones; the official
//! code does not define which). With five classes or fewer it is 100 % from `k = 5` on.
//! There are never more neighbors than training rows: a larger `k` is lowered, and [`Accuracy::k`] is the
//! one that was used.
//!
//! Source: `eval_knn.py` of DINO; Wu et al., arXiv:1805.01978.

use engine::matmul::{Mat, MatMut, Product, matmul};
use engine::pool::Buffer;
use rayon::prelude::*;

use crate::definition::{Features, Probe, Score, Scores, Size};
use crate::error::Stopped;
use crate::progress::Progress;
use crate::source::{Kind, Wanted};

/// The value of k that a summary shows.
const HEADLINE: usize = 20;
/// Queries whose similarities each thread holds at once.
const CHUNK: usize = 64;

/// Weighted k-NN on unit \[CLS\] tokens.
#[derive(Debug, Clone)]
pub struct Knn {
    settings: Settings,
}

/// How neighbors vote.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Numbers of neighbors that vote, k.
    pub k: Vec<usize>,
    /// Temperature of the votes, above 0: a neighbor of cosine c votes with the weight
    /// exp(c / temperature).
    pub temperature: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { k: vec![10, 20], temperature: 0.07 }
    }
}

/// Accuracy for one number of neighbors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// Neighbors that voted: the number that was asked for, or that of all training rows if it is smaller.
    pub k: usize,
    /// Percent.
    pub top1: f64,
    /// Percent.
    pub top5: f64,
}

impl Knn {
    /// k-NN with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Probe for Knn {
    fn name(&self) -> &'static str {
        "knn"
    }

    fn title(&self) -> &'static str {
        "k-NN"
    }

    fn wants(&self) -> Wanted {
        Wanted { kind: Kind::Cls, unit: true }
    }

    /// One sentence for each `k` above the number of images that vote.
    fn warnings(&self, train: usize) -> Vec<String> {
        let too_many = self.settings.k.iter().filter(|k| **k > train);
        let sentence = |k: &usize| {
            format!("k-NN with k = {k} uses k = {train}, because only {train} images vote")
        };
        too_many.map(sentence).collect()
    }

    fn flops(&self, Size { train, test, width, .. }: Size) -> f64 {
        2.0 * width as f64 * train as f64 * test as f64
    }

    fn score(
        &self,
        train: &Features,
        test: &Features,
        _: &mut Progress<'_>,
    ) -> Result<Vec<Scores>, Stopped> {
        let Settings { k, temperature } = &self.settings;
        let accuracies = classify(train, test, k, *temperature);
        Ok(accuracies.into_iter().map(Scores::from).collect())
    }

    /// k = 20, else the largest k.
    fn headline<'a>(&self, scores: &'a [Scores]) -> Option<&'a Scores> {
        let k = |scores: &&Scores| scores.setting.map_or(0, |(_, k)| k);
        scores.iter().find(|scores| k(scores) == HEADLINE).or_else(|| scores.iter().max_by_key(k))
    }
}

impl From<Accuracy> for Scores {
    fn from(Accuracy { k, top1, top5 }: Accuracy) -> Self {
        let values =
            vec![Score::percent("top1", "top-1", top1), Score::percent("top5", "top-5", top5)];
        Self { setting: Some(("k", k)), values }
    }
}

/// Training rows that vote.
#[derive(Debug, Clone, Copy)]
pub struct Voters<'a> {
    /// Unit vectors with labels.
    pub train: &'a Features,
    /// Numbers of neighbors.
    pub k: &'a [usize],
    /// Temperature of the votes.
    pub temperature: f64,
    /// Number of classes.
    pub classes: usize,
}

impl Voters<'_> {
    /// The votes for each unit vector of `test`, `[tests, d]`, for each number of neighbors:
    /// `[k, tests, classes]`.
    pub fn votes(&self, test: &[f32]) -> Vec<Vec<f64>> {
        self.votes_except(test, |_| None)
    }

    /// The votes for each training row, without its own.
    fn votes_leaving_one_out(&self) -> Vec<Vec<f64>> {
        self.votes_except(&self.train.rows.values, Some)
    }

    /// The votes for each row of `test`; training row `excluded(i)` does not vote for test row `i`.
    fn votes_except(
        &self,
        test: &[f32],
        excluded: impl Fn(usize) -> Option<usize> + Sync,
    ) -> Vec<Vec<f64>> {
        let Self { train, k: ks, classes, .. } = *self;
        let (n, d) = (train.labels.len(), train.rows.width);
        let bank = Mat::new(&train.rows.values, n, d);
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
                    let excluded = excluded(chunk * CHUNK + i);
                    if let Some(j) = excluded {
                        row[j] = f32::NEG_INFINITY;
                    }
                    let voters = n - usize::from(excluded.is_some());
                    self.count(row, voters, i, &mut votes);
                }
                votes
            })
            .collect();
        let join = |i: usize| chunks.iter().flat_map(|votes| votes[i].iter().copied()).collect();
        (0..ks.len()).map(join).collect()
    }

    /// Adds to row `i` of `votes`, `[k, rows, classes]`, the votes of the nearest of `voters` rows.
    fn count(&self, similarities: &[f32], voters: usize, i: usize, votes: &mut [Vec<f64>]) {
        let Self { train, k: ks, temperature, classes } = *self;
        let most = ks.iter().copied().max().unwrap_or(0).min(voters);
        let near = nearest(similarities, most);
        for (votes, &k) in votes.iter_mut().zip(ks) {
            for &j in &near[..k.min(most)] {
                let weight = (f64::from(similarities[j as usize]) / temperature).exp();
                votes[i * classes + train.labels[j as usize] as usize] += weight;
            }
        }
    }
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

/// Number of classes: one more than the largest label.
fn classes<'a>(labels: impl Iterator<Item = &'a u32>) -> usize {
    labels.max().map_or(0, |&label| label as usize + 1)
}

/// Accuracies on test rows for each number of neighbors. Rows are unit vectors.
pub fn classify(train: &Features, test: &Features, k: &[usize], temperature: f64) -> Vec<Accuracy> {
    let k: Vec<usize> = k.iter().map(|&k| k.min(train.labels.len())).collect();
    let classes = classes(train.labels.iter().chain(&test.labels));
    let votes = Voters { train, k: &k, temperature, classes }.votes(&test.rows.values);
    let accuracy = |(&k, votes): (&usize, Vec<f64>)| {
        let (mut top1, mut top5) = (0usize, 0usize);
        for (votes, &label) in votes.chunks_exact(classes.max(1)).zip(&test.labels) {
            let rank = ranking(votes);
            top1 += usize::from(rank.first() == Some(&(label as usize)));
            top5 += usize::from(rank.iter().take(k.min(5)).any(|&class| class == label as usize));
        }
        let percent = |hits: usize| 100.0 * hits as f64 / test.labels.len().max(1) as f64;
        Accuracy { k, top1: percent(top1), top5: percent(top5) }
    };
    k.iter().zip(votes).map(accuracy).collect()
}

/// Whether each row is classified correctly by its `k` nearest other rows. Rows are unit vectors.
pub fn leave_one_out(rows: &Features, k: usize, temperature: f64) -> Vec<bool> {
    let classes = classes(rows.labels.iter());
    let voters = Voters { train: rows, k: &[k], temperature, classes };
    hits(&voters.votes_leaving_one_out()[0], &rows.labels, classes)
}

/// Whether each test row is classified correctly by its `k` nearest training rows. Rows are unit vectors.
pub fn correct(train: &Features, test: &Features, k: usize, temperature: f64) -> Vec<bool> {
    let classes = classes(train.labels.iter().chain(&test.labels));
    let voters = Voters { train, k: &[k], temperature, classes };
    hits(&voters.votes(&test.rows.values)[0], &test.labels, classes)
}

fn hits(votes: &[f64], labels: &[u32], classes: usize) -> Vec<bool> {
    let hit = |(votes, &label): (&[f64], &u32)| {
        let label = label as usize;
        ranking(votes).first() == Some(&label) && votes[label] > 0.0
    };
    votes.chunks_exact(classes.max(1)).zip(labels).map(hit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    /// Labelled vectors of width 2.
    fn features(values: Vec<f32>, labels: Vec<u32>) -> Features {
        Features { rows: Matrix { values, width: 2 }, labels }
    }

    #[test]
    fn classes_without_a_vote_come_last_and_count_as_in_the_official_code() {
        let train = features(vec![1.0, 0.0, 0.8, 0.6, 0.6, 0.8], vec![3, 3, 2]);
        let test = features([1.0, 0.0].repeat(7), (0..7).collect());
        let found = classify(&train, &test, &[3], 0.07)[0];
        // The ranking of seven classes is 3, 2, 0, 1, 4, 5, 6, of which the first min(5, k) count.
        assert!((found.top1 - 100.0 / 7.0).abs() < 1e-9, "{found:?}");
        assert!((found.top5 - 300.0 / 7.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn the_k_that_was_used_is_reported() {
        let train = features(vec![1.0, 0.0, 0.8, 0.6], vec![0, 1]);
        let found = classify(&train, &train, &[1, 2, 1000], 0.07);
        let used: Vec<_> = found.iter().map(|accuracy| accuracy.k).collect();
        assert_eq!(used, [1, 2, 2]);
    }

    #[test]
    fn no_row_votes_for_itself() {
        let rows = vec![1.0, 0.0, 0.8, 0.6, 0.6, 0.8, 0.0, 1.0];
        let rows = features(rows, vec![0, 1, 1, 1]);
        assert_eq!(leave_one_out(&rows, 1, 0.07), [false, true, true, true]);
        assert_eq!(correct(&rows, &rows, 1, 0.07), [true; 4]);
        let alone = features(vec![1.0, 0.0], vec![0]);
        assert_eq!(leave_one_out(&alone, 20, 0.07), [false]);
    }

    #[test]
    fn a_summary_shows_20_neighbors_or_the_most() {
        let knn = Knn::new(Settings::default());
        let headline = |k: &[usize]| {
            let scores = k.iter().map(|&k| Scores::from(Accuracy { k, top1: 1.0, top5: 2.0 }));
            knn.headline(&scores.collect::<Vec<_>>()).and_then(|scores| scores.setting)
        };
        assert_eq!(headline(&[10, 20, 200]), Some(("k", 20)));
        assert_eq!(headline(&[10, 18]), Some(("k", 18)));
        assert_eq!(headline(&[]), None);
    }
}
