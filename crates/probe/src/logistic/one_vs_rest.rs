//! Logistic regression of images that may belong to several classes: for each class, its images against the others.
//!
//! Each class is a regression with the two classes "not" and "yes", both with weights ([`super`]). Written with the
//! difference `u` of these weights, its regularization is `λ/4 ‖u‖²`: half of that of a regression with one weight
//! vector. One `λ` serves all classes: the one with the best mean average precision on the validation split.
//!
//! Source: `linear.py` of Ericsson et al. (see [`super::sweep`]), which fits VOC 2007 in this way.

use serde::{Deserialize, Serialize};

use super::sweep::{Report, Split, compared, exact};
use super::{Classifier, Fit, Regression, Settings};
use crate::average_precision::eleven_points;
use crate::definition::Features;
use crate::error::{Result, Stopped};
use crate::matrix::Matrix;

/// Features of images, and which classes each belongs to.
#[derive(Debug, Default, PartialEq)]
pub struct MultiLabelled {
    /// The features, one row for each image.
    pub rows: Matrix,
    /// For each class, whether each image belongs to it.
    pub members: Vec<Vec<bool>>,
}

/// The classifiers of the best regularization.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// For each class, a classifier of "not" and "yes", fitted to all rows.
    pub fits: Vec<Fit>,
    /// `c`: λ times the number of rows.
    pub strength: f64,
    /// Precisions on the validation split for each strength, the weakest first.
    pub validated: Vec<Validated>,
}

/// The validation precision of one strength.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Validated {
    /// `c`.
    pub strength: f64,
    /// Mean over the classes of the average precision at eleven points, in percent.
    pub map11: f64,
    /// Iterations of the fits of all classes.
    pub iterations: usize,
}

impl MultiLabelled {
    /// Appends the images of another set of the same classes.
    ///
    /// # Errors
    /// As [`Matrix::append`].
    ///
    /// # Panics
    /// If the numbers of classes differ.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        assert_eq!(self.members.len(), other.members.len(), "classes");
        self.rows.append(&other.rows)?;
        for (members, more) in self.members.iter_mut().zip(&other.members) {
            members.extend_from_slice(more);
        }
        Ok(())
    }
}

/// Chooses among `strengths`, ascending, by mean average precision on this split, and fits all rows. One strength is
/// taken without a choice; so is a class without images in the validation split.
///
/// # Errors
/// If `report` wants to stop; if copies of features on disk have no room there.
pub fn choose(
    all: MultiLabelled,
    strengths: &[f64],
    split: &Split,
    report: &mut Report<'_>,
) -> Result<Chosen> {
    let classes = all.members.len();
    let sweeps = if strengths.len() > 1 { strengths.len() } else { 0 };
    let total = classes * (sweeps + 1);
    let validated = match sweeps {
        0 => Vec::new(),
        _ => validate(&all, strengths, split, &mut |done| report(done, total))?,
    };
    let best = validated.iter().reduce(|a, b| if b.map11 > a.map11 { b } else { a });
    let strength = best.map_or(strengths[0], |best| best.strength);
    let mut train = Features { rows: all.rows, labels: Vec::new() };
    let mut fits = Vec::with_capacity(classes);
    for (class, members) in all.members.iter().enumerate() {
        train.labels = members.iter().map(|member| u32::from(*member)).collect();
        let settings = exact(strength, members.len());
        let mut go_on = || report(classes * sweeps + class, total);
        fits.push(Regression::new(&train, 2, true).fit(&settings, None, &mut go_on)?);
    }
    Ok(Chosen { fits, strength, validated })
}

