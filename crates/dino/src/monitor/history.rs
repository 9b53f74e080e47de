//! Running means, a running median and switches: what the monitor remembers of earlier steps.

use std::collections::VecDeque;

/// A running mean: over all values at first, later over about `window` of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mean {
    window: u64,
    count: u64,
    value: f64,
}

impl Mean {
    pub(super) fn over(window: u64) -> Self {
        Self { window, count: 0, value: 0.0 }
    }

    /// Adds a value, if there is one.
    pub(super) fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.count = (self.count + 1).min(self.window);
            self.value += (value - self.value) / self.count as f64;
        }
    }

    /// The mean; NaN before the first value, so that no comparison with it holds.
    pub(super) fn get(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.value }
    }
}

/// The median of the last values.
#[derive(Debug, Clone, Default)]
pub(super) struct Median {
    values: VecDeque<f64>,
}

impl Median {
    const WINDOW: usize = 101;
    /// Fewest values that give a median.
    const ENOUGH: usize = 50;

    /// Adds a value; NaN is left out.
    pub(super) fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        if self.values.len() == Self::WINDOW {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    /// The median; nothing while there are too few values.
    pub(super) fn get(&self) -> Option<f64> {
        if self.values.len() < Self::ENOUGH {
            return None;
        }
        let mut sorted: Vec<f64> = self.values.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        Some(sorted[sorted.len() / 2])
    }
}

/// Whether an alarm is raised. It changes when its condition has disagreed several times in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Switch {
    on: bool,
    disagreed: u32, // times in a row
}

impl Switch {
    /// Takes whether the condition holds now. Returns `true` if this raises or clears the alarm.
    pub(super) fn update(&mut self, holds: bool, patience: u32) -> bool {
        self.disagreed = if holds == self.on { 0 } else { self.disagreed + 1 };
        let changes = self.disagreed >= patience;
        if changes {
            (self.on, self.disagreed) = (holds, 0);
        }
        changes
    }

    pub(super) fn is_on(self) -> bool {
        self.on
    }
}
