//! The votes of neighbors, and what they get right.

use std::ops::ControlFlow;

use rayon::prelude::*;

use super::Accuracy;
use crate::accuracy::place;
use crate::definition::Features;
use crate::matrix::Matrix;
use crate::similarity::{Near, Neighbor, nearest};

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
    /// The votes for each unit vector of `test` for each number of neighbors: `[k, tests, classes]`.
    pub fn votes(&self, test: &Matrix) -> Vec<Vec<f64>> {
        let found = self.neighbors(test, &[]);
        let ballot = self.ballot();
        let of_k = |&k: &usize| found.iter().flat_map(|found| ballot.votes(found, k)).collect();
        self.k.iter().map(of_k).collect()
    }

    /// Whether each row of `test` is classified correctly by its first number of neighbors. For `itself` see
    /// [`Near`].
    pub(super) fn correct(&self, test: &Features, itself: &[Option<usize>]) -> Vec<bool> {
        let (found, ballot) = (self.neighbors(&test.rows, itself), self.ballot());
        let rows = found.par_iter().zip(&test.labels);
        rows.map(|(found, &label)| {
            let votes = ballot.votes(found, self.k[0]);
            place(&votes, label) == 0 && votes[label as usize] > 0.0
        })
        .collect()
    }

    pub(super) fn ballot(&self) -> Ballot<'_> {
        let Self { train, temperature, classes, .. } = *self;
        Ballot { labels: &train.labels, temperature, classes }
    }

    pub(super) fn neighbors(&self, test: &Matrix, itself: &[Option<usize>]) -> Vec<Vec<Neighbor>> {
        let count = self.k.iter().copied().max().unwrap_or(0);
        let near = Near { queries: test, bank: &self.train.rows, count, itself };
        let found = nearest(near, &mut |_, _| ControlFlow::Continue(()));
        found.ok().flatten().expect("rows in memory or mapped, and nothing stops")
    }
}

/// How neighbors vote.
pub(super) struct Ballot<'a> {
    /// The labels of all training rows.
    pub(super) labels: &'a [u32],
    pub(super) temperature: f64,
    pub(super) classes: usize,
}

impl Ballot<'_> {
    /// The votes of the nearest `k` rows, `[classes]`. `found` are at least as many, the nearest first.
    fn votes(&self, found: &[Neighbor], k: usize) -> Vec<f64> {
        let mut votes = vec![0.0; self.classes];
        for &Neighbor { row, cosine } in found.iter().take(k) {
            votes[self.labels[row] as usize] += (f64::from(cosine) / self.temperature).exp();
        }
        votes
    }

    /// Accuracies for each number of neighbors, of rows with these neighbors and labels.
    pub(super) fn accuracies(
        &self,
        found: &[Vec<Neighbor>],
        labels: &[u32],
        k: &[usize],
    ) -> Vec<Accuracy> {
        let accuracy = |&k: &usize| {
            let k = k.min(self.labels.len());
            let places = found.par_iter().zip(labels);
            let places = places.map(|(found, &label)| place(&self.votes(found, k), label));
            let places: Vec<usize> = places.collect();
            let percent = |within: usize| {
                let hits = places.iter().filter(|place| **place < within).count();
                100.0 * hits as f64 / labels.len().max(1) as f64
            };
            Accuracy { k, top1: percent(1), top5: percent(k.min(5)) }
        };
        k.iter().map(accuracy).collect()
    }
}
