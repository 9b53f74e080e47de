//! From the configuration's `[data]` to the recipe of `multicrop`.

use multicrop::augment::color_jitter::ColorJitter;
use multicrop::decode;
use multicrop::recipe::{CropRecipe, Recipe};

use crate::config::Data;

impl Data {
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
        let Self { channels, orientation, reduced_for, .. } = *self;
        decode::Options { channels, orientation, reduced_for }
    }
}
