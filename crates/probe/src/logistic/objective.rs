//! The [`Objective`]: value and gradient of the regularized log loss over all rows.
//!
//! Weights are for centered features, which makes intercept and weights nearly independent:
//!
//! ```text
//! w · x + b = w · (x − m) + b'        b' = b + w · m,  m = mean of x  (0 without an intercept)
//! ```
//!
//! The point is `[classes, d]` weights and `[classes]` intercepts b', in one vector.
//!
//! Rows are cut into [`BLOCKS`] blocks whatever the number of threads, and the blocks' sums are added in
//! order: the same bits for any number of threads.

use engine::matmul::{Mat, MatMut, Product, matmul};
use nalgebra::{Cholesky, DMatrix, DMatrixView, DVector};
use rayon::prelude::*;

use super::Classifier;
use super::lbfgs::{Solver, Value};
use crate::definition::Features;

/// Blocks of rows, each with sums of its own.
const BLOCKS: usize = 16;
/// Rows whose scores are held at once.
const CHUNK: usize = 256;
/// Multiplications of a value of f below which f32 gains nothing.
const SMALL: usize = 1 << 24;

/// In which precision scores and gradients are computed. Losses are added in f64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    F32,
    F64,
}

pub(super) struct Objective<'a> {
    train: &'a Features,
    classes: usize,
    intercept: bool,
    /// `m`, `[d]`.
    mean: Vec<f64>,
    /// Σ, of `x − m`.
    covariance: DMatrix<f64>,
}

/// Sums over the rows of a block.
struct Block {
    loss: f64,
    /// Σ p (1 − p) over rows and classes.
    spread: f64,
    /// Σ r x, `[classes, d]`, with `r = p − [y = c]`.
    weight: Vec<f64>,
    /// Σ r, `[classes]`.
    bias: Vec<f64>,
}

impl<'a> Objective<'a> {
    pub(super) fn new(train: &'a Features, classes: usize, intercept: bool) -> Self {
        let d = train.rows.width;
        let mean = if intercept { mean(train) } else { vec![0.0; d] };
        let covariance = covariance(train, &mean);
        Self { train, classes, intercept, mean, covariance }
    }

    fn width(&self) -> usize {
        self.train.rows.width
    }

    /// Whether f64 is fast enough from the start.
    pub(super) fn is_small(&self) -> bool {
        self.train.labels.len() * self.width() * self.classes < SMALL
    }

    pub(super) fn zeros(&self) -> Vec<f64> {
        vec![0.0; self.classes * (self.width() + 1)]
    }

    /// The point of a classifier.
    pub(super) fn centered(&self, of: &Classifier) -> Vec<f64> {
        let rows = of.weight.chunks_exact(self.width().max(1));
        let bias = rows.zip(&of.bias).map(|(row, b)| b + dot(row, &self.mean));
        let bias: Vec<f64> = bias.collect();
        [&of.weight[..], &bias].concat()
    }

    /// The classifier of a point.
    pub(super) fn classifier(&self, at: &[f64]) -> Classifier {
        let (weight, centered) = at.split_at(self.classes * self.width());
        let rows = weight.chunks_exact(self.width().max(1));
        let bias = rows.zip(centered).map(|(row, b)| b - dot(row, &self.mean)).collect();
        Classifier { weight: weight.to_vec(), bias, width: self.width() }
    }

    /// Largest entry of the gradient at zero weights.
    pub(super) fn gradient_at_zero(&self) -> f64 {
        let at = self.value(&self.zeros(), 0.0, Sums::F32);
        at.gradient.iter().fold(0.0, |most, x| x.abs().max(most))
    }

