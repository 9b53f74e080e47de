//! The linear probe: linear classifiers on frozen features, trained with SGD at many learning rates at once.
//!
//! ```text
//! R   = (softmax(X Wᵀ + b) − onehot(y)) / batch        for each rate
//! v_W ← 0.9 v_W + Rᵀ X        W ← W − η_e v_W
//! v_b ← 0.9 v_b + Σ R         b ← b − η_e v_b
//! η_e = ½ η (batch_size / 256) (1 + cos(π e / E))      e = epoch, from 0; E = all epochs
//! ```
//!
//! Weights start from N(0, 0.01²), the same ones for every rate; intercepts start from 0. The classifiers of
//! all rates are one matrix `[rates · classes, d]`, so a batch costs two matrix products for all of them.
//!
//! Official codes report the best test accuracy of all rates and epochs, which is selected on the test
//! images. [`Outcome`] has that of the last epoch as well.
//!
//! Source: `eval_linear.py` of DINO, `eval_linear_multi.py` of iBOT (values of the sweep).

mod probe;

use engine::matmul::{Mat, MatMut, Product, matmul};
use engine::reduce;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use streams::{Key, Purpose};

use crate::accuracy::place;
use crate::definition::Features;
use crate::error::Stopped;
use crate::logistic::Classifier;
use crate::matrix::{Matrix, Storage};

pub use probe::{Linear, usual_features};

const MOMENTUM: f32 = 0.9;
const INIT_STD: f32 = 0.01;
/// Images to which learning rates refer.
const REFERENCE_BATCH: f64 = 256.0;
/// Test rows whose scores are held at once.
const CHUNK: usize = 256;
/// Intercepts whose gradient a thread sums up.
const COLUMNS: usize = 256;

/// How the classifiers are trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Learning rates for 256 images; they are multiplied by `batch_size / 256`.
    pub rates: Vec<f64>,
    /// Passes over the training features.
    pub epochs: usize,
    /// Rows of a step.
    pub batch_size: usize,
    /// Draws the first weights and the order of the rows.
    pub seed: u64,
}

impl Default for Settings {
    /// iBOT's sweep: 1 to 9 times 1e-4, 1e-3, 1e-2, 0.1 and 1; 100 epochs; batches of 1024.
    fn default() -> Self {
        let decades = [1e-4, 1e-3, 1e-2, 0.1, 1.0];
        let rates = decades.iter().flat_map(|decade| (1..10).map(move |i| f64::from(i) * decade));
        Self { rates: rates.collect(), epochs: 100, batch_size: 1024, seed: 0 }
    }
}

/// Classifiers of all rates, while they are trained.
#[derive(Debug, Clone)]
pub struct Sweep {
    settings: Settings,
    classes: usize,
    width: usize,
    /// `[rates · classes, width]`.
    weight: Vec<f32>,
    weight_velocity: Vec<f32>,
    /// `[rates · classes]`.
    bias: Vec<f32>,
    bias_velocity: Vec<f32>,
    outcomes: Vec<Outcome>,
}

/// How well the classifier of one rate does, in percent of the test images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The learning rate, for 256 images.
    pub rate: f64,
    /// Top-1 after the last epoch.
    pub last: f64,
    /// Top-5 after the last epoch.
    pub last_top5: f64,
    /// Top-1 after the best epoch.
    pub best: f64,
    /// The best epoch, from 1.
    pub best_epoch: usize,
}

/// Test rows whose label has the largest score, and one of the five largest.
#[derive(Debug, Clone, Copy, Default)]
struct Hits {
    top1: usize,
    top5: usize,
}

impl Sweep {
    /// Classifiers before training, for features of `width` values.
    pub fn new(width: usize, classes: usize, settings: Settings) -> Self {
        let mut rng = Key::new(settings.seed, Purpose::LinearProbe).open();
        let normal = Normal::new(0.0, INIT_STD).expect("a standard deviation above 0");
        let one: Vec<f32> = (0..classes * width).map(|_| normal.sample(&mut rng)).collect();
        Self::with_weights(&one, width, settings)
    }

    /// Classifiers that start from these weights, `[classes, width]`.
    pub fn with_weights(weight: &[f32], width: usize, settings: Settings) -> Self {
        let (rates, classes) = (settings.rates.len(), weight.len() / width.max(1));
        let outcome =
            |&rate: &f64| Outcome { rate, last: 0.0, last_top5: 0.0, best: 0.0, best_epoch: 0 };
        Self {
            classes,
            width,
            weight: weight.repeat(rates),
            weight_velocity: vec![0.0; rates * weight.len()],
            bias: vec![0.0; rates * classes],
            bias_velocity: vec![0.0; rates * classes],
            outcomes: settings.rates.iter().map(outcome).collect(),
            settings,
        }
    }

