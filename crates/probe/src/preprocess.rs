//! `Preprocess` says how an image becomes the input of a network in evaluations: resized, cropped,
//! normalized, without randomness.

use engine::ops::patch_embed::Images;
use multicrop::dataset::Dataset;
use multicrop::decode;
use multicrop::error::SampleError;
use multicrop::eval_view::EvalView;
use multicrop::image::Image;
use multicrop::loader::BadImages;

use crate::error::{Error, Result};

/// How images become the input of a network.
#[derive(Debug, Clone)]
pub struct Preprocess {
    /// Size, crop and normalization.
    pub view: EvalView,
    /// The form in which images are decoded.
    pub decode: decode::Options,
    /// Images in one forward pass.
    pub batch_size: usize,
    /// Whether an image that cannot be read is an error. Otherwise it is left out and counted.
    pub strict: bool,
}

/// What a [`Preprocess`] is made from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Length of the shorter side after resizing, in pixels; `None` keeps the size of the images.
    pub resize: Option<usize>,
    /// Side of the central crop in pixels, a multiple of `patch_size`; `None` takes the largest square of
    /// the first readable image that patches fill.
    pub crop: Option<usize>,
    /// Side of a patch of the network, in pixels.
    pub patch_size: usize,
    /// Mean of each channel, for values in \[0, 1\]; its length is the number of channels.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, for values in \[0, 1\].
    pub std: Vec<f32>,
    /// The form in which images are decoded.
    pub decode: decode::Options,
    /// Images in one forward pass.
    pub batch_size: usize,
    /// Whether an image that cannot be read is an error. Otherwise it is left out and counted.
    pub strict: bool,
}

impl Preprocess {
    /// How images of `dataset` become the input of a network, by these settings.
    ///
    /// # Errors
    /// If the crop depends on the images and too many of the first ones cannot be read.
    pub fn new(settings: Settings, dataset: &dyn Dataset) -> Result<Self> {
        let Settings { resize, crop, patch_size, mean, std, decode, batch_size, strict } = settings;
        let crop = match crop {
            Some(crop) => crop,
            None => {
                let image = first_image(dataset, &decode, strict)?;
                let side = image.width().min(image.height());
                (side as usize / patch_size).max(1) * patch_size
            }
        };
        let resize = resize.map(|size| size as u32);
        let view = EvalView { resize, crop: crop as u32, mean, std };
        Ok(Self { view, decode, batch_size, strict })
    }

    /// The shape of a batch of `count` images.
    pub fn shape(&self, count: usize) -> Images {
        let side = self.view.crop as usize;
        Images { count, channels: self.decode.channels, height: side, width: side }
    }
}

/// The first image that can be read, if not too many before it cannot.
fn first_image(dataset: &dyn Dataset, decode: &decode::Options, strict: bool) -> Result<Image> {
    let bad = if strict { 0 } else { BadImages::allowed(dataset.len()) };
    let mut others = 1..dataset.len().min(bad + 1);
    dataset.load(0, decode).or_else(|source| {
        let other = others.find_map(|index| dataset.load(index, decode).ok());
        other.ok_or_else(|| unreadable(dataset, 0, &source))
    })
}

/// The error for an image that cannot be evaluated.
pub(crate) fn unreadable(dataset: &dyn Dataset, index: usize, source: &SampleError) -> Error {
    Error::EvalImage {
        name: dataset.name(index),
        data: dataset.describe(),
        reason: source.to_string(),
    }
}
