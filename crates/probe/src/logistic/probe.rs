//! Logistic regression as a [`Probe`], short enough for evaluations during training.

use super::{Regression, sweep};
use crate::accuracy::ClassAccuracy;
use crate::definition::{Features, Probe, Score, Scores, Size};
use crate::error::Result;
use crate::progress::Progress;
use crate::source::{Kind, Wanted};

/// Iterations of a fit that starts from the one before, about.
const ITERATIONS: usize = 20;

/// Logistic regression on \[CLS\] tokens, whose regularization is chosen on a fifth of the training images.
#[derive(Debug, Clone)]
pub struct Logistic {
    strengths: Vec<f64>,
    seed: u64,
}

impl Logistic {
    /// Chooses among these strengths, ascending; `seed` draws the validation split.
    pub fn new(strengths: Vec<f64>, seed: u64) -> Self {
        Self { strengths, seed }
    }

    /// For evaluations during training: every fourth of the 45 strengths.
    pub fn short() -> Self {
        Self::new(sweep::strengths().into_iter().step_by(4).collect(), 0)
    }
}

impl Probe for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn title(&self) -> &'static str {
        "logistic regression"
    }

    fn wants(&self) -> Wanted {
        Wanted { kind: Kind::Cls, unit: false }
    }

    fn judges_pixels(&self) -> bool {
        false
    }

    /// The rows are copied for the split.
    fn bytes(&self, Size { train, width, classes, .. }: Size) -> usize {
        4 * train * width + Regression::bytes(width, classes)
    }

    fn flops(&self, Size { train, width, classes, .. }: Size) -> f64 {
        let fits = self.strengths.len() + 1;
        4.0 * (fits * ITERATIONS) as f64 * (train * width * classes) as f64
    }

    fn score(
        &self,
        train: &Features,
        test: &Features,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Scores>> {
        let classes = Features::classes(train, test);
        let mut go_on = |_, _| progress.advance(0);
        let chosen = sweep::choose(train, classes, &self.strengths, self.seed, &mut go_on)?;
        if !chosen.fit.converged {
            progress.note("the logistic regression ended before its optimum".to_owned());
        }
        let predicted = chosen.fit.classifier.predict(&test.rows);
        let ClassAccuracy { top1, mean_per_class } = ClassAccuracy::of(&predicted, &test.labels);
        let values = vec![
            Score::percent("top1", "top-1", top1),
            Score::percent("mean_per_class", "mean per class", mean_per_class),
        ];
        Ok(vec![Scores { setting: None, values }])
    }
}
