//! The workers, and the batches that they fill.
//!
//! A batch in flight is a list of tasks, one for each image; each owns the memory of its crops, so
//! a worker writes without a lock. Workers take tasks in the order of the steps. When a batch has
//! no task left to be taken, the next one is begun, so nobody waits for the last image of a batch.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::ahead::Ahead;
use super::faults::Faults;
use super::sample::{Made, Maker, Task};
use super::stats::LoaderStats;
use super::{Batch, LoaderConfig};
use crate::augment::Scratch;
use crate::augment::normalize::Element;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::order;
use crate::recipe::Recipe;

/// What the workers and whoever takes batches share.
pub(super) struct Pool<T: Element> {
    pub(super) dataset: Arc<dyn Dataset>,
    pub(super) recipe: Arc<Recipe>,
    pub(super) config: LoaderConfig,
    pub(super) steps_per_epoch: u64,
    faults: Faults,
    state: Mutex<State<T>>,
    /// A batch is finished, or will never be.
    finished: Condvar,
    /// There may be tasks, or it is time to stop.
    wanted: Condvar,
}

struct State<T: Element> {
    /// Steps whose batches are not begun.
    steps: Range<u64>,
    /// The epoch whose batches are begun.
    epoch: Option<Epoch>,
    /// Batches that are being made or wait to be taken, in the order of the steps.
    flights: VecDeque<Flight<T>>,
    /// Memory of batches that were given back.
    free: Vec<Batch<T>>,
    stats: LoaderStats,
    stop: bool,
    /// A worker ended by a panic.
    panicked: bool,
}

/// An epoch, the order of its samples, and which of their shards are still to be made ready.
struct Epoch {
    number: u64,
    order: Vec<u32>,
    ahead: Ahead,
}

/// A batch whose memory is with its tasks.
struct Flight<T: Element> {
    batch: Batch<T>,
    /// Not yet taken, the last one first.
    tasks: Vec<Task<T>>,
    /// What became of each image.
    made: Vec<Option<Made<T>>>,
    missing: usize,
}

impl<T: Element> Pool<T> {
    pub(super) fn new(
        dataset: Arc<dyn Dataset>,
        recipe: Arc<Recipe>,
        config: LoaderConfig,
        steps_per_epoch: u64,
        steps: Range<u64>,
    ) -> Self {
        let state = Mutex::new(State {
            steps,
            epoch: None,
            flights: VecDeque::new(),
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
        // nothing that can panic is done under the lock
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a worker does, until it is told to stop or all batches are made.
    pub(super) fn work(&self) {
        let _end = End(self);
        let (dataset, recipe, config) = (&*self.dataset, &*self.recipe, &self.config);
        let faults = &self.faults;
        let mut maker = Maker { dataset, recipe, config, faults, scratch: Scratch::default() };
        while let Some(task) = self.take() {
            let (step, place) = (task.step, task.place);
            let made = maker.make(task);
            self.put(step, place, made);
        }
    }

    /// The next task; waits until there is room for one; nothing if there will be none.
    fn take(&self) -> Option<Task<T>> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            if let Some(task) = state.flights.iter_mut().find_map(|flight| flight.tasks.pop()) {
                return Some(task);
            }
            if state.steps.is_empty() {
                return None;
            }
            if state.flights.len() < self.config.in_flight() {
                self.begin(&mut state);
                self.wanted.notify_all();
                continue;
            }
            let start = Instant::now();
            state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.stats.idle += start.elapsed();
        }
    }

    /// Begins the batch of the next step.
    fn begin(&self, state: &mut State<T>) {
        let Some(step) = state.steps.next() else { return };
        let (epoch, images) = (step / self.steps_per_epoch, self.config.batch_size);
        let current = match &mut state.epoch {
            Some(current) if current.number == epoch => current,
            other => other.insert(self.epoch(epoch)),
        };
        let step_of_epoch = step % self.steps_per_epoch;
        let places = self.config.places(step_of_epoch);
        current.ahead.prepare(&self.dataset, places);
        let indices = self.config.indices(step_of_epoch, &current.order);
        let free = state.free.pop().filter(|batch| batch.fits(&self.recipe, images));
        let mut batch = free.unwrap_or_else(|| Batch::empty(&self.recipe, images));
        let mut tasks = batch.begin(step, epoch, indices);
        tasks.reverse();
        let made = tasks.iter().map(|_| None).collect();
        state.flights.push_back(Flight { batch, missing: tasks.len(), tasks, made });
    }

    fn epoch(&self, number: u64) -> Epoch {
        let order = order::of_dataset(self.dataset.as_ref(), self.config.seed, number);
        let ahead = Ahead::new(&order, self.dataset.shards().as_ref());
        Epoch { number, order, ahead }
    }

    /// Stores what became of a task.
    fn put(&self, step: u64, place: usize, made: Made<T>) {
        let mut state = self.lock();
        state.stats += made.stats;
        // batches are taken only when they are finished, so the flight is there
        let Some(first) = state.flights.front().map(|flight| flight.batch.step) else { return };
        let flight = &mut state.flights[(step - first) as usize];
        flight.made[place] = Some(made);
        flight.missing -= 1;
        if flight.missing == 0 && step == first {
            self.finished.notify_one();
        }
    }

    /// The batch of the next step, when it is finished; nothing after the last one.
    pub(super) fn next(&self) -> Option<Result<Batch<T>, Error>> {
        let mut state = self.lock();
        let flight = loop {
            let finished = state.flights.front().is_some_and(|flight| flight.missing == 0);
            if finished {
                break state.flights.pop_front()?;
            }
            if state.panicked {
                let reason = "ended by a panic, which is a bug".into();
                return Some(Err(Error::Worker { reason }));
            }
            if state.flights.is_empty() && state.steps.is_empty() {
                return None;
            }
            state = self.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        self.wanted.notify_all();
        Some(flight.batch.finish(flight.made.into_iter().flatten().collect()))
    }

    pub(super) fn recycle(&self, batch: Batch<T>) {
        self.lock().free.push(batch);
    }

    pub(super) fn stats(&self) -> LoaderStats {
        self.lock().stats
    }

    /// Tells the workers to end after the image they are at.
    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.wanted.notify_all();
    }
}

/// Tells of a panic, when the worker that has it ends.
struct End<'a, T: Element>(&'a Pool<T>);

impl<T: Element> Drop for End<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut state = self.0.lock();
            (state.panicked, state.stop) = (true, true);
            self.0.finished.notify_one();
            self.0.wanted.notify_all();
        }
    }
}
