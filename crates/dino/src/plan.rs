//! A [`Plan`] is a configuration resolved for a data set: what a run is made of.
//!
//! [`Plan::new`] takes a [`Config`] and the [`Facts`] about the images, and answers every question that
//! needs both: how many steps, which schedules, which network, which crops, which masks, and what somebody
//! should be warned of. The configuration that it is made from stays as it is.

mod durations;
mod evaluation;
mod idle;
mod image_warnings;
mod shapes;
mod small_images;
mod unused_range;

use multicrop::decode;
use multicrop::loader::LoaderConfig;
use multicrop::recipe::Recipe;

use crate::config::{Config, Horizon, Warning};
use crate::error::Result;
use crate::masking::Masks;
use crate::schedule::Schedules;
use vit::{HeadShape, VitShape};

pub use evaluation::{Parts, parts_to_evaluate};
pub use idle::idle_keys;
pub use image_warnings::image_warnings;
pub use shapes::shapes;
pub use small_images::small_images;
pub use unused_range::FilledRange;

/// What a plan has to know about the images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Images in `data.source`.
    pub images: usize,
    /// Whether both of [`parts_to_evaluate`] exist and have labels.
    pub has_labelled_parts: bool,
}

impl Facts {
    /// Those of a source with this many images and no labelled parts.
    pub fn of_images(images: usize) -> Self {
        Self { images, has_labelled_parts: false }
    }
}

/// A configuration resolved for a data set.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The settings that the run has: every key has a value, durations fit the run. This is what its
    /// `config.toml` says.
    pub config: Config,
    /// Learning rate, weight decay, momentum and temperatures of every step, and the length of the run.
    pub schedules: Schedules,
    /// Shape of the backbone.
    pub vit: VitShape,
    /// Shape of the head.
    pub head: HeadShape,
    /// The multi-crop recipe.
    pub recipe: Recipe,
    /// The form in which images are decoded.
    pub decode: decode::Options,
    /// Draws the masks; `None` for methods that do not mask.
    pub masks: Option<Masks>,
    /// What somebody should read before the run starts.
    pub warnings: Vec<Warning>,
}

impl Plan {
    /// Resolves a configuration for a data set.
    ///
    /// * If a preset evaluates on its own images and the run has others, the run evaluates on the parts
    ///   `:train` and `:test` of its own source if they have labels, and not at all otherwise.
    /// * Warm-ups, frozen epochs and the first mask that come from a preset or a default shrink with a run
    ///   that is too short for them, each with a warning.
    ///
    /// # Errors
    /// Settings with which nothing can be trained; fewer images than `optim.batch_size`; a warm-up or a
    /// first mask that a person set and that lies beyond the end of the run.
    pub fn new(config: &Config, facts: &Facts) -> Result<Self> {
        config.validate()?;
        let config = evaluation::on_own_images(config, facts).completed();
        let (config, horizon, mut warnings) = durations::fit(config, facts.images)?;
        warnings.extend(idle_keys(&config));
        warnings.extend(config.model.precision.warning());
        let (vit, head) = shapes(&config);
        Ok(Self {
            schedules: Schedules::new(&config, horizon),
            vit,
            head,
            recipe: config.data.recipe(),
            decode: config.data.decode_options(),
            masks: Masks::of(&config),
            warnings,
            config,
        })
    }

    /// The length of the run.
    pub fn horizon(&self) -> Horizon {
        self.schedules.horizon
    }

    /// How the run's loader reads images.
    pub(crate) fn loader(&self) -> LoaderConfig {
        let config = &self.config;
        LoaderConfig {
            batch_size: config.optim.batch_size,
            workers: config.run.worker_threads(),
            seed: config.seed,
            strict: config.data.strict,
            decode: self.decode.clone(),
            ..LoaderConfig::default()
        }
    }

    /// The masks of the global crops of these images, `[crops, images, patches]`; empty for methods that
    /// do not mask.
    pub fn draw_masks(&self, epoch: u64, images: &[usize]) -> Vec<bool> {
        self.masks.as_ref().map_or_else(Vec::new, |masks| masks.draw(epoch, images))
    }
}

#[cfg(test)]
mod tests;
