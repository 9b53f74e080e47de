//! Chooses the regularization of a logistic regression on a validation split, and fits all rows with it.
//!
//! ```text
//! λ = c / n,  c = 10^-6 … 10^5, 45 values evenly spaced in the exponent,  n = rows that are fitted
//! ```
//!
//! Each class gives a fifth of its rows to the validation split, one at least if it has two. The strongest
//! regularization is fitted first; each fit starts from the one before. The value with the best top-1
//! accuracy wins, the stronger one of equals.
//!
//! Source: Ericsson et al., *How well do self-supervised models transfer?*, CVPR 2021, for the values and the
//! share of the split; there it is drawn without regard to classes.

use rand::seq::SliceRandom;
use serde::Serialize;
use streams::{Key, Purpose};

use super::{Fit, Regression, Settings};
use crate::accuracy::ClassAccuracy;
use crate::definition::Features;
use crate::error::Stopped;
use crate::matrix::Matrix;

/// Largest entry of the gradient of fits that are only compared: scikit-learn's default.
const COMPARED: f64 = 1e-4;
/// Share of the validation split.
const SHARE: f64 = 0.2;

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
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Validated {
    /// `c`.
    pub strength: f64,
    /// Percent of the validation split.
    pub top1: f64,
    /// Iterations of the fit.
    pub iterations: usize,
}

/// The 45 values of `c`, ascending.
pub fn strengths() -> Vec<f64> {
    (0..45).map(|i| 10f64.powf(-6.0 + 11.0 * f64::from(i) / 44.0)).collect()
}

/// Chooses among `strengths`, ascending, and fits all rows. `report` gets fits done and all fits before each
/// iteration.
///
/// # Errors
/// If `report` wants to stop.
pub fn choose(
    train: &Features,
    classes: usize,
    strengths: &[f64],
    seed: u64,
    report: &mut dyn FnMut(usize, usize) -> Result<(), Stopped>,
) -> Result<Chosen, Stopped> {
    let all = strengths.len() + 1;
    let Split { fitted, validation } = Split::of(&train.labels, seed);
    let (fitted, validation) = (rows(train, &fitted), rows(train, &validation));
    let settings = |strength: f64, n: usize| Settings {
        weight_decay: strength / n as f64,
        ..Settings::default()
    };
    let mut validated = Vec::new();
    let mut best: Option<(f64, f64, Fit)> = None;
    if strengths.len() > 1 {
        let regression = Regression::new(&fitted, classes, true);
        let mut last: Option<Fit> = None;
        for (done, &strength) in strengths.iter().rev().enumerate() {
            let start = last.as_ref().map(|fit| &fit.classifier);
            let settings =
                Settings { tolerance: COMPARED, ..settings(strength, fitted.labels.len()) };
            let fit = regression.fit(&settings, start, &mut || report(done, all))?;
            let predicted = fit.classifier.predict(&validation.rows);
            let top1 = ClassAccuracy::of(&predicted, &validation.labels).top1;
            validated.push(Validated { strength, top1, iterations: fit.iterations });
            if best.as_ref().is_none_or(|(most, ..)| top1 > *most) {
                best = Some((top1, strength, fit.clone()));
            }
            last = Some(fit);
        }
        validated.reverse();
    }
    let strength = best.as_ref().map_or(strengths[0], |(_, strength, _)| *strength);
    let start = best.as_ref().map(|(_, _, fit)| &fit.classifier);
    let settings = settings(strength, train.labels.len());
    let regression = Regression::new(train, classes, true);
    let fit = regression.fit(&settings, start, &mut || report(all - 1, all))?;
    Ok(Chosen { fit, strength, validated })
}

/// Rows that are fitted and rows that validate, ascending.
struct Split {
    fitted: Vec<usize>,
    validation: Vec<usize>,
}

impl Split {
    fn of(labels: &[u32], seed: u64) -> Self {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.shuffle(&mut Key::new(seed, Purpose::Estimate).index(2).open());
        order.sort_by_key(|&i| labels[i]);
        let (mut fitted, mut validation) = (Vec::new(), Vec::new());
        for class in order.chunk_by(|&a, &b| labels[a] == labels[b]) {
            let share = (SHARE * class.len() as f64).round() as usize;
            let share = share.max(usize::from(class.len() > 1));
            validation.extend_from_slice(&class[..share]);
            fitted.extend_from_slice(&class[share..]);
        }
        fitted.sort_unstable();
        validation.sort_unstable();
        Self { fitted, validation }
    }
}

/// Some rows with their labels.
pub(crate) fn rows(of: &Features, chosen: &[usize]) -> Features {
    let d = of.rows.width;
    let mut rows = Matrix::with_capacity(chosen.len(), d);
    chosen.iter().for_each(|&i| rows.push(&of.rows.values[i * d..][..d], d));
    Features { rows, labels: chosen.iter().map(|&i| of.labels[i]).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_with_two_rows_is_on_both_sides() {
        let labels = [0, 1, 0, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0];
        let Split { fitted, validation } = Split::of(&labels, 7);
        let count = |of: &[usize], class: u32| of.iter().filter(|&&i| labels[i] == class).count();
        let sizes = [0, 1, 2, 3].map(|class| (count(&fitted, class), count(&validation, class)));
        assert_eq!(sizes, [(8, 2), (1, 1), (1, 0), (1, 0)]);
        let mut all = [fitted, validation].concat();
        all.sort_unstable();
        assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
    }

    #[test]
    fn strengths_span_eleven_decades() {
        let all = strengths();
        assert_eq!((all.len(), all[0]), (45, 1e-6));
        assert!((all[44] - 1e5).abs() < 1e-6 && (all[4] - 1e-5).abs() < 1e-12);
    }
}