    /// Bytes that a sweep holds: weights and velocities of all rates, and the scores of a batch.
    pub fn bytes(width: usize, classes: usize, settings: &Settings) -> usize {
        let outputs = settings.rates.len() * classes;
        4 * outputs * (2 * width + settings.batch_size.max(CHUNK))
    }

    /// One epoch over training features, in an order that depends on seed and epoch alone.
    ///
    /// # Errors
    /// If `go_on`, which is asked before each step, wants to stop.
    pub fn train(
        &mut self,
        epoch: usize,
        train: &Features,
        go_on: &mut dyn FnMut() -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let mut order: Vec<usize> = (0..train.labels.len()).collect();
        order.shuffle(
            &mut Key::new(self.settings.seed, Purpose::LinearProbe).time(1 + epoch as u64).open(),
        );
        self.train_in_order(epoch, train, &order, go_on)
    }

    /// The same in this order.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn train_in_order(
        &mut self,
        epoch: usize,
        train: &Features,
        order: &[usize],
        go_on: &mut dyn FnMut() -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let (d, batch_size) = (self.width, self.settings.batch_size.max(1));
        let (mut rows, mut labels, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        let together = batch_size * batches_together(&train.rows, batch_size);
        for order in order.chunks(together) {
            go_on()?;
            gather(&train.rows, order, &mut rows);
            for (rows, batch) in rows.chunks(batch_size * d).zip(order.chunks(batch_size)) {
                go_on()?;
                labels.clear();
                labels.extend(batch.iter().map(|&i| train.labels[i]));
                self.step(epoch, rows, &labels, &mut scores);
            }
        }
        Ok(())
    }

    /// One step of all classifiers.
    fn step(&mut self, epoch: usize, rows: &[f32], labels: &[u32], scores: &mut Vec<f32>) {
        let (d, count, outputs) = (self.width, labels.len(), self.bias.len());
        scores.resize(count * outputs, 0.0);
        let x = Mat::new(rows, count, d);
        let weight = Mat::new(&self.weight, outputs, d).t();
        let with_bias = Product::ALL.with_bias(&self.bias);
        matmul(MatMut::new(scores, count, outputs), x, weight, with_bias);
        let (classes, scale) = (self.classes, 1.0 / count as f32);
        scores.par_chunks_exact_mut(outputs).zip(labels).for_each(|(row, &label)| {
            row.chunks_exact_mut(classes).for_each(|scores| residuals(scores, label, scale));
        });
        self.weight_velocity.par_iter_mut().for_each(|v| *v *= MOMENTUM);
        let residuals = Mat::new(scores, count, outputs).t();
        let velocity = MatMut::new(&mut self.weight_velocity, outputs, d);
        matmul(velocity, residuals, x, Product::ALL.added());
        self.bias_velocity.iter_mut().for_each(|v| *v *= MOMENTUM);
        self.bias_velocity.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, velocity)| {
            for row in scores.chunks_exact(outputs) {
                velocity.iter_mut().zip(&row[block * COLUMNS..]).for_each(|(v, r)| *v += r);
            }
        });
        self.update(epoch);
    }

    fn update(&mut self, epoch: usize) {
        let Settings { rates, epochs, batch_size, .. } = &self.settings;
        let progress = epoch as f64 / (*epochs).max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        let scale = cosine * *batch_size as f64 / REFERENCE_BATCH;
        let rates: Vec<f32> = rates.iter().map(|rate| (rate * scale) as f32).collect();
        for (of, velocity, len) in [
            (&mut self.weight, &self.weight_velocity, self.classes * self.width),
            (&mut self.bias, &self.bias_velocity, self.classes),
        ] {
            let parts =
                of.par_chunks_exact_mut(len.max(1)).zip(velocity.par_chunks_exact(len.max(1)));
            parts.zip(&rates).for_each(|((weights, velocity), rate)| {
                weights.iter_mut().zip(velocity).for_each(|(w, v)| *w -= rate * v);
            });
        }
    }

    /// Measures all classifiers on test features after `epoch`, and keeps the results.
    ///
    /// # Errors
    /// If `go_on` wants to stop.
    pub fn test(
        &mut self,
        epoch: usize,
        test: &Features,
        go_on: &mut dyn FnMut() -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let hits = self.hits(&test.rows, &test.labels, go_on)?;
        let percent = |hits: usize| 100.0 * hits as f64 / test.labels.len().max(1) as f64;
        for (outcome, Hits { top1, top5 }) in self.outcomes.iter_mut().zip(hits) {
            (outcome.last, outcome.last_top5) = (percent(top1), percent(top5));
            if outcome.best_epoch == 0 || outcome.last > outcome.best {
                (outcome.best, outcome.best_epoch) = (outcome.last, epoch + 1);
            }
        }
        Ok(())
    }

    /// How many rows the classifier of each rate gets right.
    fn hits(
        &self,
        rows: &Matrix,
        labels: &[u32],
        go_on: &mut dyn FnMut() -> Result<(), Stopped>,
    ) -> Result<Vec<Hits>, Stopped> {
        let (d, outputs, classes) = (self.width, self.bias.len(), self.classes);
        let mut hits = vec![Hits::default(); self.settings.rates.len()];
        let mut scores = vec![0.0; CHUNK * outputs];
        for (rows, labels) in rows.values.chunks(CHUNK * d).zip(labels.chunks(CHUNK)) {
            go_on()?;
            let count = labels.len();
            let scores = &mut scores[..count * outputs];
            let weight = Mat::new(&self.weight, outputs, d).t();
            let out = MatMut::new(scores, count, outputs);
            matmul(out, Mat::new(rows, count, d), weight, Product::ALL.with_bias(&self.bias));
            for (row, &label) in scores.chunks_exact(outputs).zip(labels) {
                for (scores, hits) in row.chunks_exact(classes).zip(&mut hits) {
                    let place = place_if_finite(scores, label);
                    hits.top1 += usize::from(place < 1);
                    hits.top5 += usize::from(place < 5);
                }
            }
        }
        Ok(hits)
    }

    /// The class that the classifier of rate number `rate` gives each row.
    pub fn predict(&self, rate: usize, rows: &Matrix) -> Vec<u32> {
        let (weight, bias) = self.classifier(rate);
        let [weight, bias] = [weight, bias].map(|of| of.iter().map(|&x| f64::from(x)).collect());
        Classifier { weight, bias, width: self.width }.predict(rows)
    }

    /// Everything that training changes, beside the outcomes: weights, intercepts, and the velocities of both.
    pub fn tensors(&self) -> [&[f32]; 4] {
        [&self.weight, &self.bias, &self.weight_velocity, &self.bias_velocity]
    }

    /// Goes on from [`tensors`](Self::tensors) and outcomes of a sweep with the same settings. False if their sizes
    /// are others, which changes nothing.
    pub fn restore(&mut self, tensors: [Vec<f32>; 4], outcomes: Vec<Outcome>) -> bool {
        let same = self.tensors().iter().zip(&tensors).all(|(old, new)| old.len() == new.len());
        if !same || outcomes.len() != self.outcomes.len() {
            return false;
        }
        [self.weight, self.bias, self.weight_velocity, self.bias_velocity] = tensors;
        self.outcomes = outcomes;
        true
    }

    /// What is known of each rate.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Weights and intercepts of the classifier of rate number `rate`.
    pub fn classifier(&self, rate: usize) -> (&[f32], &[f32]) {
        let len = self.classes * self.width;
        let (weight, bias) = (&self.weight[rate * len..], &self.bias[rate * self.classes..]);
        (&weight[..len], &bias[..self.classes])
    }
}

