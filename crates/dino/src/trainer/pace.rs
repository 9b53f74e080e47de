//! A `Pace` measures training speed, and how much of the time is spent waiting for images.

use std::time::{Duration, Instant};

use report::{Metric, Metrics};

/// Running means over the time of steps.
pub(super) struct Pace {
    batch_size: usize,
    last: Instant,
    spent: Duration,
    steps: u64,
    recent: f64,      // seconds per step, a running mean
    recent_wait: f64, // seconds of waiting for images per step, a running mean
}

impl Pace {
    pub(super) fn new(batch_size: usize) -> Self {
        Self {
            batch_size,
            last: Instant::now(),
            spent: Duration::ZERO,
            steps: 0,
            recent: 0.0,
            recent_wait: 0.0,
        }
    }

    /// Starts the clock. Call it before the first step and after a pause.
    pub(super) fn start(&mut self) {
        self.last = Instant::now();
    }

    /// Ends a step, of whose time `waited` was spent waiting for images.
    pub(super) fn step(&mut self, waited: Duration) {
        let spent = self.last.elapsed();
        self.last = Instant::now();
        self.spent += spent;
        self.steps += 1;
        // A running mean over about ten steps; over all steps until there are ten.
        let weight = 1.0 / self.steps.min(10) as f64;
        self.recent += weight * (spent.as_secs_f64() - self.recent);
        self.recent_wait += weight * (waited.as_secs_f64() - self.recent_wait);
    }

    /// Adds speed and waiting of the last steps.
    pub(super) fn measure(&self, metrics: &mut Metrics) {
        let seconds = self.recent.max(1e-9);
        metrics.add(Metric::ImagesPerSecond, self.batch_size as f64 / seconds);
        metrics.add(Metric::DataWaitShare, self.recent_wait / seconds);
    }

    /// Images per second over all steps.
    pub(super) fn total(&self) -> f64 {
        self.batch_size as f64 * self.steps as f64 / self.spent.as_secs_f64().max(1e-9)
    }
}
