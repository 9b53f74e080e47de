//! Images of a source as evaluations see them, in batches of a fixed number.

use std::ops::ControlFlow;
use std::sync::Arc;

use engine::ops::patch_embed::Images;
use multicrop::dataset::Dataset;
use multicrop::decode;
use multicrop::eval_view::EvalView;
use multicrop::image::Image8;
use rayon::prelude::*;
use streams::{Key, Purpose};

use crate::config::Config;
use crate::error::{Error, Result};

/// How images become the input of a network.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// What is seen of an image.
    pub view: EvalView,
    /// The form in which images are decoded.
    pub decode: decode::Options,
    /// Images in one forward pass.
    pub batch_size: usize,
}

impl Viewer {
    /// As `[eval]` says; without a crop there, the largest centered square of the first image of
    /// `dataset` that patches fill.
    ///
    /// # Errors
    /// If that image is needed and cannot be read.
    pub fn new(config: &Config, dataset: &dyn Dataset) -> Result<Self> {
        let decode = config.data.decode_options();
        let crop = match config.eval.crop {
            Some(crop) => crop,
            None => native_crop(dataset, &decode, config.model.patch_size)?,
        };
        let single = |values: &[f64]| values.iter().map(|value| *value as f32).collect();
        let view = EvalView {
            resize: config.eval.resize.map(|size| size as u32),
            crop: crop as u32,
            mean: single(&config.data.mean),
            std: single(&config.data.std),
        };
        Ok(Self { view, decode, batch_size: config.eval.batch_size })
    }

    /// Extents of `count` images of `side` pixels.
    pub fn extents(&self, count: usize, side: usize) -> Images {
        Images { count, channels: self.decode.channels, height: side, width: side }
    }
}

/// The largest centered square of the first image that patches fill.
fn native_crop(
    dataset: &dyn Dataset,
    decode: &decode::Options,
    patch_size: usize,
) -> Result<usize> {
    let image = load(dataset, 0, decode)?;
    let side = image.width().min(image.height()) as usize;
    Ok((side / patch_size).max(1) * patch_size)
}

/// Image `index`, whose failure is an error: in evaluations none is left out.
fn load(dataset: &dyn Dataset, index: usize, decode: &decode::Options) -> Result<Image8> {
    dataset.load(index, decode).map_err(|source| Error::EvalImage {
        name: dataset.name(index),
        data: dataset.describe(),
        reason: source.to_string(),
    })
}

/// Some images of a source, in the order of the source.
#[derive(Clone)]
pub struct Selection {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
}

impl Selection {
    /// At most `most` images of `dataset`, the first ones of the fixed order number `order`; all of
    /// them without a limit.
    pub fn new(dataset: Arc<dyn Dataset>, most: Option<usize>, order: u64) -> Self {
        let indices = subset(dataset.len(), most, order);
        Self { dataset, indices }
    }

    /// The source.
    pub fn dataset(&self) -> &dyn Dataset {
        self.dataset.as_ref()
    }

    /// The chosen images' places in the source, ascending.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Number of chosen images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True if nothing is chosen.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The class of each chosen image, 0 where it has none.
    pub fn labels(&self) -> Vec<u32> {
        self.indices.iter().map(|&index| self.dataset.label(index).unwrap_or(0)).collect()
    }

    /// Image `index` of the source.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(&self, index: usize, decode: &decode::Options) -> Result<Image8> {
        load(self.dataset.as_ref(), index, decode)
    }

    /// Calls `make(index, image, numbers)` for each image, from many threads, and `visit(images,
    /// numbers)` for each batch of them; `len` are the numbers of one image. Breaks off where
    /// `visit` does.
    ///
    /// Batches are always whole, the last one padded with zeros: a row's bits may depend on how many
    /// rows a product has, and must not depend on the size of the set.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn for_each_batch(
        &self,
        viewer: &Viewer,
        len: usize,
        make: &(dyn Fn(usize, &Image8, &mut [f32]) + Sync),
        visit: &mut dyn FnMut(usize, &[f32]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut numbers = vec![0.0f32; viewer.batch_size * len];
        for chunk in self.indices.chunks(viewer.batch_size) {
            numbers[chunk.len() * len..].fill(0.0);
            let images = numbers.par_chunks_mut(len).zip(chunk);
            let made = images.map(|(numbers, &index)| {
                make(index, &load(self.dataset.as_ref(), index, &viewer.decode)?, numbers);
                Ok(())
            });
            made.collect::<Result<Vec<()>>>()?;
            if visit(chunk.len(), &numbers).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The first `most` of a fixed order, ascending; all of them without a limit.
fn subset(len: usize, most: Option<usize>, which: u64) -> Vec<usize> {
    let Some(most) = most.filter(|&most| most < len) else { return (0..len).collect() };
    let mut order: Vec<usize> = (0..len).collect();
    let mut rng = Key::new(0, Purpose::Estimate).index(which).open();
    use rand::seq::SliceRandom;
    order.shuffle(&mut rng);
    order.truncate(most);
    order.sort_unstable();
    order
}
