//! Classification with few labels as a [`Probe`].

use super::{Shots, prepare, score};
use crate::definition::{Features, Probe, Score, Scores, Size};
use crate::error::Result;
use crate::logistic::Regression;
use crate::progress::Progress;
use crate::source::{Kind, Wanted};

/// Iterations of a fit, about.
const ITERATIONS: usize = 50;

/// Logistic regression on a few images of each class, by MSN's protocol.
#[derive(Debug, Clone)]
pub struct FewLabels {
    shots: Vec<usize>,
    draws: u64,
    seed: u64,
}

impl FewLabels {
    /// Fits `draws` draws of each of these numbers of images for each class; `seed` decides the draws.
    pub fn new(shots: Vec<usize>, draws: u64, seed: u64) -> Self {
        Self { shots, draws, seed }
    }

    /// For evaluations during training: three draws of 1, 2 and 5 images of each class.
    pub fn short() -> Self {
        Self::new(vec![1, 2, 5], 3, 0)
    }

    fn most(&self) -> usize {
        self.shots.iter().copied().max().unwrap_or(0)
    }
}

impl Probe for FewLabels {
    fn name(&self) -> &'static str {
        "fewshot"
    }

    fn title(&self) -> &'static str {
        "few-shot"
    }

    fn wants(&self) -> Wanted {
        Wanted { kind: Kind::Cls, unit: false }
    }

    fn judges_pixels(&self) -> bool {
        false
    }

    /// Both sets are copied to be prepared.
    fn bytes(&self, Size { train, test, width, classes }: Size) -> usize {
        4 * (train + test) * width + Regression::bytes(width, classes)
    }

    fn flops(&self, Size { test, width, classes, .. }: Size) -> f64 {
        let rows = 2 * ITERATIONS * self.most() * classes + test;
        2.0 * (self.shots.len() as u64 * self.draws) as f64 * (rows * width * classes) as f64
    }

    fn score(
        &self,
        train: &Features,
        test: &Features,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Scores>> {
        let classes = Features::classes(train, test);
        let (mut train, mut test) = (train.try_clone()?, test.try_clone()?);
        prepare(&mut train.rows)?;
        prepare(&mut test.rows)?;
        let of_shots = |&count: &usize| {
            let shots = Shots::PerClass(count);
            let draws = (self.draws, self.seed);
            let mut go_on = || progress.advance(0);
            let found = score(&train, &test, classes, shots, draws, &mut go_on)?;
            if found.not_converged > 0 {
                progress.note(format!(
                    "few-shot fits of {count} images a class ended before their optimum"
                ));
            }
            let top1 = Score::percent("top1", "top-1", found.mean);
            let deviation = |value| Score::percent("deviation", "deviation", value);
            let values = std::iter::once(top1).chain(found.deviation.map(deviation)).collect();
            Ok(Scores { setting: Some(("shots", count)), values })
        };
        self.shots.iter().map(of_shots).collect()
    }

    /// The most images of each class.
    fn headline<'a>(&self, scores: &'a [Scores]) -> Option<&'a Scores> {
        scores.iter().max_by_key(|scores| scores.setting)
    }
}
