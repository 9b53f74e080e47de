//! `Knn` classifies images by their k nearest neighbors among frozen features, by DINO's protocol.
//!
//! ```text
//! votes(x)[c] = Σ exp(cos(x, t) / T)   over the k training rows t most similar to x with label c
//! ```
//!
//! The search for neighbors is [`crate::similarity::nearest`], which takes training rows as they come: none is held.
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

mod votes;

use std::ops::ControlFlow;

use crate::definition::{Features, Probe, Score, Scores, Size, Stream};
use crate::error::Result;
use crate::matrix::Matrix;
use crate::progress::Progress;
use crate::similarity::Nearest;
use crate::source::{Kind, Wanted};
use votes::Ballot;

pub use votes::Voters;

/// The value of k that a summary shows.
const HEADLINE: usize = 20;

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
    ) -> Result<Vec<Scores>> {
        let Settings { k, temperature } = &self.settings;
        let accuracies = classify(train, test, k, *temperature);
        Ok(accuracies.into_iter().map(Scores::from).collect())
    }

    fn bytes(&self, size: Size) -> usize {
        let most = self.settings.k.iter().copied().max().unwrap_or(0).min(size.train);
        Nearest::bytes(size.width, size.test, most)
    }

    fn stream<'a>(&'a self, test: &'a Features) -> Option<Box<dyn Stream + 'a>> {
        let most = self.settings.k.iter().copied().max().unwrap_or(0);
        let nearest = Nearest::new(&test.rows, most, &[]);
        Some(Box::new(Streamed { settings: &self.settings, labels: &test.labels, nearest }))
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

/// Training rows come by; neighbors of test rows are kept.
struct Streamed<'a> {
    settings: &'a Settings,
    labels: &'a [u32],
    nearest: Nearest<'a>,
}

impl Stream for Streamed<'_> {
    fn add(&mut self, train: &Matrix) {
        let most = self.nearest.block();
        for start in (0..train.len()).step_by(most) {
            let rows = start..(start + most).min(train.len());
            let added = self.nearest.add(train, rows, &mut |_| ControlFlow::Continue(()));
            assert!(
                added.is_ok_and(|flow| flow.is_continue()),
                "rows in memory or mapped, and nothing stops"
            );
        }
    }

    fn finish(self: Box<Self>, train: &[u32]) -> Vec<Scores> {
        let Settings { k, temperature } = self.settings;
        let classes = classes(train.iter().chain(self.labels));
        let ballot = Ballot { labels: train, temperature: *temperature, classes };
        let accuracies = ballot.accuracies(&self.nearest.found(), self.labels, k);
        accuracies.into_iter().map(Scores::from).collect()
    }
}

/// Number of classes: one more than the largest label.
fn classes<'a>(labels: impl Iterator<Item = &'a u32>) -> usize {
    labels.max().map_or(0, |&label| label as usize + 1)
}

/// Accuracies on test rows for each number of neighbors. Rows are unit vectors.
pub fn classify(train: &Features, test: &Features, k: &[usize], temperature: f64) -> Vec<Accuracy> {
    let classes = classes(train.labels.iter().chain(&test.labels));
    let voters = Voters { train, k, temperature, classes };
    voters.ballot().accuracies(&voters.neighbors(&test.rows, &[]), &test.labels, k)
}

/// Accuracies on rows of which each is classified by the others, for each number of neighbors. Rows are unit vectors.
pub fn classify_leaving_one_out(rows: &Features, k: &[usize], temperature: f64) -> Vec<Accuracy> {
    let others = rows.labels.len().saturating_sub(1);
    let k: Vec<usize> = k.iter().map(|&k| k.min(others)).collect();
    let voters = Voters { train: rows, k: &k, temperature, classes: classes(rows.labels.iter()) };
    let neighbors = voters.neighbors(&rows.rows, &itself(rows));
    voters.ballot().accuracies(&neighbors, &rows.labels, &k)
}

/// Whether each row is classified correctly by its `k` nearest other rows. Rows are unit vectors.
pub fn leave_one_out(rows: &Features, k: usize, temperature: f64) -> Vec<bool> {
    let classes = classes(rows.labels.iter());
    Voters { train: rows, k: &[k], temperature, classes }.correct(rows, &itself(rows))
}

/// Each row is itself, see [`Near`](crate::similarity::Near).
fn itself(rows: &Features) -> Vec<Option<usize>> {
    (0..rows.labels.len()).map(Some).collect()
}

/// Whether each test row is classified correctly by its `k` nearest training rows. Rows are unit vectors.
pub fn correct(train: &Features, test: &Features, k: usize, temperature: f64) -> Vec<bool> {
    let classes = classes(train.labels.iter().chain(&test.labels));
    Voters { train, k: &[k], temperature, classes }.correct(test, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labelled vectors of width 2.
    fn features(values: Vec<f32>, labels: Vec<u32>) -> Features {
        Features { rows: Matrix::new(values, 2), labels }
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
        let found = classify_leaving_one_out(&rows, &[1, 9], 0.07);
        assert_eq!((found[0].top1, found[0].k, found[1].k), (75.0, 1, 3));
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
