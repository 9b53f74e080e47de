//! Random augmentations of a crop. Each has a function `sample` that draws its parameters and a
//! function `apply` that changes pixels.
//!
//! `sample` touches no pixel and `apply` draws nothing. So the parameters of a crop can be printed,
//! stored, and applied again: see [`CropParameters`].
//!
//! Images of bytes have the bits of Pillow and torchvision: every operation rounds to 8 bits. Images of
//! floats, with values in \[0, 1\], go through the same formulas in single precision:
//!
//! | operation | on floats |
//! | --- | --- |
//! | resize | the same weights, not rounded; the result is cut off at 0 and 1 |
//! | brightness, contrast, saturation | the same blends, cut off at 0 and 1; the mean luma of contrast is not rounded |
//! | hue | turned in floating-point hue, saturation and value |
//! | grayscale | the same weights of red, green and blue |
//! | blur | the same three boxes, without rounding between them |
//! | solarize | `1 − x` where `255 x` reaches the threshold |
//! | normalization | `(x − mean) / std` |

pub mod blur;
pub mod color_jitter;
pub mod crop;
pub mod flip;
pub mod grayscale;
pub mod normalize;
pub mod rotate90;
pub mod solarize;

use rand::{Rng, RngExt};

use crate::image::{Image, Pixels, Rect};
use crate::planes::{DeepPlanes, Planes};
use crate::resize::{DeepResizer, Resize, Resizer};
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
    /// Whether to flip vertically, after the horizontal flip.
    pub flip_vertical: bool,
    /// Quarter turns against the clock, 0 to 3, after the flips.
    pub quarter_turns: u8,
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
    pub fn apply<'a>(&self, image: impl Into<Pixels<'a>>) -> Image {
        let mut scratch = Scratch::default();
        scratch.load(image.into(), self.source);
        match self.apply_to(&mut scratch) {
            Crop::U8(crop) => crop.to_image().into(),
            Crop::F32(crop) => crop.to_image().into(),
        }
    }

    /// Makes the crop of the image that is loaded in `scratch`, before normalization.
    ///
    /// # Panics
    /// If `source` does not lie inside the region that was loaded.
    pub fn apply_to<'a>(&self, scratch: &'a mut Scratch) -> Crop<'a> {
        match scratch.loaded {
            Depth::Bytes => Crop::U8(self.apply_to_bytes(&mut scratch.bytes)),
            Depth::Floats => Crop::F32(self.apply_to_floats(&mut scratch.floats)),
        }
    }

    fn resize(&self) -> Resize {
        Resize { flip: self.flip, ..Resize::whole(self.source, (self.size, self.size)) }
    }

    /// Flips vertically and turns.
    fn turn<T: Copy + Default>(&self, crop: &mut Planes<T>) {
        if self.flip_vertical {
            flip::apply_vertical(crop);
        }
        rotate90::apply_to(crop, self.quarter_turns);
    }

    fn apply_to_bytes<'a>(&self, scratch: &'a mut Bytes) -> &'a Planes {
        let Bytes { resizer, crop, blur } = scratch;
        resizer.resize(&self.resize(), crop);
        self.turn(crop);
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

    fn apply_to_floats<'a>(&self, scratch: &'a mut Floats) -> &'a DeepPlanes {
        let Floats { resizer, crop, blur } = scratch;
        resizer.resize(&self.resize(), crop);
        self.turn(crop);
        if let Some(jitter) = &self.jitter {
            color_jitter::apply_deep(jitter, crop);
        }
        if self.grayscale {
            grayscale::apply_deep(crop);
        }
        if let Some(sigma) = self.blur {
            blur::apply_deep(crop, sigma, blur);
        }
        if let Some(threshold) = self.solarize {
            solarize::apply_deep(crop, threshold);
        }
        crop
    }
}

/// A crop before normalization.
#[derive(Debug, Clone, Copy)]
pub enum Crop<'a> {
    /// Of an image of bytes.
    U8(&'a Planes),
    /// Of a deep image.
    F32(&'a DeepPlanes),
}

impl Crop<'_> {
    /// Normalizes the crop into `out`, `[channels, size, size]`: see [`normalize::apply`] and
    /// [`normalize::apply_deep`].
    ///
    /// # Panics
    /// As these.
    pub fn normalize<T: normalize::Element>(self, mean: &[f32], std: &[f32], out: &mut [T]) {
        match self {
            Self::U8(crop) => normalize::apply_to(crop, mean, std, out),
            Self::F32(crop) => normalize::apply_deep(crop, mean, std, out),
        }
    }
}

/// Scratch memory for making crops, reused for every crop of a thread.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    bytes: Bytes,
    floats: Floats,
    loaded: Depth,
}

/// Which of the buffers hold the image that crops are cut from.
#[derive(Debug, Clone, Copy, Default)]
enum Depth {
    #[default]
    Bytes,
    Floats,
}

#[derive(Debug, Clone, Default)]
struct Bytes {
    resizer: Resizer,
    crop: Planes,
    blur: blur::Scratch,
}

#[derive(Debug, Clone, Default)]
struct Floats {
    resizer: DeepResizer,
    crop: DeepPlanes,
    blur: blur::DeepScratch,
}

impl Scratch {
    /// Loads the pixels of an image in `region`, from which crops are cut.
    ///
    /// # Panics
    /// If the region is empty or exceeds the image.
    pub fn load<'a>(&mut self, image: impl Into<Pixels<'a>>, region: Rect) {
        match image.into() {
            Pixels::U8(image) => {
                self.loaded = Depth::Bytes;
                self.bytes.resizer.load(image, region);
            }
            Pixels::F32(image) => {
                self.loaded = Depth::Floats;
                self.floats.resizer.load(image, region);
            }
        }
    }
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
