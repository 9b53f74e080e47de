//! Loads one image of a batch, or a replacement of it, and makes its crops.

use std::time::{Duration, Instant};

use super::faults::Faults;
use super::stats::LoaderStats;
use super::values::Values;
use super::{BadImage, LoaderConfig, crop_stream};
use crate::augment::Scratch;
use crate::augment::normalize::Element;
use crate::dataset::{Dataset, Sample};
use crate::error::{Error, SampleError};
use crate::image::Image8;
use crate::recipe::Recipe;

/// Samples that are tried in place of a bad one before it is an error.
const MAX_TRIES: usize = 100;

/// One image of a batch to be made: its place, its index in the data set, the memory of its crops.
pub(super) struct Task<T> {
    pub(super) step: u64,
    pub(super) epoch: u64,
    pub(super) place: usize,
    pub(super) index: usize,
    pub(super) crops: Vec<Values<T>>,
}

/// What became of a task.
pub(super) struct Made<T> {
    pub(super) crops: Vec<Values<T>>,
    /// The index that was used in the end, and the bad ones before it.
    pub(super) outcome: Result<(usize, Vec<BadImage>), Error>,
    /// What it took.
    pub(super) stats: LoaderStats,
}

/// Makes the crops of images: what a worker needs to know.
pub(super) struct Maker<'a> {
    pub(super) dataset: &'a dyn Dataset,
    pub(super) recipe: &'a Recipe,
    pub(super) config: &'a LoaderConfig,
    /// What is known of bad images.
    pub(super) faults: &'a Faults,
    /// The thread's own memory for crops in the making.
    pub(super) scratch: Scratch,
}

impl Maker<'_> {
    /// Makes the crops of a task.
    pub(super) fn make<T: Element>(&mut self, task: Task<T>) -> Made<T> {
        let Task { epoch, index, mut crops, .. } = task;
        let mut stats = LoaderStats::default();
        let outcome = self.load(index, &mut stats).map(|(image, index, bad)| {
            let start = Instant::now();
            let stream = |crop| crop_stream(self.config.seed, epoch, index, crop);
            let mut outs: Vec<&mut [T]> = crops.iter_mut().map(|values| &mut **values).collect();
            self.recipe.augment(&image, stream, &mut outs, &mut self.scratch);
            stats.augment = start.elapsed();
            stats.images = 1;
            (index, bad)
        });
        Made { crops, outcome, stats }
    }

    /// The first of `wanted`, `wanted + 1`, … that can be loaded, and the bad ones before it.
    fn load(
        &self,
        wanted: usize,
        stats: &mut LoaderStats,
    ) -> Result<(Image8, usize, Vec<BadImage>), Error> {
        let len = self.dataset.len();
        let (mut bad, mut first) = (Vec::new(), None);
        for index in (wanted..wanted + MAX_TRIES.min(len)).map(|index| index % len) {
            let source = match self.load_one(index, stats) {
                Ok(image) => return Ok((image, index, bad)),
                Err(source) => source,
            };
            let name = self.dataset.name(index);
            if self.config.strict {
                return Err(Error::BadImage { index, name, source });
            }
            bad.push(BadImage::new(index, name, &source));
            first.get_or_insert(source);
        }
        // a data set has at least one image, so there was a first one
        let source = first.unwrap_or(SampleError::Empty);
        let (index, name, tries) = (wanted, self.dataset.name(wanted), bad.len());
        Err(Error::NoReplacement { index, name, tries, source })
    }

    /// One image; a bad one is read and decoded only once, however often an epoch comes to it.
    fn load_one(&self, index: usize, stats: &mut LoaderStats) -> Result<Image8, SampleError> {
        if let Some(fault) = self.faults.known(index) {
            return Err(fault);
        }
        self.decode_one(index, stats).inspect_err(|fault| self.faults.remember(index, fault))
    }

    fn decode_one(&self, index: usize, stats: &mut LoaderStats) -> Result<Image8, SampleError> {
        let read = || self.faults.patiently(|| self.dataset.read(index));
        let sample = timed(&mut stats.read, read)?;
        stats.bytes += match &sample {
            Sample::Encoded(bytes) => bytes.len() as u64,
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
