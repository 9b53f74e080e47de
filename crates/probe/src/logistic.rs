//! Multinomial logistic regression on frozen features, to the optimum.
//!
//! ```text
//! f(W, b) = 1/n Σ_i [ log Σ_c exp(w_c · x_i + b_c) − (w_y · x_i + b_y) ] + λ/2 ‖W‖²      y = label of i
//! ```
//!
//! The intercept `b` is free. scikit-learn's `LogisticRegression(C)` has the same optimum for
//! `λ = 1 / (C n)` from three classes on. Of two classes it fits one weight vector, the difference of ours: the
//! same optimum for `λ = 2 / (C n)`.
//!
//! f is convex. L-BFGS minimizes it with an initial matrix that comes from the data: at probabilities `p`,
//! the Hessian is close to
//!
//! ```text
//! H = I_C ⊗ (a Σ + λ I)        Σ = covariance of x,  a = mean of p (1 − p)
//! ```
//!
//! which is Böhning's bound with the mean of `p (1 − p)` in place of 1/2. Features of a network have a few
//! large variances and many small ones. Without this matrix, most iterations go into finding that out.
//!
//! A value of f costs two matrix products over all features. They are f32 until they limit the progress, and
//! f64 for the last iterations.
//!
//! Source: Böhning, *Multinomial logistic regression algorithm*, 1992; Liu and Nocedal, 1989, for L-BFGS.

mod lbfgs;
mod objective;
pub mod one_vs_rest;
mod probe;
pub mod sweep;

use engine::matmul::{Mat, MatMut, Product, matmul};

use crate::definition::Features;
use crate::error::Stopped;
use crate::matrix::Matrix;
use lbfgs::{Ended, Limits, Memory};
use objective::{Objective, Sums};
pub use probe::Logistic;

/// Largest entry of the gradient, relative to that at zero weights, down to which f32 is exact enough.
const SINGLE: f64 = 1e-4;

/// Rows whose scores are held at once by a classifier.
const CHUNK: usize = 4096;

/// What is fitted, and how exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// λ, 0 or more. It multiplies half the squared norm of the weights, beside a *mean* of losses.
    pub weight_decay: f64,
    /// When the gradient is small enough.
    pub tolerance: Tolerance,
    /// Most iterations.
    pub max_iterations: usize,
}

/// The largest entry that the gradient may have at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// This.
    Absolute(f64),
    /// This times the loss, which counts as 0.001 at least and as 1 at most. Where the loss of the optimum is small, as that
    /// of classes that can be separated, a gradient that is small beside 1 says little.
    OfLoss(f64),
}

impl Tolerance {
    fn at(self, loss: f64) -> f64 {
        match self {
            Self::Absolute(gradient) => gradient,
            Self::OfLoss(share) => share * loss.clamp(1e-3, 1.0),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { weight_decay: 1e-4, tolerance: Tolerance::OfLoss(1e-6), max_iterations: 1000 }
    }
}

/// A linear classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// `W`, `[classes, width]`.
    pub weight: Vec<f64>,
    /// `b`, `[classes]`; zeros without an intercept.
    pub bias: Vec<f64>,
    /// Values in a feature.
    pub width: usize,
}

/// A classifier that was fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The classifier.
    pub classifier: Classifier,
    /// f at its weights.
    pub loss: f64,
    /// Largest entry of the gradient.
    pub gradient: f64,
    /// Iterations of L-BFGS.
    pub iterations: usize,
    /// Whether the gradient is below the tolerance.
    pub converged: bool,
}

/// Labelled features, prepared once for any number of fits.
pub struct Regression<'a> {
    objective: Objective<'a>,
    /// Largest entry of the gradient at zero weights.
    gradient_at_zero: f64,
}

