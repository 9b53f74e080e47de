//! From `[data]` to `multicrop`: the source, the form in which images are decoded, the crops.

use std::sync::Arc;

use multicrop::augment::color_jitter::ColorJitter;
use multicrop::recipe::{CropRecipe, Recipe};
use multicrop::{Dataset, OpenOptions, decode};

use super::check::Check;
use super::data::{Data, Pages};
use super::error::Result;
use super::range::Range;

/// Fields of a [`Recipe`] and the keys that set them. Fields that are not here repeat one that is.
const KEYS: [(&str, &str); 23] = [
    ("first_global.size", "data.global_size"),
    ("first_global.scale", "data.global_scale"),
    ("first_global.aspect", "data.aspect"),
    ("first_global.blur_sigma", "data.blur_radius"),
    ("first_global.blur", "data.blur_p_first"),
    ("second_global.blur", "data.blur_p_second"),
    ("second_global.solarize", "data.solarize_p"),
    ("locals.size", "data.local_size"),
    ("locals.count", "data.local_crops"),
    ("locals.scale", "data.local_scale"),
    ("locals.blur", "data.blur_p_local"),
    ("flip", "data.flip_p"),
    ("flip_vertical", "data.vflip_p"),
    ("rotate90", "data.rotate90_p"),
    ("color_jitter.probability", "data.jitter_p"),
    ("color_jitter.brightness", "data.brightness"),
    ("color_jitter.contrast", "data.contrast"),
    ("color_jitter.saturation", "data.saturation"),
    ("color_jitter.hue", "data.hue"),
    ("grayscale", "data.grayscale_p"),
    ("solarize_threshold", "data.solarize_threshold"),
    ("mean", "data.mean"),
    ("std", "data.std"),
];

impl Data {
    /// Opens a source, the run's own or one to evaluate on, with the columns and the extension of `[data]`.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self, source: &str) -> std::result::Result<Arc<dyn Dataset>, multicrop::Error> {
        let options = OpenOptions {
            image_column: self.image_column.clone(),
            label_column: self.label_column.clone(),
            image_extension: self.image_extension.clone(),
            pages_as_images: self.pages == Pages::Images,
        };
        multicrop::open_with(source, &options)
    }

    /// The form in which images are decoded.
    pub fn decode_options(&self) -> decode::Options {
        let Self { channels, orientation, reduced_for, max_pixels, .. } = *self;
        let range = self.range.as_ref().and_then(Range::values);
        let pages = match self.pages {
            Pages::Channels => decode::Pages::Channels,
            Pages::First | Pages::Images => decode::Pages::One(0),
        };
        decode::Options { channels, orientation, reduced_for, max_pixels, range, pages }
    }

    /// The multi-crop recipe.
    pub fn recipe(&self) -> Recipe {
        let single = |values: Vec<f64>| values.iter().map(|value| *value as f32).collect();
        let pair = |[low, high]: [f64; 2]| (low, high);
        // Sizes beyond 32 bits are refused by the check of the recipe.
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let first_global = CropRecipe {
            size: size(self.global_size),
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
                size: size(self.local_size),
                count: size(self.local_crops),
                scale: pair(self.local_scale),
                blur: self.blur_p_local,
                ..first_global.clone()
            },
            first_global,
            flip: self.flip_p,
            flip_vertical: self.vflip_p,
            rotate90: self.rotate90_p,
            color_jitter: ColorJitter {
                probability: self.jitter_p,
                brightness: self.brightness,
                contrast: self.contrast,
                saturation: self.saturation,
                hue: self.hue,
            },
            grayscale: self.grayscale_p,
            solarize_threshold: self.solarize_threshold,
            mean: single(self.mean()),
            std: single(self.std()),
        }
    }

    /// Refuses what the recipe refuses, under the name of the key.
    pub(super) fn check_recipe(&self, check: &Check<'_>) -> Result<()> {
        let Err(invalid) = self.recipe().validate() else { return Ok(()) };
        let known = KEYS.iter().find(|(field, _)| *field == invalid.key);
        let key = known.map_or("data", |(_, key)| *key);
        check.require(false, key, invalid.found, invalid.needed)
    }
}
