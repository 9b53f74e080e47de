//! What the settings say about evaluations: which probes, which images, and how these are prepared.

use std::sync::Arc;

use multicrop::Dataset;
use probe::{
    Evaluated, Evaluation, Kind, Preprocess, Probe, Size, evaluation, fewshot, knn, linear,
    logistic, preprocess, require_labels,
};

use crate::config::{Config, Data, During, Eval, Sizes};
use crate::error::Result;

/// All probes of a run, in the order of reports. A new probe is a line here.
pub fn probes(config: &Config) -> Vec<Box<dyn Probe>> {
    let Sizes { embed_dim, depth, .. } = config.model.sizes();
    let of = |during: &During| -> Box<dyn Probe> {
        match during {
            During::Knn => Box::new(knn::Knn::new(knn_settings(&config.eval))),
            During::Linear => {
                let kind = linear::usual_features(embed_dim, depth);
                Box::new(linear::Linear::new(linear::Settings::short(), kind))
            }
            During::Logistic => Box::new(logistic::Logistic::short()),
            During::Fewshot => Box::new(fewshot::FewLabels::short()),
        }
    };
    config.eval.during.iter().map(of).collect()
}

/// Values in a feature of this kind of the backbone in `config`.
pub fn width(config: &Config, kind: Kind) -> usize {
    let width = config.model.sizes().embed_dim;
    match kind {
        Kind::LastCls(blocks) => blocks * width,
        Kind::ClsAndMean => 2 * width,
        _ => width,
    }
}

/// What evaluations during training hold: values for each image, and bytes beside them. Pixels come alone, and
/// only where a probe judges them.
pub(crate) fn held(config: &Config, evaluated: Evaluated, pixels: f64) -> (f64, f64) {
    let Evaluated { images, held, classes, .. } = evaluated;
    let (mut kinds, mut values, mut bytes) = (Vec::new(), 0, 0);
    let mut of_pixels = 0.0;
    for probe in probes(config) {
        let wanted = probe.wants();
        let width = width(config, wanted.kind);
        // Where all are held, it does not matter of which set they are.
        let test = if held < images { held } else { 0 };
        let size = Size { train: images - test, test, width, classes };
        bytes = bytes.max(probe.bytes(size));
        if probe.judges_pixels() {
            let size = Size { width: pixels as usize, ..size };
            bytes = bytes.max(probe.bytes(size));
        }
        if !kinds.contains(&wanted) {
            kinds.push(wanted);
            values += width;
        }
        if probe.judges_pixels() {
            of_pixels = pixels;
        }
    }
    ((values as f64).max(of_pixels), bytes as f64)
}

/// The settings of k-NN in `[eval]`.
pub fn knn_settings(settings: &Eval) -> knn::Settings {
    knn::Settings { k: settings.k.clone(), temperature: settings.temperature }
}

/// How `[eval]` and `[data]` turn images of `dataset` into the input of the network.
///
/// # Errors
/// As [`Preprocess::new`].
pub fn preprocess(config: &Config, dataset: &dyn Dataset) -> Result<Preprocess> {
    Ok(Preprocess::new(preprocess_settings(config), dataset)?)
}

/// Whether networks with these settings get the same input from an image.
pub fn same_inputs(a: &Config, b: &Config) -> bool {
    let input =
        |config: &Config| format!("{:?} {}", preprocess_settings(config), config.data.channels);
    input(a) == input(b)
}

fn preprocess_settings(config: &Config) -> preprocess::Settings {
    let Config { data, eval, .. } = config;
    let single = |values: Vec<f64>| values.iter().map(|value| *value as f32).collect();
    preprocess::Settings {
        resize: eval.resize,
        crop: eval.crop,
        patch_size: config.model.patch_size,
        mean: single(data.mean()),
        std: single(data.std()),
        decode: data.decode_options(),
        batch_size: eval.batch_size,
        strict: data.strict,
    }
}

/// Opens both sources of `[eval]` for these probes; `None` if no source is given.
///
/// # Errors
/// A source that cannot be opened, has no labels, or classes that differ.
pub fn open(config: &Config, probes: Vec<Box<dyn Probe>>) -> Result<Option<Evaluation>> {
    open_with(config, probes, &mut |source| Ok(config.data.open(source)?))
}

/// As [`open`], with `open` to open a source: for sources that may be open already.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    config: &Config,
    probes: Vec<Box<dyn Probe>>,
    open: &mut dyn FnMut(&str) -> Result<Arc<dyn Dataset>>,
) -> Result<Option<Evaluation>> {
    let settings = &config.eval;
    let (Some(train), Some(test)) = (&settings.train, &settings.test) else { return Ok(None) };
    let mut open = |key, source: &str| -> Result<Arc<dyn Dataset>> {
        let source = config.locate(key, source);
        let dataset = open(&source)?;
        require_labels(dataset.as_ref(), &source)?;
        Ok(dataset)
    };
    let (train, test) = (open("eval.train", train)?, open("eval.test", test)?);
    let settings = evaluation::Settings {
        preprocess: preprocess_settings(config),
        max_train: settings.max_train,
        max_test: settings.max_test,
    };
    Ok(Some(Evaluation::new(train, test, settings, probes)?))
}

/// Opens a source whose images must have labels, with the settings of `[data]`.
///
/// # Errors
/// A source that cannot be opened, or has no labels.
pub fn open_labelled(data: &Data, source: &str) -> Result<Arc<dyn Dataset>> {
    let dataset = data.open(source)?;
    require_labels(dataset.as_ref(), source)?;
    Ok(dataset)
}
