//! From the configuration's `[data]` to the sources, the decoder and the recipe of `multicrop`.

use std::sync::Arc;

use multicrop::augment::color_jitter::ColorJitter;
use multicrop::recipe::{CropRecipe, Recipe};
use multicrop::{Dataset, OpenOptions, decode};

use crate::config::Data;
use crate::error::Result;

impl Data {
    /// Opens `source`, the run's own or one to evaluate on, with the choices of `[data]`.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self, source: &str) -> Result<Arc<dyn Dataset>> {
        let options = OpenOptions {
            image_column: self.image_column.clone(),
            label_column: self.label_column.clone(),
            image_extension: self.image_extension.clone(),
        };
        Ok(multicrop::open_with(source, &options)?)
    }

    /// The multi-crop recipe.
    pub fn recipe(&self) -> Recipe {
        let single = |values: &[f64]| values.iter().map(|value| *value as f32).collect();
        let pair = |[low, high]: [f64; 2]| (low, high);
        let first_global = CropRecipe {
            size: self.global_size as u32,
            count: 1,
            scale: pair(self.global_scale),
            aspect: pair(self.aspect),
            blur: self.blur_p_first,
            blur_sigma: pair(self.blur_radius),
            solarize: 0.0,
        };
        Recipe {
            second_global: CropRecipe {
                blur: self.blur_p_second,
                solarize: self.solarize_p,
                ..first_global.clone()
            },
            locals: CropRecipe {
                size: self.local_size as u32,
                count: self.local_crops as u32,
                scale: pair(self.local_scale),
                blur: self.blur_p_local,
                ..first_global.clone()
            },
            first_global,
            flip: self.flip_p,
            color_jitter: ColorJitter {
                probability: self.jitter_p,
                brightness: self.brightness,
                contrast: self.contrast,
                saturation: self.saturation,
                hue: self.hue,
            },
            grayscale: self.grayscale_p,
            solarize_threshold: self.solarize_threshold,
            mean: single(&self.mean),
            std: single(&self.std),
        }
    }

    /// The form in which images are decoded.
    pub fn decode_options(&self) -> decode::Options {
        let Self { channels, orientation, reduced_for, max_pixels, .. } = *self;
        decode::Options { channels, orientation, reduced_for, max_pixels }
    }
}