impl<'a> Regression<'a> {
    /// Prepares fits of `classes` classes; all labels are below it. Without `intercept`, `b` stays 0.
    ///
    /// # Panics
    /// Without rows, or if a label is too large.
    pub fn new(train: &'a Features, classes: usize, intercept: bool) -> Self {
        assert!(!train.labels.is_empty(), "no rows");
        assert!(train.labels.iter().all(|&label| (label as usize) < classes), "labels");
        let objective = Objective::new(train, classes, intercept);
        Self { gradient_at_zero: objective.gradient_at_zero(), objective }
    }

    /// Bytes of a fit at most: L-BFGS keeps ten steps and as many changes of the gradient, blocks have sums, and
    /// the covariance has a factor.
    pub fn bytes(width: usize, classes: usize) -> usize {
        8 * 40 * (width + 1) * classes + 16 * width * width
    }

    /// The optimum, searched from `start` or from zero weights. `go_on` is asked before each iteration.
    ///
    /// # Errors
    /// If `go_on` wants to stop.
    pub fn fit(
        &self,
        settings: &Settings,
        start: Option<&Classifier>,
        go_on: &mut dyn FnMut() -> Result<(), Stopped>,
    ) -> Result<Fit, Stopped> {
        let Settings { weight_decay, tolerance, max_iterations } = *settings;
        let objective = &self.objective;
        let mut weights = start.map_or_else(|| objective.zeros(), |of| objective.centered(of));
        let mut memory = Memory::default();
        let mut iterations = 0;
        // Small problems gain nothing from f32.
        let phases: &[(Sums, f64)] = match objective.is_small() {
            true => &[(Sums::F64, 0.0)],
            false => &[(Sums::F32, SINGLE * self.gradient_at_zero), (Sums::F64, 0.0)],
        };
        let mut ended = Ended::default();
        for &(sums, single) in phases {
            let limits = Limits { tolerance, single, iterations: max_iterations - iterations };
            let mut value = |at: &[f64]| objective.value(at, weight_decay, sums);
            let solve = |spread: f64| objective.preconditioner(spread, weight_decay);
            ended = lbfgs::minimize(&mut weights, &mut memory, &mut value, &solve, limits, go_on)?;
            iterations += ended.iterations;
        }
        Ok(Fit {
            classifier: objective.classifier(&weights),
            loss: ended.value,
            gradient: ended.gradient,
            iterations,
            converged: ended.gradient <= tolerance.at(ended.value),
        })
    }
}

impl Classifier {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// The scores of each class, `[rows, classes]`.
    pub fn scores(&self, rows: &Matrix) -> Vec<f32> {
        let mut scores = Vec::with_capacity(rows.len() * self.classes());
        self.for_each_chunk(rows, &mut |chunk| scores.extend_from_slice(chunk));
        scores
    }

    /// The class of the largest score of each row; the lower class of equal ones.
    pub fn predict(&self, rows: &Matrix) -> Vec<u32> {
        let best = |scores: &[f32]| {
            let best = scores.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
            best.map_or(0, |(class, _)| class as u32)
        };
        let mut predicted = Vec::with_capacity(rows.len());
        self.for_each_chunk(rows, &mut |chunk| {
            predicted.extend(chunk.chunks_exact(self.classes()).map(best));
        });
        predicted
    }

    /// Visits the scores of some rows after the other, `[any, classes]`.
    fn for_each_chunk(&self, rows: &Matrix, visit: &mut dyn FnMut(&[f32])) {
        let (d, classes) = (self.width, self.classes());
        let [weight, bias] = [&self.weight, &self.bias].map(|of| objective::single(of));
        let mut scores = vec![0.0; CHUNK.min(rows.len()) * classes];
        for rows in rows.values.chunks((CHUNK * d).max(1)) {
            let count = rows.len() / d;
            let scores = &mut scores[..count * classes];
            matmul(
                MatMut::new(scores, count, classes),
                Mat::new(rows, count, d),
                Mat::new(&weight, classes, d).t(),
                Product::ALL.with_bias(&bias),
            );
            visit(scores);
        }
    }
}
