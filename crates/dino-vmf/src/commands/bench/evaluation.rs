//! `dino-vmf bench evaluation`: what follows the forward pass in k-NN, in the linear probe and in logistic regression.

use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};
use probe::linear::{self, Sweep};
use probe::logistic::{self, Regression};
use probe::{Features, Matrix, Storage, knn};
use rand_distr::{Distribution, StandardNormal};
use report::number::counted;
use serde::Serialize;
use streams::{Key, Purpose};

use super::conditions::start_threads;
use super::record::{median, rounded};
use crate::commands::thread_count;
use crate::console::Console;

/// Spread of the rows of a class; the centers of the classes have 1.
const NOISE: f32 = 3.5;
/// Memory for rows that are read from the disk out of order.
const BUFFER: usize = 256 << 20;

/// Time k-NN, the sweep of linear probes or logistic regression on random features
///
/// Features are normally distributed around the center of their class. The time is that of the evaluation alone,
/// without the forward pass of a network. `linear` trains the 45 learning rates of the sweep at once.
///
/// Example: dino-vmf bench evaluation knn --train 50000 --test 10000
#[derive(Debug, Args)]
pub(crate) struct Evaluation {
    /// What is timed
    #[arg(value_name = "TASK")]
    task: Task,
    /// Training rows
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    #[arg(allow_negative_numbers = true)]
    train: u32,
    /// Test rows
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    #[arg(allow_negative_numbers = true)]
    test: u32,
    /// Values in a row
    #[arg(long, value_name = "N", default_value_t = 384, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    #[arg(allow_negative_numbers = true)]
    width: u32,
    /// Classes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    #[arg(allow_negative_numbers = true)]
    classes: u32,
    /// Passes over the training rows, for `linear`
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    #[arg(allow_negative_numbers = true)]
    epochs: u32,
    /// Timed runs
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    #[arg(allow_negative_numbers = true)]
    runs: u32,
    /// Keep the rows in a temporary file, as evaluations do with features that do not fit into memory
    #[arg(long)]
    on_disk: bool,
    /// Compute threads; 0 uses all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
}

/// An evaluation of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Task {
    /// k-NN with k = 10 and 20
    Knn,
    /// 45 learning rates of SGD at once
    Linear,
    /// Logistic regression to its optimum, λ = 1e-4
    Logistic,
}

/// Setup and result. Fields have the names of those in the Python script, where it has them.
#[derive(Debug, Serialize)]
struct Record {
    peer: &'static str,
    version: &'static str,
    task: Task,
    threads: usize,
    train: u32,
    test: u32,
    dim: u32,
    classes: u32,
    on_disk: bool,
    seconds_median: f64,
    seconds: Vec<f64>,
    top1: f64,
    /// Epochs or iterations.
    #[serde(skip_serializing_if = "Option::is_none")]
    passes: Option<usize>,
    /// The value of the objective, for `logistic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<f64>,
    /// The largest entry of its gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    gradient: Option<f64>,
}

/// What one run found.
struct Found {
    top1: f64,
    passes: Option<usize>,
    fit: Option<logistic::Fit>,
}

