//! Scores of images: low ones are unusual.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use clap::ValueEnum;
use dino::evaluation;
use dino::open::Opened;
use features::Store;
use probe::analysis::membership::Members;
use probe::similarity::{Near, Neighbor, Rows, nearest};
use probe::{Kind, Pass, Progress, Subset, Views};

use crate::commands::compared::{comparing, compute};
use crate::commands::network_role::NetworkRole;
use crate::commands::viewing::show_images;
use crate::console::Console;

/// What is low for an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Measure {
    /// Log likelihood under the mixture, in nats
    Likelihood,
    /// Largest cosine with a mean direction of the mixture
    Cosine,
    /// Mean cosine of CLS tokens with the k nearest images; needs no head
    Knn,
}

impl Measure {
    /// Its name, with the unit.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Likelihood => "log likelihood, nats",
            Self::Cosine => "largest cosine with a mean direction",
            Self::Knn => "mean cosine with the nearest images",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Likelihood => "likelihood",
            Self::Cosine => "cosine",
            Self::Knn => "knn",
        }
    }
}

/// Makes scores with a network.
pub(super) struct Scorer<'a> {
    pub(super) opened: &'a Opened,
    pub(super) network: NetworkRole,
    /// Neighbors of k-NN.
    pub(super) k: usize,
}

/// Scores of the images that could be read.
pub(super) struct Scored {
    /// Their places in the source, ascending.
    pub(super) places: Vec<usize>,
    pub(super) scores: Vec<f64>,
}

impl Scored {
    /// Rows by ascending score; of equal ones the earlier image first.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|a, b| self.scores[*a].total_cmp(&self.scores[*b]).then(a.cmp(b)));
        order
    }

    /// For each score, the share of the scores of `reference` that are as low or lower.
    pub(super) fn quantiles(&self, reference: &Self) -> Vec<f64> {
        let mut sorted = reference.scores.clone();
        sorted.sort_by(f64::total_cmp);
        let share = |score: &f64| {
            let below = sorted.partition_point(|other| other <= score);
            below as f64 / sorted.len().max(1) as f64
        };
        self.scores.iter().map(share).collect()
    }
}

impl Scorer<'_> {
    /// Scores by where an image stands in the mixture.
    ///
    /// # Errors
    /// Too many images cannot be read, or have features that are not finite.
    pub(super) fn in_mixture(
        &self,
        measure: Measure,
        images: &Subset,
        console: &mut Console,
    ) -> Result<Scored> {
        let components = self.network.components(self.opened)?;
        let mut members = Members::new(&components);
        let preprocess = evaluation::preprocess(&self.opened.config, images.dataset())?;
        let pass = Pass { images, preprocess: &preprocess, views: Views::Square };
        let mut report = |done, total| {
            show_images(console, "outliers", (done, total), "likelihood under the mixture");
            ControlFlow::Continue(())
        };
        let progress = &mut Progress::new(images.len(), &mut report);
        let mut scores = Vec::with_capacity(images.len());
        let encoder = self.network.encoder(self.opened);
        let passed =
            pass.for_each_batch(&[&encoder], &[Kind::Bottleneck], progress, &mut |chunk| {
                scores.extend(members.of(chunk.rows).into_iter().map(|of| match measure {
                    Measure::Cosine => f64::from(of.cosine),
                    Measure::Likelihood | Measure::Knn => of.log_likelihood,
                }));
            });
        console.end_progress();
        let passed = passed?;
        passed.require_finite()?;
        passed.left_out.iter().for_each(|text| console.warn(text));
        Ok(Scored { places: passed.indices, scores })
    }

    /// Scores by the nearest images of `train`, or of the images themselves. Images of the reference have scores
    /// among the others of the reference.
    ///
    /// # Errors
    /// As [`in_mixture`](Self::in_mixture).
    pub(super) fn by_neighbors(
        &self,
        images: &Subset,
        train: Option<&Subset>,
        console: &mut Console,
    ) -> Result<(Scored, Option<Scored>)> {
        let features = compute(self.opened, self.network, Kind::Cls, images, console)?;
        let itself = |of: &Store| (0..of.len()).map(Some).collect::<Vec<_>>();
        let Some(train) = train else {
            return Ok((self.among(&features, &features, &itself(&features), console)?, None));
        };
        let usual = compute(self.opened, self.network, Kind::Cls, train, console)?;
        let scored = self.among(&features, &usual, &[], console)?;
        let reference = self.among(&usual, &usual, &itself(&usual), console)?;
        Ok((scored, Some(reference)))
    }

    fn among(
        &self,
        images: &Store,
        bank: &Store,
        itself: &[Option<usize>],
        console: &mut Console,
    ) -> Result<Scored> {
        let near = Near { queries: images, bank, count: self.k, itself };
        let found = nearest(near, &mut comparing(console));
        console.end_progress();
        let found = found.context("cannot read the features")?.context("stopped")?;
        let mean = |near: &Vec<Neighbor>| {
            let sum: f64 = near.iter().map(|neighbor| f64::from(neighbor.cosine)).sum();
            sum / near.len().max(1) as f64
        };
        Ok(Scored { places: images.images().to_vec(), scores: found.iter().map(mean).collect() })
    }
}
