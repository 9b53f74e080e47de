//! Batches of crops, made ahead by worker threads, in step order.
//!
//! A thread makes one batch after the other; the samples of a batch are shared out among the
//! workers, so a batch is ready as soon as possible and its buffers need no lock. What is in a
//! batch depends on (seed, step) and the data alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::dataset::Dataset;
use crate::decode;
use crate::error::Error;
use crate::order;
use crate::recipe::Recipe;

mod bad;
mod batch;
mod fill;

pub use batch::{BadImage, Batch, CropBuffer};

use bad::BadImages;
use fill::Filler;

/// How batches are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Images in a batch.
    pub batch_size: usize,
    /// Threads that load and augment; 0 counts as 1.
    pub workers: usize,
    /// Finished batches that wait to be taken, at most.
    pub prefetch: usize,
    /// Of the order of the samples and of everything random about the crops.
    pub seed: u64,
    /// An image that cannot be used is an error instead of being replaced.
    pub strict: bool,
    /// The form in which images are decoded.
    pub decode: decode::Options,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 64,
            workers: 1,
            prefetch: 2,
            seed: 0,
            strict: false,
            decode: decode::Options::default(),
        }
    }
}

/// Steps in an epoch: whole batches only.
///
/// # Errors
/// If there is not one whole batch.
pub fn steps_per_epoch(dataset: &dyn Dataset, batch_size: usize) -> Result<u64, Error> {
    let images = dataset.len();
    match images.checked_div(batch_size) {
        Some(steps) if steps > 0 => Ok(steps as u64),
        _ => Err(Error::TooFewImages { dataset: dataset.describe(), images, batch_size }),
    }
}

/// The batch of one step, made by the calling thread: a replay of what a [`Loader`] gives.
///
/// # Errors
/// If there is no whole batch in the data set, or too many of its images cannot be used.
pub fn batch_at(
    dataset: &dyn Dataset,
    recipe: &Recipe,
    config: &LoaderConfig,
    step: u64,
) -> Result<Batch, Error> {
    let steps = steps_per_epoch(dataset, config.batch_size)?;
    let order = order::of_dataset(dataset, config.seed, step / steps);
    let mut batch = Batch::empty(recipe, config.batch_size);
    batch.begin(step, steps, &order);
    Filler { dataset, recipe, config, stop: &AtomicBool::new(false) }.fill(&mut batch, 1)?;
    Ok(batch)
}

/// Makes the batches of a range of steps ahead of their use; an iterator over them.
///
/// After an error there are no more batches. Dropping it stops its threads within one image.
pub struct Loader {
    batches: Option<Receiver<Result<Batch, Error>>>,
    used: Sender<Batch>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    waited: Duration,
}

impl Loader {
    /// Starts to make the batches of `first_step..last_step`.
    ///
    /// # Errors
    /// If there is no whole batch in the data set, or no thread can be started.
    ///
    /// # Panics
    /// If the recipe is not valid: [`Recipe::validate`] is the caller's.
    pub fn start(
        dataset: Arc<dyn Dataset>,
        recipe: Arc<Recipe>,
        config: LoaderConfig,
        first_step: u64,
        last_step: u64,
    ) -> Result<Self, Error> {
        let steps_per_epoch = steps_per_epoch(dataset.as_ref(), config.batch_size)?;
        let (sender, batches) = mpsc::sync_channel(config.prefetch);
        let (used, recycled) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let bad = BadImages::default();
        let stopped = Arc::clone(&stop);
        let mut producer =
            Producer { dataset, recipe, config, steps_per_epoch, recycled, stop: stopped, bad };
        let thread = thread::Builder::new()
            .name("image loader".into())
            .spawn(move || producer.run(first_step..last_step, &sender))
            .map_err(|error| Error::Worker { reason: format!("cannot be started: {error}") })?;
        let waited = Duration::ZERO;
        Ok(Self { batches: Some(batches), used, stop, thread: Some(thread), waited })
    }

    /// Gives a batch back, so that its memory serves a later one.
    pub fn recycle(&self, batch: Batch) {
        // after the last batch nobody takes it, and it is freed
        drop(self.used.send(batch));
    }

    /// How long [`next`](Iterator::next) waited for batches, in all.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Waits for the thread, which ends after its channel; true if it panicked.
    fn join(&mut self) -> bool {
        self.thread.take().is_some_and(|thread| thread.join().is_err())
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = Instant::now();
        let batch = self.batches.as_ref()?.recv().ok();
        self.waited += start.elapsed();
        match batch {
            Some(Ok(batch)) => return Some(Ok(batch)),
            Some(Err(error)) => {
                self.batches = None;
                return Some(Err(error));
            }
            None => self.batches = None,
        }
        let reason = "ended by a panic, which is a bug".into();
        self.join().then_some(Err(Error::Worker { reason }))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // a producer that waits for room in the channel notices that nobody listens
        self.batches = None;
        self.join();
    }
}

/// The thread that makes batches.
struct Producer {
    dataset: Arc<dyn Dataset>,
    recipe: Arc<Recipe>,
    config: LoaderConfig,
    steps_per_epoch: u64,
    recycled: Receiver<Batch>,
    stop: Arc<AtomicBool>,
    bad: BadImages,
}

impl Producer {
    fn run(&mut self, steps: std::ops::Range<u64>, sender: &SyncSender<Result<Batch, Error>>) {
        let (mut epoch, mut order) = (None, Vec::new());
        for step in steps {
            let now = step / self.steps_per_epoch;
            if epoch.replace(now) != Some(now) {
                order = order::of_dataset(self.dataset.as_ref(), self.config.seed, now);
            }
            let batch = self.make(step, &order);
            let failed = batch.is_err();
            if self.stop.load(Ordering::Relaxed) || sender.send(batch).is_err() || failed {
                return;
            }
        }
    }

    fn make(&mut self, step: u64, order: &[u32]) -> Result<Batch, Error> {
        let (dataset, recipe, config) = (self.dataset.as_ref(), &*self.recipe, &self.config);
        let recycled = self.recycled.try_recv().ok().filter(|b| b.fits(recipe, config.batch_size));
        let mut batch = recycled.unwrap_or_else(|| Batch::empty(recipe, config.batch_size));
        batch.begin(step, self.steps_per_epoch, order);
        Filler { dataset, recipe, config, stop: &self.stop }.fill(&mut batch, config.workers)?;
        self.bad.add(dataset, &batch.bad)?;
        Ok(batch)
    }
}
