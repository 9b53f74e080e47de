//! Features of images: raw pixels or \[CLS\] tokens, in batches of a fixed number.

use std::ops::ControlFlow;
use std::sync::Arc;

use engine::Params;
use multicrop::dataset::Dataset;

use super::images::{Selection, Viewer};
use super::knn::{self, Labelled, Score};
pub use super::trained::{Trained, read_params};
use crate::config::{Config, Data, Eval, Warning};
use crate::error::{Error, Result};
use crate::memory::Evaluated;
use crate::model::{Crops, Network, Tokens};

/// Labelled images for k-NN, opened.
#[derive(Clone)]
pub struct KnnData {
    train: Selection,
    test: Selection,
    viewer: Viewer,
    settings: Eval,
}

/// What the features are made by.
#[derive(Debug, Clone, Copy)]
pub enum Extractor<'a> {
    /// The normalized pixels of the evaluation crop.
    RawPixels,
    /// The \[CLS\] token after the final norm.
    Backbone(&'a Network, &'a Params),
}

impl KnnData {
    /// Opens both sources of `[eval]`; `None` if none are given.
    ///
    /// # Errors
    /// A source that cannot be opened, has no labels, or classes that differ.
    pub fn open(config: &Config) -> Result<Option<Self>> {
        Self::open_with(config, &mut |source| Ok(config.data.open(source)?))
    }

    /// As [`open`](Self::open), with `open` to open a source: for sources that may be open already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        config: &Config,
        open: &mut dyn FnMut(&str) -> Result<Arc<dyn Dataset>>,
    ) -> Result<Option<Self>> {
        let settings = config.eval.clone();
        let (Some(train), Some(test)) = (&settings.train, &settings.test) else { return Ok(None) };
        let mut open = |key, source: &str| {
            let source = config.locate(key, source);
            labelled(open(&source)?, &source)
        };
        let (train, test) = (open("eval.train", train)?, open("eval.test", test)?);
        multicrop::dataset::same_classes(train.as_ref(), test.as_ref())?;
        let viewer = Viewer::new(config, train.as_ref())?;
        let train = Selection::labelled(train, settings.max_train, 0);
        let test = Selection::labelled(test, settings.max_test, 1);
        Ok(Some(Self { train, test, viewer, settings }))
    }

    /// One sentence for each `k` that is more than there are images that vote.
    pub fn warnings(&self) -> Vec<Warning> {
        let voters = self.train.len();
        let too_many = self.settings.k.iter().filter(|k| **k > voters);
        let sentence = |k: &usize| {
            format!("k-NN with k = {k} uses k = {voters}, because only {voters} images vote")
        };
        too_many.map(sentence).collect()
    }

    /// How much there is to look at.
    pub fn size(&self) -> Evaluated {
        let images = self.train.len() + self.test.len();
        Evaluated { images, side: self.viewer.view.crop as usize }
    }

    /// What somebody who reads the accuracies has to know of both sources; see [`Selection::notes`].
    pub fn notes(&self) -> Vec<String> {
        [self.train.notes(), self.test.notes()].concat()
    }

    /// What is left out because it has no label, a sentence for each source.
    pub fn left_out(&self) -> Vec<String> {
        [&self.train, &self.test].into_iter().filter_map(Selection::left_out).collect()
    }

    /// k-NN accuracies of these features; `progress` is told images done, of all, after each batch.
    ///
    /// Nothing if `progress` wants to stop.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn evaluate(
        &self,
        extractor: Extractor<'_>,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Vec<Score>>> {
        let total = self.train.len() + self.test.len();
        let mut done = 0;
        let mut extract = |images: &Selection| {
            self.extract(extractor, images, &mut |count| {
                done += count;
                progress(done, total)
            })
        };
        let train = extract(&self.train)?;
        let test = match train {
            Some(_) => extract(&self.test)?,
            None => None,
        };
        let Eval { k, temperature, .. } = &self.settings;
        let classify = |(train, test)| knn::classify(&train, &test, k, *temperature);
        Ok(train.zip(test).map(classify))
    }

    fn extract(
        &self,
        extractor: Extractor<'_>,
        images: &Selection,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Labelled>> {
        let Viewer { view, batch_size, .. } = &self.viewer;
        let len = view.output_len();
        // All of it at once: a vector that grows is there twice while it moves.
        let width = match extractor {
            Extractor::RawPixels => len,
            Extractor::Backbone(network, _) => network.backbone.shape().embed_dim,
        };
        let mut rows = Vec::with_capacity(images.len() * width);
        let make = |_, image: &_, pixels: &mut [f32]| view.apply(image, pixels);
        let extents = self.viewer.extents(*batch_size, view.crop as usize);
        let ended = images.for_each_batch(&self.viewer, len, &make, &mut |count, pixels| {
            match extractor {
                Extractor::RawPixels => rows.extend_from_slice(&pixels[..count * len]),
                Extractor::Backbone(network, params) => {
                    let crops = [Crops::new(pixels, extents)];
                    let features = network.backbone.infer(params, &crops, Tokens::Cls);
                    rows.extend_from_slice(&features[..count * features.width()]);
                }
            }
            progress(count)
        })?;
        if ended.is_break() {
            return Ok(None);
        }
        let mut labelled = Labelled { rows, width, labels: images.labels() };
        labelled.normalize();
        Ok(Some(labelled))
    }
}

/// Opens a source whose images must have labels, with the choices of `[data]`.
///
/// # Errors
/// A source that cannot be opened, or has none.
pub fn open_labelled(data: &Data, source: &str) -> Result<Arc<dyn Dataset>> {
    labelled(data.open(source)?, source)
}

fn labelled(dataset: Arc<dyn Dataset>, source: &str) -> Result<Arc<dyn Dataset>> {
    let has_labels = (0..dataset.len()).any(|index| dataset.label(index).is_some());
    if dataset.classes().is_empty() || !has_labels {
        return Err(Error::NoLabels { data: source.to_owned() });
    }
    Ok(dataset)
}
