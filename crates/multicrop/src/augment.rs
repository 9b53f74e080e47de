//! Random changes of a crop, each in its own file: `sample` draws, `apply` does.
//!
//! `sample` touches no pixel and `apply` draws nothing, so everything that happens to a crop can
//! be printed, stored, and done again: see [`CropParameters`].

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

/// All that was drawn for one crop, in the order in which it is applied.
#[derive(Debug, Clone, PartialEq)]
pub struct CropParameters {
    /// Side of the square crop, in pixels.
    pub size: u32,
    /// Pixels of the image that the crop shows.
    pub source: Rect,
    /// True if left and right are exchanged.
    pub flip: bool,
    /// Changes of the colors, if any.
    pub jitter: Option<Jitter>,
    /// True if the colors are replaced by their luma.
    pub grayscale: bool,
    /// Standard deviation of the blur in pixels of the crop, if any.
    pub blur: Option<f64>,
    /// The darkest value that is inverted, if any are.
    pub solarize: Option<u32>,
}

impl CropParameters {
    /// The crop of `image` with these parameters, `[size, size, channels]`, before normalization.
    ///
    /// # Panics
    /// If `source` does not lie inside `image`.
    pub fn apply(&self, image: &Image8) -> Image8 {
        let mut scratch = Scratch::default();
        scratch.resizer.load(image, self.source);
        self.apply_to(&mut scratch).to_image()
    }

    /// The crop of the image that `scratch` has loaded, before normalization.
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

/// The memory that crops are made in, for one thread: used again for crop after crop.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// The image that crops are cut from.
    pub resizer: Resizer,
    crop: Planes,
    blur: blur::Spare,
}

/// A number from `low` to `high`, uniformly; one draw.
fn uniform((low, high): (f64, f64), rng: &mut impl Rng) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// True with this probability; one draw, even if it is 0 or 1.
fn chance(probability: f64, rng: &mut impl Rng) -> bool {
    rng.random::<f64>() < probability
}

/// A stream for tests, the same in every run.
#[cfg(test)]
fn test_stream(index: u64) -> streams::Stream {
    streams::Key::new(17, streams::Purpose::Augment).index(index).open()
}
