//! [`Pool`]: the queue of tasks for the workers, and the batches that they fill.
//!
//! A batch in flight is a list of tasks, one for each image. Each task owns the memory of its
//! crops, so workers write without a lock. Workers take tasks in the order of the steps. When a
//! batch has no task left, the next batch is started, so no worker waits for the last image of a
//! batch.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::augmentation::Augmentation;
use super::faults::Faults;
use super::sample::{SampleLoader, Task, TaskResult};
use super::shard_prefetch::ShardPrefetch;
use super::stats::LoaderStats;
use super::{Batch, LoaderConfig};
use crate::augment::Scratch;
use crate::augment::normalize::Element;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::order;

/// The state that the workers and the [`Loader`](super::Loader) share.
pub(super) struct Pool<T: Element> {
    pub(super) dataset: Arc<dyn Dataset>,
    pub(super) recipe: Arc<dyn Augmentation<T>>,
    pub(super) config: LoaderConfig,
    pub(super) steps_per_epoch: u64,
    faults: Faults,
    state: Mutex<State<T>>,
    /// Signals that the first batch is finished, or that a worker panicked.
    finished: Condvar,
    /// Signals that there may be new tasks, or that workers should stop.
    wanted: Condvar,
}

struct State<T: Element> {
    /// Steps whose batches are not started.
    steps: Range<u64>,
    /// The epoch of the batch that was started last.
    epoch: Option<Epoch>,
    /// Batches that are in progress or wait to be taken, in the order of the steps.
    in_flight: VecDeque<InFlight<T>>,
    /// Recycled batches.
    free: Vec<Batch<T>>,
    stats: LoaderStats,
    stop: bool,
    /// Whether a worker panicked.
    panicked: bool,
}

/// An epoch: the order of its samples, and the shards that have to be loaded.
struct Epoch {
    number: u64,
    order: Vec<u32>,
    prefetch: ShardPrefetch,
}

/// A batch whose tasks own its memory.
struct InFlight<T: Element> {
    batch: Batch<T>,
    /// Tasks that no worker has taken, the last one first.
    tasks: Vec<Task<T>>,
    /// The result of each task that is done.
    results: Vec<Option<TaskResult<T>>>,
    missing: usize,
}

