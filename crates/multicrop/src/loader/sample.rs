//! [`SampleLoader`] loads one image of a batch, or a replacement for it, and makes its crops.

use std::time::{Duration, Instant};

use super::augmentation::Augmentation;
use super::bad::BadImage;
use super::faults::Faults;
use super::stats::LoaderStats;
use super::values::Values;
use super::{LoaderConfig, crop_stream};
use crate::augment::Scratch;
use crate::augment::normalize::Element;
use crate::dataset::{Dataset, Sample};
use crate::error::{Error, SampleError};
use crate::image::Image;

/// Limit on the samples that are tried in place of a bad one.
const MAX_TRIES: usize = 100;

/// The task to make the crops of one image of a batch.
pub(super) struct Task<T> {
    pub(super) step: u64,
    pub(super) epoch: u64,
    /// Position of the image in the batch.
    pub(super) position: usize,
    /// Index of the image in the data set.
    pub(super) index: usize,
    /// Memory for the crops.
    pub(super) crops: Vec<Values<T>>,
}

/// The result of a task.
pub(super) struct TaskResult<T> {
    pub(super) crops: Vec<Values<T>>,
    /// The image that was used.
    pub(super) chosen: Result<Chosen, Error>,
    /// Counts and times of the task.
    pub(super) stats: LoaderStats,
}

/// The image that a task used.
pub(super) struct Chosen {
    /// Its index in the data set.
    pub(super) index: usize,
    /// The bad images that it replaces.
    pub(super) bad: Vec<BadImage>,
}

/// Loads images and makes their crops; each worker has one.
pub(super) struct SampleLoader<'a, T> {
    pub(super) dataset: &'a dyn Dataset,
    pub(super) recipe: &'a dyn Augmentation<T>,
    pub(super) config: &'a LoaderConfig,
    pub(super) faults: &'a Faults,
    /// The thread's scratch memory for crops.
    pub(super) scratch: Scratch,
}

impl<T: Element> SampleLoader<'_, T> {
    /// Runs a task.
    pub(super) fn run(&mut self, task: Task<T>) -> TaskResult<T> {
        let Task { epoch, index, mut crops, .. } = task;
        let mut stats = LoaderStats::default();
        let chosen = self.load(index, &mut stats).map(|(image, chosen)| {
            let start = Instant::now();
            let stream = |crop| crop_stream(self.config.seed, epoch, chosen.index, crop);
            let mut outs: Vec<&mut [T]> = crops.iter_mut().map(|values| &mut **values).collect();
            self.recipe.augment(&image, &stream, &mut outs, &mut self.scratch);
            stats.augment = start.elapsed();
            stats.images = 1;
            chosen
        });
        TaskResult { crops, chosen, stats }
    }

    /// Loads the first of the images `wanted`, `wanted + 1`, … that is not bad.
    fn load(&self, wanted: usize, stats: &mut LoaderStats) -> Result<(Image, Chosen), Error> {
        let len = self.dataset.len();
        let (mut bad, mut first) = (Vec::new(), None);
        for index in (wanted..wanted + MAX_TRIES.min(len)).map(|index| index % len) {
            let source = match self.load_one(index, stats) {
                Ok(image) => return Ok((image, Chosen { index, bad })),
                Err(source) => source,
            };
            let name = self.dataset.name(index);
            if self.config.strict {
                return Err(Error::BadImage { index, name, source });
            }
            bad.push(BadImage::new(index, name, &source));
            first.get_or_insert(source);
        }
        // a data set has at least one image, so `first` is set
        let source = first.unwrap_or(SampleError::Empty);
        let (index, name, tries) = (wanted, self.dataset.name(wanted), bad.len());
        Err(Error::NoReplacement { index, name, tries, source })
    }

    /// Loads one image. An image that is known to be bad is not read again.
    fn load_one(&self, index: usize, stats: &mut LoaderStats) -> Result<Image, SampleError> {
        if let Some(fault) = self.faults.known(index) {
            return Err(fault);
        }
        self.decode_one(index, stats).inspect_err(|fault| self.faults.remember(index, fault))
    }

    fn decode_one(&self, index: usize, stats: &mut LoaderStats) -> Result<Image, SampleError> {
        let read = || self.faults.retry(|| self.dataset.read(index));
        let sample = timed(&mut stats.read, read)?;
        stats.bytes += match &sample {
            Sample::Encoded(bytes) | Sample::Page { bytes, .. } => bytes.len() as u64,
            Sample::Pixels(image) => image.pixels().len() as u64,
        };
        timed(&mut stats.decode, || sample.decode(&self.config.decode))
    }
}

/// Adds the time that `work` takes to `sum`.
fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *sum += start.elapsed();
    result
}