/// Batches whose rows are copied at once: one from memory, many from the disk.
fn batches_together(rows: &Matrix, batch_size: usize) -> usize {
    match rows.storage() {
        Storage::Memory => 1,
        Storage::Disk { buffer } => (buffer / (4 * batch_size * rows.width.max(1))).max(1),
    }
}

/// Copies rows in this order, `[order, d]`. From a disk they are read in the order in which they lie, which is many times
/// as fast.
fn gather(from: &Matrix, order: &[usize], rows: &mut Vec<f32>) {
    rows.resize(order.len() * from.width, 0.0);
    let mut copies: Vec<_> = order.iter().zip(rows.chunks_exact_mut(from.width)).collect();
    if let Storage::Disk { .. } = from.storage() {
        copies.sort_unstable_by_key(|(row, _)| **row);
    }
    copies.into_par_iter().for_each(|(&row, copy)| copy.copy_from_slice(from.row(row)));
}

/// Turns the scores of one row and rate into `scale (softmax − onehot)`. A rate that diverged has scores that
/// are not finite; its residuals become 0, so that it stays as it is.
fn residuals(scores: &mut [f32], label: u32, scale: f32) {
    let most = reduce::max(scores);
    let sum = reduce::exp_about(scores, most);
    if !sum.is_finite() {
        scores.fill(0.0);
        return;
    }
    let of_sum = scale / sum;
    scores.iter_mut().for_each(|score| *score *= of_sum);
    scores[label as usize] -= scale;
}

/// The place of the label among the classes; a score that is not finite puts it last.
fn place_if_finite(scores: &[f32], label: u32) -> usize {
    if scores[label as usize].is_finite() { place(scores, label) } else { scores.len() }
}