/// The mean average precision of each strength on the validation split.
fn validate(
    all: &MultiLabelled,
    strengths: &[f64],
    split: &Split,
    report: &mut dyn FnMut(usize) -> Result<(), Stopped>,
) -> Result<Vec<Validated>> {
    let mut fitted = Features { rows: all.rows.select(&split.fitted)?, labels: Vec::new() };
    let validation = all.rows.select(&split.validation)?;
    let mut found: Vec<(f64, usize)> = vec![(0.0, 0); strengths.len()];
    let (mut done, mut counted) = (0, 0);
    for members in &all.members {
        fitted.labels = split.fitted.iter().map(|&row| u32::from(members[row])).collect();
        let relevant: Vec<bool> = split.validation.iter().map(|&row| members[row]).collect();
        let regression = Regression::new(&fitted, 2, true);
        let mut last: Option<Classifier> = None;
        counted += usize::from(relevant.contains(&true));
        for (found, &strength) in found.iter_mut().zip(strengths).rev() {
            let settings: Settings = compared(strength, split.fitted.len());
            let fit = regression.fit(&settings, last.as_ref(), &mut || report(done))?;
            let scores = scores(&fit.classifier, &validation);
            found.0 += eleven_points(&relevant, &scores).unwrap_or(0.0);
            found.1 += fit.iterations;
            last = Some(fit.classifier);
            done += 1;
        }
    }
    let validated = strengths.iter().zip(found).map(|(&strength, (sum, iterations))| {
        let map11 = 100.0 * sum / counted.max(1) as f64;
        Validated { strength, map11, iterations }
    });
    Ok(validated.collect())
}

/// How much more each row is "yes" than "not".
fn scores(of: &Classifier, rows: &Matrix) -> Vec<f32> {
    let d = of.width;
    let weight = of.weight[d..].iter().zip(&of.weight[..d]).map(|(yes, not)| yes - not).collect();
    Classifier { weight, bias: vec![of.bias[1] - of.bias[0]], width: d }.scores(rows)
}

impl Chosen {
    /// The average precision at eleven points of each class, 0 to 1; `None` for a class without images.
    pub fn precisions(&self, test: &MultiLabelled) -> Vec<Option<f64>> {
        let of = |(fit, relevant): (&Fit, &Vec<bool>)| {
            eleven_points(relevant, &scores(&fit.classifier, &test.rows))
        };
        self.fits.iter().zip(&test.members).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    /// Two classes that may come together, each seen in a feature of its own.
    fn images(count: usize) -> MultiLabelled {
        let bit = |i: usize, bit: usize| i >> bit & 1 == 1;
        let noise = |i: usize| ((i * 37) % 11) as f32 / 40.0;
        let value = |i: usize, of: usize| if bit(i, of) { 1.0 + noise(i) } else { -noise(i + 3) };
        let values = (0..count).flat_map(|i| [value(i, 0), value(i, 1), 0.5]).collect();
        let members = (0..2).map(|of| (0..count).map(|i| bit(i, of)).collect()).collect();
        MultiLabelled { rows: Matrix::new(values, 3), members }
    }

    #[test]
    fn classes_that_come_together_are_all_found() {
        let split = Split::at_random(40, 0);
        let strengths = [1e-4, 1.0, 1e4];
        let mut calls = Vec::new();
        let chosen = choose(images(40), &strengths, &split, &mut |done, total| {
            calls.push((done, total));
            Ok(())
        });
        let chosen = chosen.unwrap();
        assert_eq!((chosen.validated.len(), chosen.strength), (3, 1e-4));
        assert!(calls.is_sorted() && calls.iter().all(|(done, total)| *total == 8 && done < total));
        assert_eq!(chosen.precisions(&images(16)), [Some(1.0), Some(1.0)]);
        let mut none = images(16);
        none.members[1].fill(false);
        assert_eq!(chosen.precisions(&none), [Some(1.0), None]);
    }

    #[test]
    fn one_strength_needs_no_split_and_a_stop_stops() {
        let split = Split { fitted: Vec::new(), validation: Vec::new() };
        let one = choose(images(8), &[0.5], &split, &mut |_, _| Ok(())).unwrap();
        assert!(one.validated.is_empty() && one.strength == 0.5);
        let stopped = choose(images(8), &[0.5], &split, &mut |_, _| Err(Stopped));
        assert!(matches!(stopped, Err(Error::Stopped(_))), "{stopped:?}");
    }
}
