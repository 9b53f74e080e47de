//! Images per second of the loader on this machine.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use multicrop::Dataset;
use multicrop::loader::{Loader, LoaderConfig, LoaderStats};
use multicrop::recipe::Recipe;

/// Batches before the clock starts: threads, caches and the batches' memory are warm then.
const WARMUP: u32 = 2;

/// When a measurement ends.
pub(crate) struct Limit {
    /// After so many images,
    pub(crate) images: u64,
    /// or so much time.
    pub(crate) time: Duration,
}

/// What was measured.
pub(crate) struct Throughput {
    workers: usize,
    stats: LoaderStats,
    images: u64,
}

impl Throughput {
    /// Runs the loader, and throws its batches away; `progress` is told images done.
    pub(crate) fn measure(
        dataset: Arc<dyn Dataset>,
        recipe: Recipe,
        config: LoaderConfig,
        limit: &Limit,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let (workers, batch) = (config.workers.max(1), config.batch_size as u64);
        // without an end, so that all workers are busy until the clock stops
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

    /// Images that were timed.
    pub(crate) fn images(&self) -> u64 {
        self.images
    }

    /// Images per second, of all workers.
    pub(crate) fn images_per_second(&self) -> f64 {
        self.images as f64 / self.stats.elapsed.as_secs_f64().max(1e-9)
    }

    /// Milliseconds of one worker for one image, by the clock on the wall.
    pub(crate) fn ms_per_image_and_core(&self) -> f64 {
        1000.0 * self.workers as f64 / self.images_per_second().max(1e-9)
    }

    /// Milliseconds for one image of a stage of the statistics.
    pub(crate) fn ms_per_image(&self, stage: impl Fn(&LoaderStats) -> Duration) -> f64 {
        // by the images that the workers made meanwhile, not by those that were taken
        1000.0 * stage(&self.stats).as_secs_f64() / self.stats.images.max(1) as f64
    }
}
