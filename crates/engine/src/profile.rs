//! Where a step's time goes: time, arithmetic and traffic of each operation.
//!
//! Off unless [`start`] was called; then every operation that the thread of the step calls leaves its
//! wall time and what it had to do. Operations do not nest. Measuring reads clocks only, so it changes
//! no result.
//!
//! [`peaks`] measures what the machine could do at most, so that a share of it can be told.

mod peak;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use peak::{Peaks, peaks};

/// What an operation has to do at the least.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations of products; a multiply-add is two.
    pub flop: f64,
    /// Bytes that are read and written, each once.
    pub bytes: f64,
}

/// All calls of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Total {
    /// How often it ran.
    pub calls: u64,
    /// For how long, in wall time.
    pub time: Duration,
    /// What it had to do.
    pub work: Work,
}

static ON: AtomicBool = AtomicBool::new(false);
static TOTALS: Mutex<BTreeMap<&'static str, Total>> = Mutex::new(BTreeMap::new());

fn totals() -> MutexGuard<'static, BTreeMap<&'static str, Total>> {
    // A panic elsewhere leaves the sums whole: they are changed by additions alone.
    TOTALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets what was measured and measures from now on.
pub fn start() {
    totals().clear();
    ON.store(true, Ordering::Relaxed);
}

/// Stops measuring; what was measured, by the operation's name.
pub fn stop() -> Vec<(&'static str, Total)> {
    ON.store(false, Ordering::Relaxed);
    std::mem::take(&mut *totals()).into_iter().collect()
}

/// Measures an operation until it is dropped.
#[must_use = "an operation is measured until its timer is dropped"]
#[derive(Debug)]
pub struct Timer(Option<(&'static str, Work, Instant)>);

/// Starts to measure an operation that multiplies for `flop` operations and moves `numbers` f32.
pub fn time(name: &'static str, flop: usize, numbers: usize) -> Timer {
    let work = Work { flop: flop as f64, bytes: (numbers * size_of::<f32>()) as f64 };
    Timer(ON.load(Ordering::Relaxed).then(|| (name, work, Instant::now())))
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some((name, work, start)) = self.0.take() else { return };
        let time = start.elapsed();
        let mut totals = totals();
        let total = totals.entry(name).or_default();
        total.calls += 1;
        total.time += time;
        total.work.flop += work.flop;
        total.work.bytes += work.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_name_are_added_while_it_is_on() {
        drop(time("before", 1, 1));
        start();
        drop(time("one", 2, 3));
        drop(time("one", 2, 3));
        let measured = stop();
        drop(time("after", 1, 1));
        let [(name, total)] = measured[..] else { panic!("one operation, found {measured:?}") };
        assert_eq!((name, total.calls), ("one", 2));
        assert_eq!(total.work, Work { flop: 4.0, bytes: 24.0 });
        assert!(stop().is_empty());
    }
}
