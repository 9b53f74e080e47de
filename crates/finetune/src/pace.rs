//! `Pace` measures the speed of this process, and predicts how long the rest takes.

use std::time::{Duration, Instant};

/// Times of steps and of tests.
#[derive(Debug)]
pub(crate) struct Pace {
    batch_size: usize,
    started: Instant,
    /// Steps that were done before.
    first: u64,
    tests: u32,
    testing: Duration,
}

impl Pace {
    pub(crate) fn new(batch_size: usize) -> Self {
        Self { batch_size, started: Instant::now(), first: 0, tests: 0, testing: Duration::ZERO }
    }

    /// Starts to measure before step `first`.
    pub(crate) fn start(&mut self, first: u64) {
        *self = Self { first, ..Self::new(self.batch_size) };
    }

    /// Adds the time of a test.
    pub(crate) fn tested(&mut self, time: Duration) {
        (self.tests, self.testing) = (self.tests + 1, self.testing + time);
    }

    /// The time of one step.
    fn of_step(&self, step: u64) -> Duration {
        let training = self.started.elapsed().saturating_sub(self.testing);
        training.div_f64(step.saturating_sub(self.first).max(1) as f64)
    }

    /// Training images in a second, after `step` steps.
    pub(crate) fn images_per_second(&self, step: u64) -> f64 {
        self.batch_size as f64 / self.of_step(step).as_secs_f64().max(1e-9)
    }

    /// The time that the rest of the steps and this number of tests will take.
    pub(crate) fn left(&self, step: u64, total_steps: u64, tests: u64) -> Duration {
        let steps = self.of_step(step).mul_f64(total_steps.saturating_sub(step) as f64);
        steps + (self.testing / self.tests.max(1)).mul_f64(tests as f64)
    }
}
