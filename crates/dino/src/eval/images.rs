//! Images of a source as evaluations see them, in batches of a fixed number.

use std::ops::ControlFlow;
use std::sync::Arc;

use engine::ops::patch_embed::Images;
use multicrop::dataset::{Dataset, left_out_notes};
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
        let single = |values: Vec<f64>| values.iter().map(|value| *value as f32).collect();
        let view = EvalView {
            resize: config.eval.resize.map(|size| size as u32),
            crop: crop as u32,
            mean: single(config.data.mean()),
            std: single(config.data.std()),
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
    without_label: usize, // that could not be chosen
}

impl Selection {
    /// At most `most` images of `dataset`, the first ones of the fixed order number `order`; all of
    /// them without a limit.
    pub fn new(dataset: Arc<dyn Dataset>, most: Option<usize>, order: u64) -> Self {
        let indices = subset(dataset.len(), most, order);
        Self { dataset, indices, without_label: 0 }
    }

    /// The same of the images that have a label; the others are counted.
    pub fn labelled(dataset: Arc<dyn Dataset>, most: Option<usize>, order: u64) -> Self {
        let labelled: Vec<usize> =
            (0..dataset.len()).filter(|&index| dataset.label(index).is_some()).collect();
        let chosen = subset(labelled.len(), most, order);
        let indices = chosen.into_iter().map(|place| labelled[place]).collect();
        let without_label = dataset.len() - labelled.len();
        Self { dataset, indices, without_label }
    }

    /// A sentence about images that were left out because they have no label, if there are any.
    pub fn left_out(&self) -> Option<String> {
        let Self { dataset, without_label, .. } = self;
        (*without_label > 0).then(|| {
            let (all, data) = (dataset.len(), dataset.describe());
            format!("{without_label} of {all} images of {data} have no label and are left out")
        })
    }

    /// What somebody who reads numbers about these images has to know: a sentence for each kind of
    /// things that the source leaves out, and one about images without a label.
    pub fn notes(&self) -> Vec<String> {
        let notes = left_out_notes(self.dataset.as_ref());
        notes.into_iter().chain(self.left_out()).collect()
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

    /// The class of each chosen image.
    ///
    /// # Panics
    /// If one has none: choose the images with [`Selection::labelled`].
    pub fn labels(&self) -> Vec<u32> {
        let label = |&index| self.dataset.label(index).expect("only labelled images are chosen");
        self.indices.iter().map(label).collect()
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

#[cfg(test)]
mod tests {
    use multicrop::dataset::Sample;
    use multicrop::error::SampleError;

    use super::*;

    /// Every third image has no label.
    struct Partly;

    impl Dataset for Partly {
        fn len(&self) -> usize {
            9
        }
        fn read(&self, _: usize) -> Result<Sample<'_>, SampleError> {
            Ok(Sample::Pixels(Image8::filled(8, 8, &[1, 2, 3])))
        }
        fn label(&self, index: usize) -> Option<u32> {
            (!index.is_multiple_of(3)).then_some(index as u32 % 2)
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn name(&self, index: usize) -> String {
            index.to_string()
        }
        fn describe(&self) -> String {
            "partly".to_owned()
        }
    }

    #[test]
    fn images_without_a_label_are_left_out_and_counted_and_never_of_class_0() {
        let chosen = Selection::labelled(Arc::new(Partly), None, 0);
        assert_eq!(chosen.indices(), [1, 2, 4, 5, 7, 8]);
        assert_eq!(chosen.labels(), [1, 0, 0, 1, 1, 0]);
        let text = chosen.left_out().expect("a sentence");
        assert_eq!(text, "3 of 9 images of partly have no label and are left out");
        let few = Selection::labelled(Arc::new(Partly), Some(4), 0);
        assert_eq!((few.len(), few.labels().len()), (4, 4));
        assert_eq!(Selection::new(Arc::new(Partly), None, 0).left_out(), None);
    }
}
