//! Scores of images that are low for those of an unknown kind.
//!
//! ```text
//! likelihood   log Σₖ πₖ C(κₖ) exp(κₖ ⟨μₖ, y⟩)     y: the head's unit vector
//! cosine       maxₖ ⟨μₖ, y⟩
//! k-NN         ⟨x, x₍ₖ₎⟩                           x: [CLS] of unit length, x₍ₖ₎: its k-th nearest training image
//! ```
//!
//! Source of k-NN: Sun et al., *Out-of-distribution detection with deep nearest neighbors*, ICML 2022, whose distance
//! is `√(2 − 2 ⟨x, x₍ₖ₎⟩)`: the order of the images is the same.

use std::ops::ControlFlow;

use anyhow::{Context, Result, ensure};
use dino::open::Opened;
use features::Store;
use probe::analysis::assignment::Components;
use probe::analysis::membership::Members;
use probe::similarity::{Near, Rows, nearest};
use probe::{Kind, Matrix, Pass, Preprocess, Progress, Subset, Views};

use super::NETWORK;
use crate::commands::viewing::show_images;
use crate::console::Console;

/// Images whose neighbors are sought together.
const QUERIES: usize = 2048;

/// A score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Log likelihood under the mixture, in nats.
    Likelihood,
    /// The largest cosine with a mean direction.
    Cosine,
    /// The cosine with the k-th nearest training image.
    Neighbor(usize),
}

/// The scores of a set.
pub(super) struct Scored {
    /// The source, in words.
    pub(super) source: String,
    /// Places of the images that could be read in their source, and their names.
    pub(super) places: Vec<usize>,
    pub(super) names: Vec<String>,
    /// Images that could not be read.
    pub(super) left_out: usize,
    /// For each measure, the scores of these images.
    pub(super) values: Vec<Vec<f64>>,
}

/// Scores sets of images.
pub(super) struct Scorer<'a> {
    opened: &'a Opened,
    preprocess: &'a Preprocess,
    measures: &'a [Measure],
    bank: Option<Store>,
}

impl Measure {
    pub(super) fn title(self) -> String {
        match self {
            Self::Likelihood => "log likelihood, nats".to_owned(),
            Self::Cosine => "largest cosine".to_owned(),
            Self::Neighbor(k) => format!("k-NN cosine, k = {k}"),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Likelihood => "likelihood",
            Self::Cosine => "cosine",
            Self::Neighbor(_) => "knn",
        }
    }

    /// The number of the neighbor.
    pub(super) fn k(self) -> Option<usize> {
        if let Self::Neighbor(k) = self { Some(k) } else { None }
    }

    /// Its name in tables.
    pub(super) fn column(self) -> String {
        self.k().map_or(self.name().to_owned(), |k| format!("knn-{k}"))
    }
}

impl<'a> Scorer<'a> {
    pub(super) fn new(
        opened: &'a Opened,
        preprocess: &'a Preprocess,
        measures: &'a [Measure],
    ) -> Self {
        Self { opened, preprocess, measures, bank: None }
    }

    /// Computes features of the images among which neighbors are sought. They lie in a temporary file.
    ///
    /// # Errors
    /// Too many images cannot be read, or have features that are not finite; more neighbors than images.
    pub(super) fn learn(&mut self, train: &Subset, console: &mut Console) -> Result<()> {
        let pass = self.pass(train);
        let mut report = showing(console, "training images");
        let progress = &mut Progress::new(train.len(), &mut report);
        let computed = Store::compute(&pass, &NETWORK.encoder(self.opened), Kind::Cls, progress);
        drop(report);
        console.end_progress();
        let (bank, left_out) = computed?;
        left_out.iter().for_each(|text| console.warn(text));
        let (most, images) = (self.neighbors(), bank.len());
        ensure!(most <= images, "`--k {most}`: only {images} images of `--train` can be read");
        self.bank = Some(bank);
        Ok(())
    }

