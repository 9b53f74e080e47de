//! [`LoaderSpeed`]: how fast images are read, decoded and cropped on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use multicrop::Dataset;
use multicrop::loader::Loader;
use serde::Serialize;

use crate::error::Result;
use crate::plan::Plan;

/// Images per second of the loader.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LoaderSpeed {
    /// Threads that read and crop.
    pub workers: usize,
    /// Images per second of all workers, if they have a core each.
    pub images_per_second: f64,
    /// Seconds that a worker spends on an image.
    pub seconds_per_image: f64,
    /// Of these, seconds to read and decode it.
    pub decode_seconds_per_image: f64,
}

impl LoaderSpeed {
    /// Loads images of the first epoch for about `budget`.
    ///
    /// # Errors
    /// Images that cannot be read.
    pub(super) fn measure(
        plan: &Plan,
        dataset: &Arc<dyn Dataset>,
        budget: Duration,
    ) -> Result<Self> {
        let mut settings = plan.loader();
        let workers = settings.workers;
        // Small batches: their memory is not that of the run, and the first one comes soon.
        settings.batch_size = settings.batch_size.min(workers);
        let recipe = Arc::new(plan.recipe.clone());
        let start = Instant::now();
        let mut loader = Loader::<f32>::start(dataset.clone(), recipe, settings, 0, u64::MAX)?;
        loop {
            let Some(batch) = loader.next() else { break };
            loader.recycle(batch?);
            if start.elapsed() >= budget {
                break;
            }
        }
        let stats = loader.stats();
        let images = stats.images.max(1) as f64;
        let seconds_per_image = stats.busy().as_secs_f64().max(1e-9) / images;
        Ok(Self {
            workers,
            images_per_second: workers as f64 / seconds_per_image,
            seconds_per_image,
            decode_seconds_per_image: (stats.read + stats.decode).as_secs_f64() / images,
        })
    }
}
