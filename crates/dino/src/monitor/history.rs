//! What the monitor remembers of the steps before.

use std::collections::VecDeque;

/// A running mean: of all values at first, later over about `window` of them.
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

    pub(super) fn add(&mut self, value: f64) {
        self.count = (self.count + 1).min(self.window);
        self.value += (value - self.value) / self.count as f64;
    }

    pub(super) fn get(&self) -> f64 {
        self.value
    }
}

/// The median of the last values.
#[derive(Debug, Clone, Default)]
pub(super) struct Median {
    values: VecDeque<f64>,
}

impl Median {
    const WINDOW: usize = 101;
    /// Values that are needed before it means something.
    const ENOUGH: usize = 50;

    pub(super) fn add(&mut self, value: f64) {
        if self.values.len() == Self::WINDOW {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    /// Nothing while there are too few.
    pub(super) fn get(&self) -> Option<f64> {
        if self.values.len() < Self::ENOUGH {
            return None;
        }
        let mut sorted: Vec<f64> = self.values.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        Some(sorted[sorted.len() / 2])
    }
}

/// Whether an alarm is on: it changes when its condition has been otherwise some times in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Switch {
    on: bool,
    otherwise: u32,
}

impl Switch {
    /// Notes whether the condition holds; `true` if the alarm starts or ends now.
    pub(super) fn note(&mut self, holds: bool, patience: u32) -> bool {
        self.otherwise = if holds == self.on { 0 } else { self.otherwise + 1 };
        let changes = self.otherwise >= patience;
        if changes {
            (self.on, self.otherwise) = (holds, 0);
        }
        changes
    }

    pub(super) fn is_on(self) -> bool {
        self.on
    }
}
