//! Features of images: raw pixels or \[CLS\] tokens, in batches of a fixed number.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use engine::Params;
use multicrop::dataset::Dataset;

use super::images::{Selection, Viewer};
use super::knn::{self, Labelled, Score};
use crate::checkpoint::{self, Tensors};
use crate::config::{Config, Data, Eval, Warning};
use crate::error::{Error, Result};
use crate::memory::Evaluated;
use crate::model::{Crops, Network, Tokens, init};
use crate::objective::{Center, Objective};

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
        let settings = config.eval.clone();
        let (Some(train), Some(test)) = (&settings.train, &settings.test) else { return Ok(None) };
        let (train, test) =
            (open_labelled(&config.data, train)?, open_labelled(&config.data, test)?);
        multicrop::dataset::same_classes(train.as_ref(), test.as_ref())?;
        let viewer = Viewer::new(config, train.as_ref())?;
        let train = Selection::new(train, settings.max_train, 0);
        let test = Selection::new(test, settings.max_test, 1);
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
    let dataset = data.open(source)?;
    if dataset.classes().is_empty() {
        return Err(Error::NoLabels { data: source.to_owned() });
    }
    Ok(dataset)
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
    /// The student's weights.
    pub student: Params,
    /// The weights that the run started with.
    pub untrained: Params,
    /// What the prototypes' scores mean.
    pub objective: Objective,
    /// The center of the teacher's scores of \[CLS\] tokens.
    pub center: Center,
    /// That of its patches; nothing for methods that do not mask.
    pub patch_center: Option<Center>,
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
        let read = |prefix| {
            let mut params = Params::zeros(network.table().clone());
            read_params(&loaded.tensors, prefix, &mut params).map(|()| params)
        };
        let (teacher, student) = (read("teacher.")?, read("student.")?);
        let untrained = init::draw(&network, config.seed, config.model.init_std);
        let objective = Objective::new(&config.objective, head.bottleneck_dim);
        let settings = &config.objective;
        let read_center = |name, momentum, prototypes| -> Result<Center> {
            let mut center = objective.initial_center(momentum, prototypes);
            center.set_values(&loaded.tensors.get(name, &[prototypes])?);
            Ok(center)
        };
        let center = read_center("center", settings.center_momentum, head.prototypes)?;
        let patch_center = match settings.method.masks() {
            true => {
                let prototypes = network.head.patch_prototypes.count;
                Some(read_center("center_patch", settings.patch_center_momentum, prototypes)?)
            }
            false => None,
        };
        let step = loaded.state.step;
        Ok(Self {
            config,
            step,
            network,
            teacher,
            student,
            untrained,
            objective,
            center,
            patch_center,
        })
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
