//! Chooses the regularization of a logistic regression on a validation split, and fits all rows with it.
//!
//! ```text
//! λ = c / n,  c = 10^-6 … 10^5, 45 values evenly spaced in the exponent,  n = rows that are fitted
//! ```
//!
//! The strongest regularization is fitted first; each fit starts from the one before. The value with the best
//! accuracy wins, the weakest of equal ones. Rows of the validation split are fitted, too, in the end.
//!
//! Source: Ericsson et al., *How well do self-supervised models transfer?*, CVPR 2021, and `linear.py` of its code.
//! There, a split that is drawn is drawn without regard to classes, and a fit ends after 100 iterations.

mod split;

use serde::{Deserialize, Serialize};

use super::{Classifier, Fit, Regression, Settings, Tolerance};
use crate::accuracy::ClassAccuracy;
use crate::definition::Features;
use crate::error::{Result, Stopped};

pub use split::Split;

/// Largest entry of the gradient of fits that are only compared: scikit-learn's default.
const COMPARED: f64 = 1e-4;

/// The classifier of the best regularization.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Fitted to all rows.
    pub fit: Fit,
    /// `c`: λ times the number of rows.
    pub strength: f64,
    /// Accuracies on the validation split for each strength, the weakest first.
    pub validated: Vec<Validated>,
}

/// The validation accuracy of one strength.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Validated {
    /// `c`.
    pub strength: f64,
    /// Percent of the validation split.
    pub top1: f64,
    /// Mean over the classes of the validation split, in percent.
    pub mean_per_class: f64,
    /// Iterations of the fit.
    pub iterations: usize,
}

/// Which accuracy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// Of all images.
    Top1,
    /// The mean over the classes.
    MeanPerClass,
}

/// Called before each iteration with fits done and all fits; an error stops.
pub type Report<'a> = dyn FnMut(usize, usize) -> Result<(), Stopped> + 'a;

/// The 45 values of `c`, ascending.
pub fn strengths() -> Vec<f64> {
    (0..45).map(|i| 10f64.powf(-6.0 + 11.0 * f64::from(i) / 44.0)).collect()
}

/// Chooses among `strengths`, ascending, by top-1 on a fifth of each class, and fits all rows.
///
/// # Errors
/// If `report` wants to stop; if copies of features on disk have no room there.
pub fn choose(
    train: &Features,
    classes: usize,
    strengths: &[f64],
    seed: u64,
    report: &mut Report<'_>,
) -> Result<Chosen> {
    let split = Split::by_class(&train.labels, seed);
    choose_on(train, classes, strengths, (&split, Criterion::Top1), report)
}

/// Chooses among `strengths`, ascending, by an accuracy on this split, and fits all rows. One strength is taken
/// without a choice.
///
/// # Errors
/// If `report` wants to stop; if copies of features on disk have no room there.
pub fn choose_on(
    all: &Features,
    classes: usize,
    strengths: &[f64],
    (split, criterion): (&Split, Criterion),
    report: &mut Report<'_>,
) -> Result<Chosen> {
    let total = strengths.len() + 1;
    let mut best = Best::default();
    let mut validated = Vec::new();
    if strengths.len() > 1 {
        let (fitted, validation) = (all.select(&split.fitted)?, all.select(&split.validation)?);
        let regression = Regression::new(&fitted, classes, true);
        let mut last: Option<Fit> = None;
        for (done, &strength) in strengths.iter().rev().enumerate() {
            let start = last.as_ref().map(|fit| &fit.classifier);
            let settings = compared(strength, fitted.labels.len());
            let fit = regression.fit(&settings, start, &mut || report(done, total))?;
            let predicted = fit.classifier.predict(&validation.rows);
            let ClassAccuracy { top1, mean_per_class } =
                ClassAccuracy::of(&predicted, &validation.labels);
            let iterations = fit.iterations;
            validated.push(Validated { strength, top1, mean_per_class, iterations });
            let score = if criterion == Criterion::Top1 { top1 } else { mean_per_class };
            best.offer(score, strength, &fit.classifier);
            last = Some(fit);
        }
        validated.reverse();
    }
    let strength = best.strength.unwrap_or(strengths[0]);
    let regression = Regression::new(all, classes, true);
    let settings = exact(strength, all.labels.len());
    let mut go_on = || report(total - 1, total);
    let fit = regression.fit(&settings, best.classifier.as_ref(), &mut go_on)?;
    Ok(Chosen { fit, strength, validated })
}

/// The best strength so far, of those offered from the strongest to the weakest.
#[derive(Default)]
struct Best {
    score: f64,
    strength: Option<f64>,
    classifier: Option<Classifier>,
}

impl Best {
    fn offer(&mut self, score: f64, strength: f64, classifier: &Classifier) {
        if self.strength.is_none() || score >= self.score {
            let classifier = Some(classifier.clone());
            *self = Self { score, strength: Some(strength), classifier };
        }
    }
}

/// Settings of a fit of `n` rows that is only compared with others.
pub(super) fn compared(strength: f64, n: usize) -> Settings {
    Settings { tolerance: Tolerance::Absolute(COMPARED), ..exact(strength, n) }
}

/// Settings of a fit of `n` rows whose result counts.
pub(super) fn exact(strength: f64, n: usize) -> Settings {
    Settings { weight_decay: strength / n as f64, ..Settings::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    #[test]
    fn strengths_span_eleven_decades() {
        let all = strengths();
        assert_eq!((all.len(), all[0]), (45, 1e-6));
        assert!((all[44] - 1e5).abs() < 1e-6 && (all[4] - 1e-5).abs() < 1e-12);
    }

    #[test]
    fn the_weakest_of_equal_strengths_is_chosen() {
        let classifier = |bias| Classifier { weight: vec![0.0], bias: vec![bias], width: 1 };
        let mut best = Best::default();
        for (score, strength) in [(0.0, 100.0), (80.0, 10.0), (80.0, 1.0), (79.0, 0.1)] {
            best.offer(score, strength, &classifier(strength));
        }
        assert_eq!((best.strength, best.classifier), (Some(1.0), Some(classifier(1.0))));
    }

    /// The rare class decides by the mean over classes, and not by top-1.
    #[test]
    fn the_criterion_decides() {
        // One feature: 18 rows of class 0 at −1, two of class 1 at 0.2. Strong regularization says 0 everywhere.
        let (mut values, mut labels) = (vec![-1.0; 18], vec![0; 18]);
        values.extend([0.2, 0.2]);
        labels.extend([1, 1]);
        let all = Features { rows: Matrix::new(values, 1), labels };
        let split = Split { fitted: (0..19).collect(), validation: vec![17, 18, 19] };
        for criterion in [Criterion::Top1, Criterion::MeanPerClass] {
            let strengths = [1e-3, 1e3];
            let found =
                choose_on(&all, 2, &strengths, (&split, criterion), &mut |_, _| Ok(())).unwrap();
            assert_eq!(found.strength, 1e-3);
            let [weak, strong] = [0, 1].map(|i| found.validated[i]);
            assert_eq!((weak.top1, weak.mean_per_class), (100.0, 100.0));
            assert_eq!(strong.mean_per_class, 50.0);
            assert!((strong.top1 - 100.0 / 3.0).abs() < 1e-9);
        }
    }
}
