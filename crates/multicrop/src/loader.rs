//! Batches of crops, made ahead by worker threads, in step order.
//!
//! ```text
//! tasks of batch 7 ──▶ worker 0: read, decode, augment ─▶ their part of batch 7 ─┐
//! tasks of batch 8 ──▶ worker 1: …                                               ├─▶ next()
//!                      …                               recycled memory ◀─────────┘
//! ```
//!
//! The threads live as long as the loader. What they take is one image of a batch, with the memory
//! of its crops: they write straight into the batch that the model reads, and start on the next
//! batch while the last images of one are being made. Batches in flight are bounded, and their
//! memory is used again. What is in a batch depends on (seed, step) and the data alone.

use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use streams::{Key, Purpose, Stream};

use crate::augment::Scratch;
use crate::augment::normalize::Element;
use crate::dataset::Dataset;
use crate::decode;
use crate::error::Error;
use crate::order;
use crate::recipe::Recipe;

mod ahead;
mod bad;
mod batch;
mod faults;
mod pool;
mod sample;
mod stats;
mod values;

pub use bad::BadImages;
pub use batch::{BadImage, Batch, CropBuffer};
pub use stats::LoaderStats;
pub use values::Values;

use faults::Faults;
use pool::Pool;
use sample::Maker;

/// How batches are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Images in a batch; of each rank, if there are several.
    pub batch_size: usize,
    /// Threads that load and augment; 0 counts as 1.
    pub workers: usize,
    /// Finished batches that wait to be taken, at most. One more is being made, or as many as have
    /// an image for each worker.
    pub prefetch: usize,
    /// Of the order of the samples and of everything random about the crops.
    pub seed: u64,
    /// An image that cannot be used is an error instead of being replaced.
    pub strict: bool,
    /// The form in which images are decoded.
    pub decode: decode::Options,
    /// Which of the `ranks` this is, from 0.
    pub rank: usize,
    /// Processes that train together. They share one batch of `ranks * batch_size` images: the one
    /// that a single process with that batch size has. Image `i` of it goes to rank `i % ranks`.
    pub ranks: usize,
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
            rank: 0,
            ranks: 1,
        }
    }
}

impl LoaderConfig {
    /// Images of all ranks in one step.
    pub fn global_batch_size(&self) -> usize {
        self.batch_size * self.ranks
    }

    /// Batches that are being made or wait to be taken, at most.
    fn in_flight(&self) -> usize {
        self.prefetch + self.workers.max(1).div_ceil(self.batch_size)
    }

    /// The places in an epoch's order that all ranks together take in a step.
    fn places(&self, step_of_epoch: u64) -> Range<usize> {
        let batch = self.global_batch_size();
        let first = step_of_epoch as usize * batch;
        first..first + batch
    }

