//! A [`Forecast`] is what a run will cost: time, memory, disk. It is made before the run starts.
//!
//! Seconds of a step and of an image are measured on this machine ([`StepTime`], [`LoaderSpeed`]); memory and
//! disk are computed. Training and loading share the cores:
//!
//! ```text
//! step = max(compute, load, (compute · threads + load · workers) / cores)
//! ```

mod disk;
mod load;
mod loader;
mod step;
mod time;
pub(crate) mod work;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use multicrop::Dataset;
use probe::Evaluation;
use serde::Serialize;

use crate::error::Result;
use crate::memory::{self, Estimate};
use crate::plan::Plan;

pub use disk::Disk;
pub use load::{Load, cores};
pub use loader::LoaderSpeed;
pub use step::StepTime;
pub use time::{Limit, RunTime};

/// Budget of a measurement at the start of a long run. Expensive images take longer.
const LONGEST: Duration = Duration::from_secs(1);
/// Share of a run that is spent on measuring it.
const SHARE: f64 = 0.01;
/// Operations per second of a slow machine.
const SLOW: f64 = 2e10;

/// The run that is to be forecast.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its settings.
    pub plan: &'a Plan,
    /// The images.
    pub dataset: &'a Arc<dyn Dataset>,
    /// The labelled images.
    pub evaluation: Option<&'a Evaluation>,
    /// The folder that it writes to, or one above it.
    pub folder: &'a Path,
    /// Steps done before.
    pub first_step: u64,
}

/// What a run will cost.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// Images to train on.
    pub images: usize,
    /// Images of a step.
    pub batch_size: usize,
    /// Micro-batches of a step.
    pub accumulate: usize,
    /// Steps done before.
    pub first_step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Parameters of the student.
    pub parameters: usize,
    /// Compute threads.
    pub threads: usize,
    /// Cores of the machine, and programs that wanted one during the minute before the measurement.
    pub load: Load,
    /// Memory by part.
    pub memory: Memory,
    /// Seconds of a step without loading; `None` if it could not be measured.
    pub step: Option<StepTime>,
    /// Speed of the loader.
    pub loader: LoaderSpeed,
    /// Time of the run; `None` without that of a step.
    pub time: Option<RunTime>,
    /// Space on disk.
    pub disk: Disk,
    /// The largest batch that fits into memory in one piece.
    pub largest_batch: Option<usize>,
    /// The smallest `optim.accumulate` with which this batch fits.
    pub accumulate_that_fits: Option<usize>,
}

/// Bytes of memory by part. Not all parts are at their largest at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Memory {
    /// Student and teacher.
    pub weights: f64,
    /// Gradients of the student.
    pub gradients: f64,
    /// Both moments of AdamW.
    pub optimizer: f64,
    /// Saved and temporary tensors of a micro-batch.
    pub activations: f64,
    /// Crops of the current batch and of batches made ahead.
    pub loader: f64,
    /// Features and forward passes of evaluations.
    pub evaluation: f64,
    /// The peak of the run.
    pub total: f64,
    /// Free memory of the machine, if it is known.
    pub free: Option<f64>,
}

impl Subject<'_> {
    /// How many multiples of `every` are among the steps that are left, without the last one. None for 0.
    fn due(&self, every: u64) -> u64 {
        let total = self.plan.horizon().total_steps;
        let before = |step: u64| step.checked_div(every).unwrap_or(0);
        before(total.saturating_sub(1)) - before(self.first_step.min(total))
    }

    /// How many of these steps are multiples of at least one of `every`: all subsets count, with alternating signs
    /// (inclusion and exclusion).
    fn due_for_any(&self, every: &[u64]) -> u64 {
        let every: Vec<u64> = every.iter().copied().filter(|every| *every > 0).collect();
        let subsets = (1..1usize << every.len()).map(|subset| {
            let of_subset = (0..every.len()).filter(|i| subset >> i & 1 == 1);
            let due = self.due(of_subset.map(|i| every[i]).fold(1, least_common_multiple)) as i64;
            if subset.count_ones() % 2 == 1 { due } else { -due }
        });
        subsets.sum::<i64>() as u64
    }

    /// Seconds that the steps that are left take on a slow machine.
    fn seconds_when_slow(&self) -> f64 {
        let config = &self.plan.config;
        let steps = self.plan.horizon().total_steps.saturating_sub(self.first_step);
        steps as f64 * work::of_network(config, config.optim.batch_size) / SLOW
    }
}

/// `u64::MAX` if it is larger than that.
fn least_common_multiple(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).saturating_mul(b)
}

impl Memory {
    fn of(estimate: &Estimate) -> Self {
        // Five buffers of the size of the student: two networks, gradients, two moments.
        let buffer = estimate.weights / 5.0;
        Self {
            weights: 2.0 * buffer,
            gradients: buffer,
            optimizer: 2.0 * buffer,
            activations: estimate.activations,
            loader: estimate.images,
            evaluation: estimate.evaluation,
            total: estimate.total,
            free: memory::available().map(|bytes| bytes as f64),
        }
    }
}

impl Forecast {
    /// Measures for about `budget`, and computes the rest.
    ///
    /// # Errors
    /// Images that cannot be read.
    pub fn of(subject: &Subject<'_>, budget: Duration) -> Result<Self> {
        let Subject { plan, dataset, evaluation, first_step, .. } = *subject;
        let config = &plan.config;
        let threads = rayon::current_num_threads();
        let evaluated = evaluation.map(Evaluation::size);
        let estimate = Estimate::of_training(config, threads, evaluated);
        let load = Load::now();
        let step = StepTime::measure(config, budget.mul_f64(0.75));
        let loader = LoaderSpeed::measure(plan, dataset, budget.mul_f64(0.25))?;
        let time = step.as_ref().map(|step| RunTime::of(subject, step, &loader));
        Ok(Self {
            images: dataset.len(),
            batch_size: config.optim.batch_size,
            accumulate: config.optim.accumulate,
            first_step,
            total_steps: plan.horizon().total_steps,
            parameters: memory::parameters(config) as usize,
            threads,
            load,
            memory: Memory::of(&estimate),
            step,
            loader,
            time,
            disk: Disk::of(subject),
            largest_batch: memory::largest_batch(config, threads, evaluated),
            accumulate_that_fits: memory::accumulate_that_fits(config, threads, evaluated),
        })
    }

    /// The same at the start of a run: measures for a second, and for less before a short run.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_start(subject: &Subject<'_>) -> Result<Self> {
        let budget = (SHARE * subject.seconds_when_slow()).clamp(0.001, LONGEST.as_secs_f64());
        Self::of(subject, Duration::from_secs_f64(budget))
    }
}