impl Evaluation {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let threads = start_threads(self.threads)?;
        let rows = f64::from(self.train) + f64::from(self.test);
        let what = format!("a set of {rows} rows of {} values", self.width);
        let advice = "try a smaller `--train`, `--test` or `--width`";
        // On disk, the rows take no memory that other programs could not have.
        let copies = if self.on_disk { 0.0 } else { 3.0 };
        dino::memory::require_bytes(what, copies * 4.0 * rows * f64::from(self.width), advice)?;
        let unit = self.task == Task::Knn;
        let train = self.features(self.train, 1, unit)?;
        let test = self.features(self.test, 2, unit)?;
        let (mut seconds, mut last) = (Vec::new(), None);
        for _ in 0..self.runs {
            let start = Instant::now();
            last = Some(self.measure(&train, &test)?);
            seconds.push(rounded(start.elapsed().as_secs_f64(), 3));
        }
        let Found { top1, passes, fit } = last.expect("one run at least");
        let record = Record {
            peer: "dino-vmf",
            version: env!("CARGO_PKG_VERSION"),
            task: self.task,
            threads,
            train: self.train,
            test: self.test,
            dim: self.width,
            classes: self.classes,
            on_disk: self.on_disk,
            seconds_median: rounded(median(&seconds), 3),
            seconds,
            top1: rounded(top1, 3),
            passes,
            loss: fit.as_ref().map(|fit| fit.loss),
            gradient: fit.as_ref().map(|fit| fit.gradient),
        };
        record.print(console);
        console.event("evaluation", &record);
        Ok(())
    }

    fn measure(&self, train: &Features, test: &Features) -> Result<Found> {
        Ok(match self.task {
            Task::Knn => {
                let accuracies = knn::classify(train, test, &[10, 20], 0.07);
                Found { top1: accuracies[1].top1, passes: None, fit: None }
            }
            Task::Linear => {
                let epochs = self.epochs as usize;
                let settings = linear::Settings { epochs, ..linear::Settings::default() };
                let mut sweep = Sweep::new(train.rows.width, self.classes as usize, settings);
                for epoch in 0..epochs {
                    sweep.train(epoch, train, &mut || Ok(()))?;
                }
                sweep.test(epochs - 1, test, &mut || Ok(()))?;
                let top1 = sweep.outcomes().iter().map(|of| of.last).fold(0.0, f64::max);
                Found { top1, passes: Some(epochs), fit: None }
            }
            Task::Logistic => {
                let regression = Regression::new(train, self.classes as usize, true);
                // As scikit-learn's, which it is timed beside.
                let tolerance = logistic::Tolerance::Absolute(1e-6);
                let settings = logistic::Settings { tolerance, ..logistic::Settings::default() };
                let fit = regression.fit(&settings, None, &mut || Ok(()))?;
                let predicted = fit.classifier.predict(&test.rows);
                let top1 = probe::accuracy::ClassAccuracy::of(&predicted, &test.labels).top1;
                Found { top1, passes: Some(fit.iterations), fit: Some(fit) }
            }
        })
    }

    /// Rows around the centers of their classes; `index` draws other rows around the same centers.
    fn features(&self, count: u32, index: u64, unit: bool) -> Result<Features> {
        let stream = |index| Key::new(0, Purpose::Bench).index(index).open();
        let width = self.width as usize;
        let (mut of_centers, mut rng) = (stream(0), stream(index));
        let mut normal = || -> f32 { StandardNormal.sample(&mut of_centers) };
        let centers: Vec<f32> = (0..self.classes as usize * width).map(|_| normal()).collect();
        let labels: Vec<u32> = (0..count).map(|row| row % self.classes).collect();
        let storage = if self.on_disk { Storage::Disk { buffer: BUFFER } } else { Storage::Memory };
        let mut rows = Matrix::stored(storage, count as usize, width)?;
        for &label in &labels {
            let center = &centers[label as usize * width..][..width];
            let noise = |&x: &f32| {
                let z: f32 = StandardNormal.sample(&mut rng);
                x + NOISE * z
            };
            let row: Vec<f32> = center.iter().map(noise).collect();
            rows.push(&row, width);
        }
        if unit {
            rows.normalize();
        }
        rows.sync()?;
        Ok(Features { rows, labels })
    }
}

impl Record {
    fn print(&self, console: &mut Console) {
        let Self { seconds_median, train, test, dim, classes, threads, top1, passes, .. } = self;
        let place = if self.on_disk { " on disk" } else { "" };
        let name = match self.task {
            Task::Knn => "k-NN, k = 10 and 20".to_owned(),
            Task::Linear => format!("linear, 45 rates, {}", counted(passes.unwrap_or(0), "epoch")),
            Task::Logistic => {
                format!("logistic regression, {}", counted(passes.unwrap_or(0), "iteration"))
            }
        };
        console.text(format!(
            "{seconds_median:.3} s: {name}; {train} training rows and {test} test rows of {dim} values{place}, {classes} \
             classes, {}; top-1 {top1:.2}",
            counted(*threads, "thread")
        ));
    }
}
