//! Loads and augments the samples of one batch on some threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use streams::{Key, Purpose};

use super::{BadImage, Batch, LoaderConfig};
use crate::dataset::Dataset;
use crate::error::{Error, SampleError};
use crate::image::Image8;
use crate::recipe::Recipe;

/// Samples that are tried in place of a bad one before it is an error.
const MAX_TRIES: usize = 100;

/// What it takes to fill a batch.
pub(super) struct Filler<'a> {
    pub(super) dataset: &'a dyn Dataset,
    pub(super) recipe: &'a Recipe,
    pub(super) config: &'a LoaderConfig,
    pub(super) stop: &'a AtomicBool,
}

/// One image of a batch: its place, its index in the data set, and the memory of its crops.
struct Task<'a> {
    place: usize,
    index: usize,
    crops: Vec<&'a mut [f32]>,
}

/// The index that was used in the end, and the bad ones before it.
type Outcome = Result<(usize, Vec<BadImage>), Error>;

impl Filler<'_> {
    /// Fills all crops of a batch that has begun; bad images are replaced and listed.
    pub(super) fn fill(&self, batch: &mut Batch, workers: usize) -> Result<(), Error> {
        let (epoch, indices) = (batch.epoch, batch.indices.clone());
        let workers = workers.clamp(1, indices.len());
        let tasks = batch.outputs().into_iter().zip(indices).enumerate();
        let tasks = Mutex::new(tasks.map(|(place, (crops, index))| Task { place, index, crops }));
        let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut outcomes = Vec::new();
            while let Some(task) = next() {
                if self.stop.load(Ordering::Relaxed) {
                    break;
                }
                let place = task.place;
                outcomes.push((place, self.fill_sample(task, epoch)));
            }
            outcomes
        };
        let mut outcomes = if workers == 1 { work() } else { spawn(workers, &work)? };
        // by place, so that neither errors nor the list of bad images depend on the threads
        outcomes.sort_by_key(|(place, _)| *place);
        for (place, outcome) in outcomes {
            let (index, bad) = outcome?;
            batch.indices[place] = index;
            batch.bad.extend(bad);
        }
        Ok(())
    }

    /// Loads the sample, or the next one that can be loaded, and makes its crops.
    fn fill_sample(&self, task: Task<'_>, epoch: u64) -> Outcome {
        let (image, index, bad) = self.load(task.index)?;
        for (crop, out) in task.crops.into_iter().enumerate() {
            let key = Key::new(self.config.seed, Purpose::Augment).epoch(epoch);
            let mut rng = key.index(index as u64).crop(crop as u32).open();
            self.recipe.augment_crop(&image, crop, &mut rng, out);
        }
        Ok((index, bad))
    }

    /// The first of `wanted`, `wanted + 1`, … that can be loaded, and the bad ones before it.
    fn load(&self, wanted: usize) -> Result<(Image8, usize, Vec<BadImage>), Error> {
        let len = self.dataset.len();
        let (mut bad, mut first) = (Vec::new(), None);
        for index in (wanted..wanted + MAX_TRIES.min(len)).map(|index| index % len) {
            let source = match self.dataset.load(index, &self.config.decode) {
                Ok(image) => return Ok((image, index, bad)),
                Err(source) => source,
            };
            let name = self.dataset.name(index);
            if self.config.strict {
                return Err(Error::BadImage { index, name, source });
            }
            bad.push(bad_image(index, name, &source));
            first.get_or_insert(source);
        }
        // a data set has at least one image, so there was a first one
        let source = first.unwrap_or(SampleError::Empty);
        let (index, name, tries) = (wanted, self.dataset.name(wanted), bad.len());
        Err(Error::NoReplacement { index, name, tries, source })
    }
}

fn bad_image(index: usize, name: String, error: &SampleError) -> BadImage {
    BadImage { index, name, kind: error.kind(), reason: error.to_string() }
}

/// Runs `work` on so many threads, and joins what they return.
fn spawn<T: Send>(workers: usize, work: &(impl Fn() -> Vec<T> + Sync)) -> Result<Vec<T>, Error> {
    let failed = |reason: String| Error::Worker { reason };
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for worker in 0..workers {
            let name = format!("image worker {worker}");
            let thread = thread::Builder::new().name(name).spawn_scoped(scope, work);
            let thread = thread.map_err(|error| failed(format!("cannot be started: {error}")))?;
            threads.push(thread);
        }
        // all are joined before the first panic is passed on, as an error
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let parts = results
            .into_iter()
            .map(|result| result.map_err(|_| failed("ended by a panic, which is a bug".into())));
        Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    })
}
