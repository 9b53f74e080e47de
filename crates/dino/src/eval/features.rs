//! Features of images: raw pixels or \[CLS\] tokens, in batches of a fixed number.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use engine::Params;
use engine::ops::patch_embed::Images;
use multicrop::dataset::Dataset;
use multicrop::decode;
use multicrop::eval_view::EvalView;
use rayon::prelude::*;
use streams::{Key, Purpose};

use super::knn::{self, Labelled, Score};
use crate::checkpoint::{self, Tensors};
use crate::config::{Config, Eval};
use crate::error::{Error, Result};
use crate::model::{Crops, Network, Tokens, init};

/// Labelled images for k-NN, opened.
#[derive(Clone)]
pub struct KnnData {
    train: Arc<dyn Dataset>,
    test: Arc<dyn Dataset>,
    train_indices: Vec<usize>,
    test_indices: Vec<usize>,
    view: EvalView,
    decode: decode::Options,
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
        let settings = config.eval.clone();
        let (Some(train), Some(test)) = (&settings.train, &settings.test) else { return Ok(None) };
        let (train_set, test_set) = (open_labelled(train)?, open_labelled(test)?);
        multicrop::dataset::same_classes(train_set.as_ref(), test_set.as_ref())?;
        let decode = config.data.decode_options();
        let crop = match settings.crop {
            Some(crop) => crop,
            None => native_crop(train_set.as_ref(), &decode, config.model.patch_size)?,
        };
        let single = |values: &[f64]| values.iter().map(|value| *value as f32).collect();
        let view = EvalView {
            resize: settings.resize.map(|size| size as u32),
            crop: crop as u32,
            mean: single(&config.data.mean),
            std: single(&config.data.std),
        };
        let train_indices = subset(train_set.len(), settings.max_train, 0);
        let test_indices = subset(test_set.len(), settings.max_test, 1);
        Ok(Some(Self {
            train: train_set,
            test: test_set,
            train_indices,
            test_indices,
            view,
            decode,
            settings,
        }))
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
        let total = self.train_indices.len() + self.test_indices.len();
        let mut done = 0;
        let mut extract = |dataset: &dyn Dataset, indices: &[usize]| {
            self.extract(extractor, dataset, indices, &mut |images| {
                done += images;
                progress(done, total)
            })
        };
        let train = extract(self.train.as_ref(), &self.train_indices)?;
        let test = match train {
            Some(_) => extract(self.test.as_ref(), &self.test_indices)?,
            None => None,
        };
        let Eval { k, temperature, .. } = &self.settings;
        let classify = |(train, test)| knn::classify(&train, &test, k, *temperature);
        Ok(train.zip(test).map(classify))
    }

    fn extract(
        &self,
        extractor: Extractor<'_>,
        dataset: &dyn Dataset,
        indices: &[usize],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Labelled>> {
        let len = self.view.output_len();
        // Always whole batches, the last one padded with zeros: a row's bits may depend on how many
        // rows a product has, and must not depend on the size of the set.
        let batch = self.settings.batch_size;
        let mut pixels = vec![0.0f32; batch * len];
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for chunk in indices.chunks(batch) {
            pixels[chunk.len() * len..].fill(0.0);
            let loaded = pixels.par_chunks_mut(len).zip(chunk).map(|(pixels, &index)| {
                let image =
                    dataset.load(index, &self.decode).map_err(|source| Error::EvalImage {
                        name: dataset.name(index),
                        data: dataset.describe(),
                        reason: source.to_string(),
                    })?;
                self.view.apply(&image, pixels);
                Ok(())
            });
            loaded.collect::<Result<Vec<()>>>()?;
            labels.extend(chunk.iter().map(|&index| dataset.label(index).unwrap_or(0)));
            match extractor {
                Extractor::RawPixels => rows.extend_from_slice(&pixels[..chunk.len() * len]),
                Extractor::Backbone(network, params) => {
                    let side = self.view.crop as usize;
                    let channels = self.decode.channels;
                    let images = Images { count: batch, channels, height: side, width: side };
                    let crops = [Crops::new(&pixels, images)];
                    let features = network.backbone.infer(params, &crops, Tokens::Cls);
                    rows.extend_from_slice(&features[..chunk.len() * features.width()]);
                }
            }
            if progress(chunk.len()).is_break() {
                return Ok(None);
            }
        }
        let width = rows.len().checked_div(labels.len()).unwrap_or(0);
        let mut labelled = Labelled { rows, width, labels };
        labelled.normalize();
        Ok(Some(labelled))
    }
}

fn open_labelled(source: &str) -> Result<Arc<dyn Dataset>> {
    let dataset = multicrop::dataset::open(source)?;
    if dataset.classes().is_empty() {
        return Err(Error::NoLabels { data: source.to_owned() });
    }
    Ok(dataset)
}

/// The largest centered square of the first image that patches fill.
fn native_crop(
    dataset: &dyn Dataset,
    decode: &decode::Options,
    patch_size: usize,
) -> Result<usize> {
    let image = dataset.load(0, decode).map_err(|source| Error::EvalImage {
        name: dataset.name(0),
        data: dataset.describe(),
        reason: source.to_string(),
    })?;
    let side = image.width().min(image.height()) as usize;
    Ok((side / patch_size).max(1) * patch_size)
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

/// A trained network read from a checkpoint of a run.
#[derive(Debug)]
pub struct Trained {
    /// The run's configuration.
    pub config: Config,
    /// Steps it was trained for.
    pub step: u64,
    /// The network.
    pub network: Network,
    /// The teacher's weights.
    pub teacher: Params,
    /// The weights that the run started with.
    pub untrained: Params,
}

impl Trained {
    /// Reads `path`: a run folder (its newest checkpoint), a checkpoint folder, or its
    /// `model.safetensors`.
    ///
    /// # Errors
    /// A missing or damaged checkpoint, or tensors that do not fit the run's configuration.
    pub fn read(path: &Path) -> Result<Self> {
        let not_found = || Error::NoCheckpoint { path: path.to_owned() };
        let (run, loaded) = if crate::run_folder::RunFolder::is_run(path) {
            let newest = checkpoint::load_newest_valid(path)?;
            (path.to_owned(), newest.loaded.ok_or_else(not_found)?)
        } else {
            let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
            let run = folder.parent().and_then(Path::parent).ok_or_else(not_found)?;
            if !folder.is_dir() || !crate::run_folder::RunFolder::is_run(run) {
                return Err(not_found());
            }
            (run.to_owned(), checkpoint::load(folder)?)
        };
        let config = Config::load(&run.join("config.toml"))?;
        let (vit, head) = config.shapes();
        let network = Network::new(&vit, &head);
        let mut teacher = Params::zeros(network.table().clone());
        read_params(&loaded.tensors, "teacher.", &mut teacher)?;
        let untrained = init::draw(&network, config.seed, config.model.init_std);
        Ok(Self { config, step: loaded.state.step, network, teacher, untrained })
    }
}

/// Reads all tensors `{prefix}{name}` of a checkpoint.
///
/// # Errors
/// A tensor that is missing or has another shape.
pub fn read_params(tensors: &Tensors, prefix: &str, params: &mut Params) -> Result<()> {
    for entry in params.table().clone().entries() {
        let name = format!("{prefix}{}", entry.name);
        tensors.copy_into(&name, &entry.shape, params.get_mut(entry.range))?;
    }
    Ok(())
}
