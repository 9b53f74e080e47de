//! Classification with few labelled images for each class, by MSN's protocol.
//!
//! 1. Draw n images of each class. A class with fewer gives all it has.
//! 2. Subtract from each feature its own mean over the dimensions, and scale it to unit length.
//! 3. Fit a logistic regression without intercept to the drawn images, with `λ = 0.00025 / rows`
//!    ([`crate::logistic`]).
//! 4. Classify all test images. Repeat with other draws; report mean and standard deviation.
//!
//! Source: `logistic_eval.py` of MSN (values, preprocessing); Assran et al., ECCV 2022.

mod probe;

use rand::seq::SliceRandom;
use serde::Serialize;
use streams::{Key, Purpose};

use crate::accuracy::ClassAccuracy;
use crate::definition::Features;
use crate::error::{Result, Stopped};
use crate::logistic::{Regression, Settings};
use crate::matrix::Matrix;

pub use probe::FewLabels;

/// λ times the number of rows.
const STRENGTH: f64 = 0.00025;

/// How many images of each class are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shots {
    /// This many.
    PerClass(usize),
    /// This share of the class, 0 to 1, and one at least.
    Share(f64),
}

/// Accuracies over several draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FewShot {
    /// Images that were drawn, of all classes.
    pub images: usize,
    /// Top-1 of each draw, in percent.
    pub top1: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with `draws − 1`; `None` for one draw.
    pub deviation: Option<f64>,
    /// Fits that ended before their optimum.
    pub not_converged: usize,
}

/// Prepares features as the protocol wants them.
///
/// # Errors
/// As [`Matrix::sync`].
pub fn prepare(rows: &mut Matrix) -> Result<()> {
    let d = rows.width.max(1);
    for row in rows.values.chunks_exact_mut(d) {
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / d as f64;
        row.iter_mut().for_each(|x| *x = (f64::from(*x) - mean) as f32);
    }
    rows.normalize();
    rows.sync()
}

/// Rows of one draw, ascending.
pub fn draw(labels: &[u32], shots: Shots, seed: u64, split: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut Key::new(seed, Purpose::Estimate).index(3).time(split).open());
    order.sort_by_key(|&i| labels[i]);
    let of_class = |class: &[usize]| {
        let most = match shots {
            Shots::PerClass(count) => count,
            Shots::Share(share) => ((share * class.len() as f64).round() as usize).max(1),
        };
        class[..most.min(class.len())].to_vec()
    };
    let classes = order.chunk_by(|&a, &b| labels[a] == labels[b]);
    let mut drawn: Vec<usize> = classes.flat_map(of_class).collect();
    drawn.sort_unstable();
    drawn
}

/// The classes of all test rows by a fit of the `drawn` training rows, and whether the fit reached its optimum.
/// Features are [`prepare`]d. `go_on` is asked before each iteration.
///
/// # Errors
/// If `go_on` wants to stop; if copies of features on disk have no room there.
pub fn predict(
    train: &Features,
    test: &Features,
    classes: usize,
    drawn: &[usize],
    go_on: &mut dyn FnMut() -> Result<(), Stopped>,
) -> Result<(Vec<u32>, bool)> {
    let settings = Settings { weight_decay: STRENGTH / drawn.len() as f64, ..Settings::default() };
    let drawn = train.select(drawn)?;
    let fit = Regression::new(&drawn, classes, false).fit(&settings, None, go_on)?;
    Ok((fit.classifier.predict(&test.rows), fit.converged))
}

/// The accuracy of `splits` draws. Features are [`prepare`]d. `go_on` is asked before each iteration.
///
/// # Errors
/// If `go_on` wants to stop; if copies of features on disk have no room there.
pub fn score(
    train: &Features,
    test: &Features,
    classes: usize,
    shots: Shots,
    (splits, seed): (u64, u64),
    go_on: &mut dyn FnMut() -> Result<(), Stopped>,
) -> Result<FewShot> {
    let (mut images, mut top1, mut not_converged) = (0, Vec::new(), 0);
    for split in 0..splits {
        let drawn = draw(&train.labels, shots, seed, split);
        images = drawn.len();
        let (predicted, converged) = predict(train, test, classes, &drawn, go_on)?;
        not_converged += usize::from(!converged);
        top1.push(ClassAccuracy::of(&predicted, &test.labels).top1);
    }
    let count = top1.len() as f64;
    let mean = top1.iter().sum::<f64>() / count;
    let squares: f64 = top1.iter().map(|x| (x - mean).powi(2)).sum();
    let deviation = (top1.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
    Ok(FewShot { images, top1, mean, deviation, not_converged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_as_many_of_each_class_and_differ() {
        let labels: Vec<u32> = (0..300).map(|i| i % 3).chain([7]).collect();
        let drawn = draw(&labels, Shots::PerClass(5), 0, 0);
        let count = |class: u32| drawn.iter().filter(|&&i| labels[i] == class).count();
        assert_eq!([0, 1, 2, 7].map(count), [5, 5, 5, 1]);
        assert_eq!(drawn, draw(&labels, Shots::PerClass(5), 0, 0));
        assert_ne!(drawn, draw(&labels, Shots::PerClass(5), 0, 1));
        assert_ne!(drawn, draw(&labels, Shots::PerClass(5), 1, 0));
        assert_eq!(draw(&labels, Shots::Share(0.02), 0, 0).len(), 3 * 2 + 1);
    }

    #[test]
    fn rows_are_centered_on_themselves() {
        let mut rows = Matrix::new(vec![3.0, 1.0, 2.0, 5.0, 5.0, 5.0], 3);
        prepare(&mut rows).unwrap();
        let half = 0.5f32.sqrt();
        let expected = [half, -half, 0.0, 0.0, 0.0, 0.0];
        assert!(rows.values.iter().zip(expected).all(|(x, e)| (x - e).abs() < 1e-7), "{rows:?}");
    }
}