    /// The scores of a set, of one forward pass.
    ///
    /// # Errors
    /// Too many images cannot be read, or have features that are not finite.
    pub(super) fn score(
        &self,
        images: &Subset,
        role: &'static str,
        console: &mut Console,
    ) -> Result<Scored> {
        let in_mixture = self.measures.contains(&Measure::Likelihood);
        let components = in_mixture.then(|| NETWORK.components(self.opened)).transpose()?;
        let mut scoring = Scoring::new(self, components.as_ref());
        let kinds: &[Kind] = match (in_mixture, &self.bank) {
            (true, Some(_)) => &[Kind::Bottleneck, Kind::Cls],
            (true, None) => &[Kind::Bottleneck],
            (false, _) => &[Kind::Cls],
        };
        let mut report = showing(console, role);
        let progress = &mut Progress::new(images.len(), &mut report);
        let encoder = NETWORK.encoder(self.opened);
        let passed = self.pass(images).for_each_batch(&[&encoder], kinds, progress, &mut |chunk| {
            scoring.add(kinds[chunk.kind], chunk.rows, chunk.width);
        });
        drop(report);
        console.end_progress();
        let passed = passed?;
        passed.require_finite()?;
        passed.left_out.iter().for_each(|text| console.warn(text));
        let name = |place: &usize| images.dataset().name(*place);
        Ok(Scored {
            source: images.dataset().describe(),
            names: passed.indices.iter().map(name).collect(),
            left_out: images.len() - passed.indices.len(),
            places: passed.indices,
            values: scoring.finish()?,
        })
    }

    fn pass<'b>(&'b self, images: &'b Subset) -> Pass<'b> {
        Pass { images, preprocess: self.preprocess, views: Views::Square }
    }

    /// Neighbors of each image that are needed.
    fn neighbors(&self) -> usize {
        self.measures.iter().filter_map(|measure| measure.k()).max().unwrap_or(0)
    }
}

fn showing(
    console: &mut Console,
    text: &'static str,
) -> impl FnMut(usize, usize) -> ControlFlow<()> {
    move |done, total| {
        show_images(console, "ood", (done, total), text);
        ControlFlow::Continue(())
    }
}

/// Scores of the images so far. No more than [`QUERIES`] features are held.
struct Scoring<'a> {
    scorer: &'a Scorer<'a>,
    members: Option<Members<'a>>,
    values: Vec<Vec<f64>>,
    waiting: Matrix,
    failed: Option<anyhow::Error>,
}

impl<'a> Scoring<'a> {
    fn new(scorer: &'a Scorer<'a>, components: Option<&'a Components>) -> Self {
        let values = vec![Vec::new(); scorer.measures.len()];
        let members = components.map(Members::new);
        Self { scorer, members, values, waiting: Matrix::default(), failed: None }
    }

    /// Takes the vectors of some images.
    fn add(&mut self, kind: Kind, rows: &[f32], width: usize) {
        if kind == Kind::Cls {
            for block in rows.chunks(QUERIES * width) {
                self.waiting.push(block, width);
                if self.waiting.len() >= QUERIES {
                    self.flush();
                }
            }
            return;
        }
        let Some(members) = &mut self.members else { return };
        for of in members.of(rows) {
            for (measure, values) in self.scorer.measures.iter().zip(&mut self.values) {
                match measure {
                    Measure::Likelihood => values.push(of.log_likelihood),
                    Measure::Cosine => values.push(f64::from(of.cosine)),
                    Measure::Neighbor(_) => {}
                }
            }
        }
    }

    /// Seeks the neighbors of the images that wait.
    fn flush(&mut self) {
        if let Err(error) = self.try_flush() {
            self.failed.get_or_insert(error);
        }
    }

    fn try_flush(&mut self) -> Result<()> {
        let Some(bank) = &self.scorer.bank else { return Ok(()) };
        let mut queries = std::mem::take(&mut self.waiting);
        if queries.is_empty() {
            return Ok(());
        }
        queries.normalize();
        let near = Near { queries: &queries, bank, count: self.scorer.neighbors(), itself: &[] };
        let found = nearest(near, &mut |_, _| ControlFlow::Continue(()));
        let found = found.context("cannot read the features")?.context("stopped")?;
        for (measure, values) in self.scorer.measures.iter().zip(&mut self.values) {
            if let Measure::Neighbor(k) = measure {
                values.extend(found.iter().map(|found| f64::from(found[k - 1].cosine)));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Vec<f64>>> {
        self.flush();
        self.failed.map_or(Ok(self.values), Err)
    }
}
