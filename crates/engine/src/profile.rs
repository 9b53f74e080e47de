//! A profile of a step: time, arithmetic and memory traffic of each operation.
//!
//! It is off until [`start`]. Then every operation that the step's thread calls records its wall time and
//! its [`Work`]. Operations do not nest. Measuring only reads clocks, so it changes no result.
//!
//! [`peaks`] measures the machine's peak rates, so that a report can give shares of them.

mod peak;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use peak::{Peaks, peaks};

/// The least work of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations of matmuls; a multiply-add is two.
    pub flop: f64,
    /// Bytes read and written, if each is touched once.
    pub bytes: f64,
}

/// All calls of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Total {
    /// Number of calls.
    pub calls: u64,
    /// Their wall time.
    pub time: Duration,
    /// Their work.
    pub work: Work,
}

static ON: AtomicBool = AtomicBool::new(false);
static TOTALS: Mutex<BTreeMap<&'static str, Total>> = Mutex::new(BTreeMap::new());

fn totals() -> MutexGuard<'static, BTreeMap<&'static str, Total>> {
    // A panic elsewhere cannot leave the sums half-changed: they are changed by additions alone.
    TOTALS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Discards earlier measurements and starts to measure.
pub fn start() {
    totals().clear();
    ON.store(true, Ordering::Relaxed);
}

/// Stops measuring. Returns the totals by the operation's name.
pub fn stop() -> Vec<(&'static str, Total)> {
    ON.store(false, Ordering::Relaxed);
    std::mem::take(&mut *totals()).into_iter().collect()
}

/// Measures an operation until it is dropped.
#[must_use = "an operation is measured until its timer is dropped"]
#[derive(Debug)]
pub struct Timer(Option<(&'static str, Work, Instant)>);

/// Starts to measure an operation of `flop` floating-point operations that moves `values` f32.
pub fn time(name: &'static str, flop: usize, values: usize) -> Timer {
    let work = Work { flop: flop as f64, bytes: (values * size_of::<f32>()) as f64 };
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
