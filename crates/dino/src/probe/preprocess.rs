//! `Preprocess` says how an image becomes the input of a network in evaluations: resized, cropped,
//! normalized, without randomness.

use multicrop::dataset::Dataset;
use multicrop::decode;
use multicrop::error::SampleError;
use multicrop::eval_view::EvalView;
use multicrop::image::Image8;
use multicrop::loader::BadImages;

use crate::config::Config;
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

impl Preprocess {
    /// The settings of `[eval]` and `[data]`. Without `eval.crop`, the crop is the largest centered square
    /// of the first readable image of `dataset` whose side is a multiple of the patch size.
    ///
    /// # Errors
    /// If the crop depends on the images and too many of the first ones cannot be read.
    pub fn new(config: &Config, dataset: &dyn Dataset) -> Result<Self> {
        let decode = config.data.decode_options();
        let strict = config.data.strict;
        let crop = match config.eval.crop {
            Some(crop) => crop,
            None => {
                let image = first_image(dataset, &decode, strict)?;
                let (side, patch) = (image.width().min(image.height()), config.model.patch_size);
                (side as usize / patch).max(1) * patch
            }
        };
        let single = |values: Vec<f64>| values.iter().map(|value| *value as f32).collect();
        let view = EvalView {
            resize: config.eval.resize.map(|size| size as u32),
            crop: crop as u32,
            mean: single(config.data.mean()),
            std: single(config.data.std()),
        };
        Ok(Self { view, decode, batch_size: config.eval.batch_size, strict })
    }
}

/// The first image that can be read, if not too many before it cannot.
fn first_image(dataset: &dyn Dataset, decode: &decode::Options, strict: bool) -> Result<Image8> {
    let bad = if strict { 0 } else { BadImages::allowed(dataset.len()) };
    let mut others = 1..dataset.len().min(bad + 1);
    dataset.load(0, decode).or_else(|source| {
        let other = others.find_map(|index| dataset.load(index, decode).ok());
        other.ok_or_else(|| unreadable(dataset, 0, &source))
    })
}

/// The error for an image that cannot be evaluated.
pub(super) fn unreadable(dataset: &dyn Dataset, index: usize, source: &SampleError) -> Error {
    Error::EvalImage {
        name: dataset.name(index),
        data: dataset.describe(),
        reason: source.to_string(),
    }
}
