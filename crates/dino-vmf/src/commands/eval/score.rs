//! A number that a task measures, in the form in which checkpoints are compared.

use serde::{Deserialize, Serialize};

/// A number with what it is the mean of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Score {
    /// Title of its column.
    pub(super) column: String,
    /// Percent of each draw; one number without draws.
    pub(super) draws: Vec<f64>,
    /// What each test image, query or object adds, 0 to 1 and averaged over the draws: their mean is the number. Empty for
    /// a number that is not a mean.
    pub(super) credits: Vec<f64>,
    /// What it is measured on, such as `4 objects in 2 videos`.
    pub(super) counts: String,
}

impl Score {
    /// The mean of credits.
    pub(super) fn mean_of(column: String, credits: Vec<f64>, counts: String) -> Self {
        let percent = 100.0 * credits.iter().sum::<f64>() / credits.len() as f64;
        Self { column, draws: vec![percent], credits, counts }
    }

    /// A number that is not a mean, in percent.
    pub(super) fn alone(column: String, percent: f64, counts: String) -> Self {
        Self { column, draws: vec![percent], credits: Vec::new(), counts }
    }

    /// Mean of the draws, in percent.
    pub(super) fn value(&self) -> f64 {
        self.draws.iter().sum::<f64>() / self.draws.len() as f64
    }

    /// Standard deviation of the draws; `None` for one.
    pub(super) fn deviation(&self) -> Option<f64> {
        let (count, mean) = (self.draws.len(), self.value());
        let squares: f64 = self.draws.iter().map(|draw| (draw - mean).powi(2)).sum();
        (count > 1).then(|| (squares / (count - 1) as f64).sqrt())
    }
}
