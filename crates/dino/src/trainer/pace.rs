//! Images per second, and how much of the time is waiting for them.

use std::time::{Duration, Instant};

/// Times the steps of a run.
pub(super) struct Pace {
    batch_size: usize,
    last: Instant,
    spent: Duration,
    steps: u64,
    recent: f64,      // seconds per step, a running mean
    recent_wait: f64, // of these, seconds of waiting for images
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

    /// Steps are timed from here: call it after a pause.
    pub(super) fn start(&mut self) {
        self.last = Instant::now();
    }

    /// A step ends now; `waited` of its time was waiting for images.
    pub(super) fn step(&mut self, waited: Duration) {
        let spent = self.last.elapsed();
        self.last = Instant::now();
        self.spent += spent;
        self.steps += 1;
        // A running mean over about ten steps; the first step is all there is to start with.
        let weight = 1.0 / self.steps.min(10) as f64;
        self.recent += weight * (spent.as_secs_f64() - self.recent);
        self.recent_wait += weight * (waited.as_secs_f64() - self.recent_wait);
    }

    pub(super) fn recent(&self) -> f64 {
        self.batch_size as f64 / self.recent.max(1e-9)
    }

    /// Part of the time of the last steps that was waiting for images.
    pub(super) fn data_wait_share(&self) -> f64 {
        self.recent_wait / self.recent.max(1e-9)
    }

    pub(super) fn total(&self) -> f64 {
        self.batch_size as f64 * self.steps as f64 / self.spent.as_secs_f64().max(1e-9)
    }
}
