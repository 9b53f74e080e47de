//! Random augmentations of a crop. Each has a function `sample` that draws its parameters and a
//! function `apply` that changes pixels.
//!
//! `sample` touches no pixel and `apply` draws nothing. So the parameters of a crop can be printed,
//! stored, and applied again: see [`CropParameters`].

pub mod blur;
pub mod color_jitter;
pub mod crop;
pub mod flip;
pub mod grayscale;
pub mod normalize;
pub mod solarize;

use rand::{Rng, RngExt};

use crate::image::{Image8, Rect};
use crate::planes::Planes;
use crate::resize::{Resize, Resizer};
use color_jitter::Jitter;

/// The random parameters of one crop, in the order in which they are applied.
#[derive(Debug, Clone, PartialEq)]
pub struct CropParameters {
    /// Side of the square crop, in pixels.
    pub size: u32,
    /// The box that is cut out of the image.
    pub source: Rect,
    /// Whether to flip horizontally.
    pub flip: bool,
    /// Color changes, if any.
    pub jitter: Option<Jitter>,
    /// Whether to replace colors by their luma.
    pub grayscale: bool,
    /// Standard deviation of the blur in pixels of the crop, if any.
    pub blur: Option<f64>,
    /// Threshold of solarization, if any: values from here on are inverted.
    pub solarize: Option<u32>,
}

impl CropParameters {
    /// Makes the crop of `image` with these parameters, `[size, size, channels]`, before
    /// normalization.
    ///
    /// # Panics
    /// If `source` does not lie inside `image`.
    pub fn apply(&self, image: &Image8) -> Image8 {
        let mut scratch = Scratch::default();
        scratch.resizer.load(image, self.source);
        self.apply_to(&mut scratch).to_image()
    }

    /// Makes the crop of the image that is loaded in `scratch`, before normalization.
    ///
    /// # Panics
    /// If `source` does not lie inside the region that was loaded.
    pub fn apply_to<'a>(&self, scratch: &'a mut Scratch) -> &'a Planes {
        let Scratch { resizer, crop, blur } = scratch;
        let resize = Resize::whole(self.source, (self.size, self.size));
        resizer.resize(&Resize { flip: self.flip, ..resize }, crop);
        if let Some(jitter) = &self.jitter {
            color_jitter::apply_to(jitter, crop);
        }
        if self.grayscale {
            grayscale::apply_to(crop);
        }
        if let Some(sigma) = self.blur {
            blur::apply_to(crop, sigma, blur);
        }
        if let Some(threshold) = self.solarize {
            solarize::apply_to(crop, threshold);
        }
        crop
    }
}

/// Scratch memory for making crops, reused for every crop of a thread.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// Holds the image that crops are cut from.
    pub resizer: Resizer,
    crop: Planes,
    blur: blur::Scratch,
}

/// Draws a number from `low` to `high`, uniformly; one draw.
fn uniform((low, high): (f64, f64), rng: &mut impl Rng) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Draws true with this probability; one draw, even if it is 0 or 1.
fn chance(probability: f64, rng: &mut impl Rng) -> bool {
    rng.random::<f64>() < probability
}

/// A stream for tests, the same in every run.
#[cfg(test)]
fn test_stream(index: u64) -> streams::Stream {
    streams::Key::new(17, streams::Purpose::Augment).index(index).open()
}
