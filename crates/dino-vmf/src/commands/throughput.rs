//! Measures the speed of the data loader on this machine.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use multicrop::Dataset;
use multicrop::loader::{Loader, LoaderConfig, LoaderStats};
use multicrop::recipe::Recipe;

/// Batches that are not timed. They start the threads, fill caches and allocate the batches.
const WARMUP: u32 = 2;

/// When a measurement ends: after a number of images or after a time, whichever comes first.
pub(crate) struct Limit {
    pub(crate) images: u64,
    pub(crate) time: Duration,
}

/// A measured speed.
pub(crate) struct Throughput {
    workers: usize,
    stats: LoaderStats,
    images: u64,
}

impl Throughput {
    /// Runs the loader and drops its batches. Calls `progress` with the number of timed images so far.
    ///
    /// # Errors
    /// The loader cannot start or makes no batch, for example because too many images are bad.
    pub(crate) fn measure(
        dataset: Arc<dyn Dataset>,
        recipe: Recipe,
        config: LoaderConfig,
        limit: &Limit,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let (workers, batch) = (config.workers.max(1), config.batch_size as u64);
        // The loader has no end. Otherwise workers would run out of work before the clock stops.
        let mut loader = Loader::<f32>::start(dataset, Arc::new(recipe), config, 0, u64::MAX)?;
        for _ in 0..WARMUP {
            let Some(next) = loader.next() else { break };
            loader.recycle(next?);
        }
        let (before, mut images) = (loader.stats(), 0);
        let mut stats = LoaderStats::default();
        while images < limit.images && stats.elapsed < limit.time {
            let Some(next) = loader.next() else { break };
            loader.recycle(next?);
            images += batch;
            stats = loader.stats() - before;
            progress(images);
        }
        Ok(Self { workers, stats, images })
    }

    /// Number of timed images.
    pub(crate) fn images(&self) -> u64 {
        self.images
    }

    /// Images per second of all workers together.
    pub(crate) fn images_per_second(&self) -> f64 {
        self.images as f64 / self.stats.elapsed.as_secs_f64().max(1e-9)
    }

    /// Wall-clock milliseconds that one worker needs for one image.
    pub(crate) fn ms_per_image_and_core(&self) -> f64 {
        1000.0 * self.workers as f64 / self.images_per_second().max(1e-9)
    }

    /// Milliseconds that one stage of the loader needs for one image.
    pub(crate) fn ms_per_image(&self, stage: impl Fn(&LoaderStats) -> Duration) -> f64 {
        // Workers made more images than were taken, so divide by the number that they made.
        1000.0 * stage(&self.stats).as_secs_f64() / self.stats.images.max(1) as f64
    }
}