    /// f and its gradient.
    pub(super) fn value(&self, at: &[f64], weight_decay: f64, sums: Sums) -> Value {
        let (n, d) = (self.train.labels.len(), self.width());
        let classifier = self.classifier(at);
        let rows = n.div_ceil(BLOCKS);
        let blocks: Vec<Block> = (0..BLOCKS)
            .into_par_iter()
            .map(|block| {
                let range = (block * rows).min(n)..((block + 1) * rows).min(n);
                let labels = &self.train.labels[range.clone()];
                let rows = &self.train.rows.values[range.start * d..range.end * d];
                match sums {
                    Sums::F32 => block_f32(&classifier, rows, labels),
                    Sums::F64 => block_f64(&classifier, rows, labels),
                }
            })
            .collect();
        let (mut loss, mut spread) = (0.0, 0.0);
        let (mut weight, mut bias) = (vec![0.0; self.classes * d], vec![0.0; self.classes]);
        for block in blocks {
            loss += block.loss;
            spread += block.spread;
            weight.iter_mut().zip(block.weight).for_each(|(sum, x)| *sum += x);
            bias.iter_mut().zip(block.bias).for_each(|(sum, x)| *sum += x);
        }
        let scale = 1.0 / n as f64;
        for (class, row) in weight.chunks_exact_mut(d.max(1)).enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                let w = classifier.weight[class * d + j];
                *x = scale * (*x - bias[class] * self.mean[j]) + weight_decay * w;
            }
        }
        let free = if self.intercept { scale } else { 0.0 };
        bias.iter_mut().for_each(|x| *x *= free);
        let squares = dot(&classifier.weight, &classifier.weight);
        let value = scale * loss + 0.5 * weight_decay * squares;
        weight.extend(bias);
        let spread = spread * scale / self.classes as f64;
        Value { value, gradient: weight, spread }
    }

    /// Solves with `a Σ + λ I` for the weights of each class, and with `a` for the intercepts.
    pub(super) fn preconditioner(&self, spread: f64, weight_decay: f64) -> Solver {
        let (d, classes) = (self.width(), self.classes);
        let a = spread.max(1e-12);
        // A little more than λ, so that constant features have a solution without regularization.
        let ridge = weight_decay + 1e-10 * a * self.covariance.trace() / d.max(1) as f64 + 1e-300;
        let matrix = a * &self.covariance + DMatrix::identity(d, d) * ridge;
        let factor = Cholesky::new(matrix);
        Box::new(move |g| {
            let (weight, bias) = g.split_at_mut(classes * d);
            if let Some(factor) = &factor {
                weight.par_chunks_exact_mut(d).for_each(|row| {
                    let mut solved = DVector::from_column_slice(row);
                    factor.solve_mut(&mut solved);
                    row.copy_from_slice(solved.as_slice());
                });
            }
            bias.iter_mut().for_each(|x| *x /= a);
        })
    }
}

/// Turns scores of a row into `r = p − [y = c]`; returns the loss and Σ p (1 − p).
fn residuals(scores: &mut [f64], label: u32) -> (f64, f64) {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let own = scores[label as usize] - most;
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - most).exp();
        sum += *score;
    }
    let mut spread = 0.0;
    for score in scores.iter_mut() {
        *score /= sum;
        spread += *score * (1.0 - *score);
    }
    scores[label as usize] -= 1.0;
    (sum.ln() - own, spread)
}

/// The same in f32; the sum of exponentials and the loss are f64.
fn residuals_f32(scores: &mut [f32], label: u32) -> (f64, f64) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let own = f64::from(scores[label as usize]) - f64::from(most);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - most).exp();
        sum += f64::from(*score);
    }
    let scale = (1.0 / sum) as f32;
    let mut spread = 0.0;
    for score in scores.iter_mut() {
        *score *= scale;
        spread += *score * (1.0 - *score);
    }
    scores[label as usize] -= 1.0;
    (sum.ln() - own, f64::from(spread))
}

