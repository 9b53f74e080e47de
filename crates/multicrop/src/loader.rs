//! [`Loader`]: worker threads prefetch batches of crops, in step order.
//!
//! ```text
//! tasks of batch 7 ──▶ worker 0: read, decode, augment ─▶ their part of batch 7 ─┐
//! tasks of batch 8 ──▶ worker 1: …                                               ├─▶ next()
//!                      …                               recycled memory ◀─────────┘
//! ```
//!
//! The threads live as long as the loader. A task is one image of a batch, with the memory for its
//! crops: workers write directly into the batch that the model reads. They start the next batch
//! while the last images of the current one are still in progress. The number of batches in flight
//! is bounded, and their memory is reused. The contents of a batch depend only on (seed, step) and
//! the data.

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

mod augmentation;
mod bad;
mod batch;
mod faults;
mod pool;
mod sample;
mod shard_prefetch;
mod stats;
mod values;

pub use augmentation::{Augmentation, Group};
pub use bad::{BadImage, BadImages};
pub use batch::{Batch, CropBuffer};
pub use stats::LoaderStats;
pub use values::Values;

use faults::Faults;
use pool::Pool;
use sample::SampleLoader;

/// Configuration of a [`Loader`].
#[derive(Debug, Clone, PartialEq)]
pub struct LoaderConfig {
    /// Images in a batch of each rank; 64 by default.
    pub batch_size: usize,
    /// Worker threads that load and augment; 1 by default, and 0 counts as 1. Use one for each CPU
    /// core that the training step leaves free.
    pub workers: usize,
    /// Limit on the finished batches that wait to be taken; 2 by default. More of them bridge
    /// longer delays of the source and take more memory. One more batch is in progress, or more if
    /// one batch has fewer images than there are workers.
    pub prefetch: usize,
    /// Seed of the order of the samples and of all randomness of the crops; 0 by default.
    pub seed: u64,
    /// Whether an image that cannot be used is an error; false by default, which replaces it.
    pub strict: bool,
    /// How images are decoded.
    pub decode: decode::Options,
    /// Index of this process among the `ranks`, from 0.
    pub rank: usize,
    /// Number of processes that train together; 1 by default. They share the batch that a single
    /// process with a batch size of `ranks * batch_size` would have. Rank `i % ranks` gets image
    /// `i` of it.
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

    /// Limit on the batches that are in progress or wait to be taken.
    fn in_flight(&self) -> usize {
        self.prefetch + self.workers.max(1).div_ceil(self.batch_size)
    }

    /// The positions in an epoch's order that a step uses, for all ranks together.
    fn positions(&self, step_of_epoch: u64) -> Range<usize> {
        let batch = self.global_batch_size();
        let first = step_of_epoch as usize * batch;
        first..first + batch
    }

    /// The images of this rank in a step of an epoch with this order.
    fn indices(&self, step_of_epoch: u64, order: &[u32]) -> Vec<usize> {
        let shared = &order[self.positions(step_of_epoch)];
        shared.iter().skip(self.rank).step_by(self.ranks).map(|&index| index as usize).collect()
    }
}

/// Number of steps in an epoch: full batches only.
///
/// # Errors
/// If there is no full batch.
pub fn steps_per_epoch(dataset: &dyn Dataset, batch_size: usize) -> Result<u64, Error> {
    let images = dataset.len();
    match images.checked_div(batch_size) {
        Some(steps) if steps > 0 => Ok(steps as u64),
        _ => Err(Error::TooFewImages { dataset: dataset.describe(), images, batch_size }),
    }
}

/// Makes the batch of one step on the calling thread: the same batch that a [`Loader`] returns.
///
/// # Errors
/// If the data set has no full batch, or an image cannot be used or replaced.
///
/// # Panics
/// As [`Loader::start`].
pub fn batch_at<T: Element>(
    dataset: &dyn Dataset,
    recipe: &dyn Augmentation<T>,
    config: &LoaderConfig,
    step: u64,
) -> Result<Batch<T>, Error> {
    let steps = check(dataset, config)?;
    let order = order::for_dataset(dataset, config.seed, step / steps);
    let mut batch = Batch::empty(recipe, config.batch_size);
    let tasks = batch.begin(step, step / steps, config.indices(step % steps, &order));
    let faults = &Faults::default();
    let mut loader = SampleLoader { dataset, recipe, config, faults, scratch: Scratch::default() };
    batch.finish(tasks.into_iter().map(|task| loader.run(task)).collect())
}

/// The random stream of one crop, for [`Recipe::draw`](crate::recipe::Recipe::draw).
///
/// `index` is the index of the image in the data set; `crop` counts global crops, then local ones.
pub fn crop_stream(seed: u64, epoch: u64, index: usize, crop: usize) -> Stream {
    Key::new(seed, Purpose::Augment).time(epoch).index(index as u64).part(crop as u32).open()
}

/// Checks `rank`, and returns the number of steps in an epoch.
fn check(dataset: &dyn Dataset, config: &LoaderConfig) -> Result<u64, Error> {
    let LoaderConfig { rank, ranks, .. } = *config;
    assert!(rank < ranks, "rank {rank} of {ranks}");
    steps_per_epoch(dataset, config.global_batch_size())
}

/// An iterator over the batches of a range of steps, which worker threads prefetch. Values are
/// `f32` or `half::bf16`.
///
/// After an error there are no more batches. The error for too many bad images is returned one
/// batch late, so that the caller sees the last bad images first. Dropping the loader stops its
/// threads after their current image. A thread that is unpacking an archive ahead is not waited
/// for, and finishes later.
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
    /// Starts the workers, which prefetch the batches of `first_step..last_step`.
    ///
    /// # Errors
    /// If the data set has no full batch, or a thread cannot be started.
    ///
    /// # Panics
    /// If the recipe is not valid (call [`Recipe::validate`](crate::recipe::Recipe::validate) first), or
    /// `rank` is not below `ranks`.
    pub fn start(
        dataset: Arc<dyn Dataset>,
        recipe: Arc<dyn Augmentation<T>>,
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

    /// Returns a batch to the loader, which reuses its memory.
    pub fn recycle(&self, batch: Batch<T>) {
        self.pool.recycle(batch);
    }

    /// Waits for the next batch, at most for `limit`. Returns the number of its images that are missing; 0 if
    /// [`next`](Iterator::next) will return at once. A caller with something else to do meanwhile, such as
    /// showing progress, calls it before `next`.
    pub fn wait(&mut self, limit: Duration) -> usize {
        if self.ended || self.too_many_bad.is_some() {
            return 0;
        }
        let start = Instant::now();
        let missing = self.pool.wait(limit);
        self.waited += start.elapsed();
        missing
    }

    /// Total time that [`next`](Iterator::next) and [`wait`](Self::wait) waited for batches.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Counts and times since the start.
    pub fn stats(&self) -> LoaderStats {
        let elapsed = self.started.elapsed();
        LoaderStats { data_wait: self.waited, elapsed, ..self.pool.stats() }
    }

    fn next_batch(&mut self) -> Option<Result<Batch<T>, Error>> {
        // returned one batch late, so that the caller sees the last bad images first
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
            // a panic has been reported by the panic hook and by `next`
            drop(thread.join());
        }
    }
}