    /// This rank's images of a step of an epoch whose order is given.
    fn indices(&self, step_of_epoch: u64, order: &[u32]) -> Vec<usize> {
        let shared = &order[self.places(step_of_epoch)];
        shared.iter().skip(self.rank).step_by(self.ranks).map(|&index| index as usize).collect()
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
///
/// # Panics
/// As [`Loader::start`].
pub fn batch_at<T: Element>(
    dataset: &dyn Dataset,
    recipe: &Recipe,
    config: &LoaderConfig,
    step: u64,
) -> Result<Batch<T>, Error> {
    let steps = check(dataset, config)?;
    let order = order::of_dataset(dataset, config.seed, step / steps);
    let mut batch = Batch::empty(recipe, config.batch_size);
    let tasks = batch.begin(step, step / steps, config.indices(step % steps, &order));
    let faults = &Faults::default();
    let mut maker = Maker { dataset, recipe, config, faults, scratch: Scratch::default() };
    batch.finish(tasks.into_iter().map(|task| maker.make(task)).collect())
}

/// The stream of all that is random about one crop: what [`Recipe::draw`] is given.
///
/// `index` is that of the image in the data set, `crop` counts global and then local crops.
pub fn crop_stream(seed: u64, epoch: u64, index: usize, crop: usize) -> Stream {
    Key::new(seed, Purpose::Augment).epoch(epoch).index(index as u64).crop(crop as u32).open()
}

/// Steps in an epoch, all ranks together.
fn check(dataset: &dyn Dataset, config: &LoaderConfig) -> Result<u64, Error> {
    let LoaderConfig { rank, ranks, .. } = *config;
    assert!(rank < ranks, "rank {rank} of {ranks}");
    steps_per_epoch(dataset, config.global_batch_size())
}

/// Makes the batches of a range of steps ahead of their use; an iterator over them. Values are of
/// single precision, or `half::bf16`.
///
/// After an error there are no more batches; that there are too many bad images is told in place
/// of the batch behind the one that lists the last of them. Dropping it stops its threads within one
/// image; an archive that is being unpacked ahead is still finished, by a thread that nobody waits for.
pub struct Loader<T: Element = f32> {
    pool: Arc<Pool<T>>,
    threads: Vec<JoinHandle<()>>,
    bad: BadImages,
    started: Instant,
    waited: Duration,
    too_many_bad: Option<Error>,
    ended: bool,
}

impl<T: Element> Loader<T> {
    /// Starts to make the batches of `first_step..last_step`.
    ///
    /// # Errors
    /// If there is no whole batch in the data set, or no thread can be started.
    ///
    /// # Panics
    /// If the recipe is not valid, or `rank` is not below `ranks`: [`Recipe::validate`] is the
    /// caller's.
    pub fn start(
        dataset: Arc<dyn Dataset>,
        recipe: Arc<Recipe>,
        config: LoaderConfig,
        first_step: u64,
        last_step: u64,
    ) -> Result<Self, Error> {
        let steps_per_epoch = check(dataset.as_ref(), &config)?;
        let workers = config.workers.max(1);
        let steps = first_step..last_step;
        let mut loader = Self {
            pool: Arc::new(Pool::new(dataset, recipe, config, steps_per_epoch, steps)),
            threads: Vec::with_capacity(workers),
            bad: BadImages::default(),
            started: Instant::now(),
            waited: Duration::ZERO,
            too_many_bad: None,
            ended: false,
        };
        for worker in 0..workers {
            let pool = Arc::clone(&loader.pool);
            let thread = thread::Builder::new()
                .name(format!("image worker {worker}"))
                .spawn(move || pool.work())
                .map_err(|error| Error::Worker { reason: format!("cannot be started: {error}") })?;
            loader.threads.push(thread);
        }
        Ok(loader)
    }

    /// Gives a batch back, so that its memory serves a later one.
    pub fn recycle(&self, batch: Batch<T>) {
        self.pool.recycle(batch);
    }

    /// How long [`next`](Iterator::next) waited for batches, in all.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// What was done since the start, and where the time went.
    pub fn stats(&self) -> LoaderStats {
        let elapsed = self.started.elapsed();
        LoaderStats { data_wait: self.waited, elapsed, ..self.pool.stats() }
    }

    fn next_batch(&mut self) -> Option<Result<Batch<T>, Error>> {
        // told one batch later, so that the list of bad images is complete
        if let Some(error) = self.too_many_bad.take() {
            return Some(Err(error));
        }
        let batch = self.pool.next()?;
        if let Ok(batch) = &batch {
            self.too_many_bad = self.bad.add(self.pool.dataset.len(), &batch.bad).err();
        }
        Some(batch)
    }
}

impl<T: Element> Iterator for Loader<T> {
    type Item = Result<Batch<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let start = Instant::now();
        let batch = self.next_batch();
        self.waited += start.elapsed();
        if !matches!(batch, Some(Ok(_))) {
            self.ended = true;
            self.pool.stop();
        }
        batch
    }
}

impl<T: Element> Drop for Loader<T> {
    fn drop(&mut self) {
        self.pool.stop();
        for thread in self.threads.drain(..) {
            // a panic was said by its own hook, and by `next`
            drop(thread.join());
        }
    }
}