impl<T: Element> Pool<T> {
    pub(super) fn new(
        dataset: Arc<dyn Dataset>,
        recipe: Arc<dyn Augmentation<T>>,
        config: LoaderConfig,
        steps_per_epoch: u64,
        steps: Range<u64>,
    ) -> Self {
        let state = Mutex::new(State {
            steps,
            epoch: None,
            in_flight: VecDeque::new(),
            free: Vec::new(),
            stats: LoaderStats::default(),
            stop: false,
            panicked: false,
        });
        let (finished, wanted) = (Condvar::new(), Condvar::new());
        let faults = Faults::default();
        Self { dataset, recipe, config, steps_per_epoch, faults, state, finished, wanted }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // a poisoned lock is fine, because no code under it can panic halfway through a change
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a worker until [`stop`](Self::stop), or until all batches are made.
    pub(super) fn work(&self) {
        let _guard = PanicGuard(self);
        let (dataset, recipe, config) = (&*self.dataset, &*self.recipe, &self.config);
        let (faults, scratch) = (&self.faults, Scratch::default());
        let mut loader = SampleLoader { dataset, recipe, config, faults, scratch };
        while let Some(task) = self.take() {
            let (step, position) = (task.step, task.position);
            let result = loader.run(task);
            self.put(step, position, result);
        }
    }

    /// Takes the next task, waiting while too many batches are in flight; `None` if there are no
    /// more.
    fn take(&self) -> Option<Task<T>> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            if let Some(task) = state.in_flight.iter_mut().find_map(|batch| batch.tasks.pop()) {
                return Some(task);
            }
            if state.steps.is_empty() {
                return None;
            }
            if state.in_flight.len() < self.config.in_flight() {
                self.begin(&mut state);
                self.wanted.notify_all();
                continue;
            }
            let start = Instant::now();
            state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.stats.idle += start.elapsed();
        }
    }

    /// Starts the batch of the next step.
    fn begin(&self, state: &mut State<T>) {
        let Some(step) = state.steps.next() else { return };
        let (epoch, images) = (step / self.steps_per_epoch, self.config.batch_size);
        let current = match &mut state.epoch {
            Some(current) if current.number == epoch => current,
            other => other.insert(self.epoch(epoch)),
        };
        let step_of_epoch = step % self.steps_per_epoch;
        current.prefetch.start(&self.dataset, self.config.positions(step_of_epoch));
        let indices = self.config.indices(step_of_epoch, &current.order);
        let free = state.free.pop().filter(|batch| batch.fits(&*self.recipe, images));
        let mut batch = free.unwrap_or_else(|| Batch::empty(&*self.recipe, images));
        let mut tasks = batch.begin(step, epoch, indices);
        tasks.reverse();
        let results = tasks.iter().map(|_| None).collect();
        state.in_flight.push_back(InFlight { batch, missing: tasks.len(), tasks, results });
    }

    fn epoch(&self, number: u64) -> Epoch {
        let order = order::for_dataset(self.dataset.as_ref(), self.config.seed, number);
        let prefetch = ShardPrefetch::new(&order, self.dataset.shards().as_ref());
        Epoch { number, order, prefetch }
    }

    /// Stores the result of a task.
    fn put(&self, step: u64, position: usize, result: TaskResult<T>) {
        let mut state = self.lock();
        state.stats += result.stats;
        // only finished batches are taken, so this one is still in the queue
        let Some(first) = state.in_flight.front().map(|first| first.batch.step) else { return };
        let current = &mut state.in_flight[(step - first) as usize];
        current.results[position] = Some(result);
        current.missing -= 1;
        if current.missing == 0 && step == first {
            self.finished.notify_one();
        }
    }

    /// Waits for the batch of the next step, at most for `limit`. Returns the number of its images that are
    /// missing; 0 if [`next`](Self::next) will not wait.
    pub(super) fn wait(&self, limit: Duration) -> usize {
        let missing = |state: &State<T>| match state.in_flight.front() {
            _ if state.panicked => 0,
            Some(first) => first.missing,
            // No worker has started it yet.
            None if !state.steps.is_empty() => self.config.batch_size,
            None => 0,
        };
        let waiting = |state: &mut State<T>| missing(state) > 0;
        let waited = self.finished.wait_timeout_while(self.lock(), limit, waiting);
        missing(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Waits for the batch of the next step; `None` after the last one.
    pub(super) fn next(&self) -> Option<Result<Batch<T>, Error>> {
        let mut state = self.lock();
        let finished = loop {
            if state.in_flight.front().is_some_and(|first| first.missing == 0) {
                break state.in_flight.pop_front()?;
            }
            if state.panicked {
                let reason = "ended by a panic, which is a bug".into();
                return Some(Err(Error::Worker { reason }));
            }
            if state.in_flight.is_empty() && state.steps.is_empty() {
                return None;
            }
            state = self.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        self.wanted.notify_all();
        Some(finished.batch.finish(finished.results.into_iter().flatten().collect()))
    }

    pub(super) fn recycle(&self, batch: Batch<T>) {
        self.lock().free.push(batch);
    }

    pub(super) fn stats(&self) -> LoaderStats {
        self.lock().stats
    }

    /// Makes the workers end after their current image.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.wanted.notify_all();
    }
}

/// Marks the pool as panicked if the worker that owns the guard panics.
struct PanicGuard<'a, T: Element>(&'a Pool<T>);

impl<T: Element> Drop for PanicGuard<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut state = self.0.lock();
            (state.panicked, state.stop) = (true, true);
            self.0.finished.notify_one();
            self.0.wanted.notify_all();
        }
    }
}
