//! The ticker is a thread that shows progress while a step or another long task goes on, and that answers
//! signals at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::view::View;

/// Time between two ticks.
const TICK: Duration = Duration::from_millis(100);

/// Runs `work` while a thread ticks the view.
pub(super) fn with<T>(view: &Mutex<View<'_>>, stop: &AtomicBool, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let ticking = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                thread::park_timeout(TICK);
                lock(view).tick(stop.load(Ordering::Relaxed));
            }
        });
        // Dropped after a panic too. Otherwise the scope would wait for the thread forever.
        let _end = End { done: &done, thread: ticking.thread().clone() };
        work()
    })
}

/// Locks the view. A panic while it was locked has left a text unfinished, which is no reason to end.
pub(super) fn lock<'a, 'b>(view: &'a Mutex<View<'b>>) -> MutexGuard<'a, View<'b>> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the ticking thread when it is dropped.
struct End<'a> {
    done: &'a AtomicBool,
    thread: thread::Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}