fn block_f32(of: &Classifier, rows: &[f32], labels: &[u32]) -> Block {
    let (d, classes) = (of.width, of.classes());
    let [weight, bias] = [&of.weight, &of.bias].map(|of| single(of));
    let mut scores = vec![0.0f32; CHUNK.min(labels.len()) * classes];
    let (mut sums, mut bias_sums) = (vec![0.0f32; classes * d], vec![0.0; classes]);
    let (mut loss, mut spread) = (0.0, 0.0);
    for (rows, labels) in rows.chunks(CHUNK * d).zip(labels.chunks(CHUNK)) {
        let count = labels.len();
        let scores = &mut scores[..count * classes];
        let x = Mat::new(rows, count, d);
        let out = MatMut::new(scores, count, classes);
        matmul(out, x, Mat::new(&weight, classes, d).t(), Product::ONE.with_bias(&bias));
        for (row, &label) in scores.chunks_exact_mut(classes).zip(labels) {
            let (of_row, of_spread) = residuals_f32(row, label);
            loss += of_row;
            spread += of_spread;
            bias_sums.iter_mut().zip(&*row).for_each(|(sum, r)| *sum += f64::from(*r));
        }
        let residuals = Mat::new(scores, count, classes).t();
        matmul(MatMut::new(&mut sums, classes, d), residuals, x, Product::ONE.added());
    }
    Block { loss, spread, weight: double(&sums), bias: bias_sums }
}

fn block_f64(of: &Classifier, rows: &[f32], labels: &[u32]) -> Block {
    let (d, classes) = (of.width, of.classes());
    // nalgebra is column-major: a row-major [a, b] is its [b, a].
    let weight = DMatrixView::from_slice(&of.weight, d, classes).transpose();
    let bias = DVector::from_column_slice(&of.bias);
    let mut sums = DMatrix::zeros(d, classes);
    let mut bias_sums = vec![0.0; classes];
    let (mut loss, mut spread) = (0.0, 0.0);
    for (rows, labels) in rows.chunks(CHUNK * d).zip(labels.chunks(CHUNK)) {
        let x = DMatrix::from_iterator(d, labels.len(), rows.iter().map(|&x| f64::from(x)));
        let mut scores = &weight * &x; // [classes, rows]
        for (mut row, &label) in scores.column_iter_mut().zip(labels) {
            row += &bias;
            let (of_row, of_spread) = residuals(row.as_mut_slice(), label);
            loss += of_row;
            spread += of_spread;
            bias_sums.iter_mut().zip(row.iter()).for_each(|(sum, r)| *sum += r);
        }
        sums.gemm(1.0, &x, &scores.transpose(), 1.0);
    }
    Block { loss, spread, weight: sums.as_slice().to_vec(), bias: bias_sums }
}

/// The mean of the rows, `[d]`.
fn mean(train: &Features) -> Vec<f64> {
    let mut sum = vec![0.0; train.rows.width];
    for row in train.rows.rows() {
        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let n = train.labels.len() as f64;
    sum.iter_mut().for_each(|sum| *sum /= n);
    sum
}

/// Σ, from products in f32: an estimate is enough to precondition.
fn covariance(train: &Features, mean: &[f64]) -> DMatrix<f64> {
    let (n, d) = (train.labels.len(), train.rows.width);
    let mean = single(mean);
    let blocks: Vec<Vec<f32>> = train
        .rows
        .values
        .par_chunks((n.div_ceil(BLOCKS) * d).max(1))
        .map(|block| {
            let mut sum = vec![0.0f32; d * d];
            for rows in block.chunks(CHUNK * d) {
                let centered = rows.iter().enumerate().map(|(i, x)| x - mean[i % d]);
                let centered: Vec<f32> = centered.collect();
                let x = Mat::new(&centered, rows.len() / d, d);
                matmul(MatMut::new(&mut sum, d, d), x.t(), x, Product::ONE.added());
            }
            sum
        })
        .collect();
    let mut sum = DMatrix::zeros(d, d);
    for block in blocks {
        sum.as_mut_slice().iter_mut().zip(block).for_each(|(sum, x)| *sum += f64::from(x));
    }
    sum / n as f64
}

pub(super) fn single(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

fn double(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
