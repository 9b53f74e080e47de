//! The labelled images of an evaluation, and features of them.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum, ValueHint};
use dino::config::Config;
use dino::memory::{Beside, Kept};
use dino::open::Opened;
use dino::{evaluation, memory};
use multicrop::dataset::Dataset;
use probe::linear::usual_features;
use probe::{
    Encoder, Evaluated, Evaluation, Extracted, Features, Kind, Probe, Size, Storage, Wanted,
};

use super::super::viewing::show_images;
use crate::console::Console;

const NO_IMAGES: &str = "the run names no labelled images; give them by `--data SOURCE`, or `--train SOURCE` and \
                         `--test SOURCE`";

/// Labelled images to learn from and to test with. Without flags, those on which the run was evaluated, and all of them:
/// `eval.max_train` and `eval.max_test` of a run are for evaluations during training.
#[derive(Debug, Args)]
pub(crate) struct Labelled {
    /// Labelled images with two parts: the same as `--train SOURCE:train --test SOURCE:test`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    #[arg(conflicts_with_all = ["train", "test"])]
    data: Option<String>,
    /// Labelled images to learn from, for example `photos:train`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, requires = "test")]
    train: Option<String>,
    /// Labelled images to classify, for example `photos:test`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath, requires = "train")]
    test: Option<String>,
    /// Use at most N images to learn from, the same ones every time; without it all
    #[arg(long, value_name = "N", value_parser = most_images, allow_negative_numbers = true)]
    max_train: Option<usize>,
    /// Use at most N images to classify, the same ones every time; without it all
    #[arg(long, value_name = "N", value_parser = most_images, allow_negative_numbers = true)]
    max_test: Option<usize>,
}

/// A number of images from 1 on.
fn most_images(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| "expected a number of images from 1 on".to_owned())
}

/// Which features of an image a classifier gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Vectors {
    /// As DINO: `last4` for networks narrower than ViT-B, else `cls+mean`
    Auto,
    /// The CLS token
    Cls,
    /// The CLS tokens of the last four blocks
    Last4,
    /// The CLS token and the mean of the patch tokens
    #[value(name = "cls+mean")]
    ClsAndMean,
}

/// What a task wants of labelled images.
pub(super) struct Needs<'a> {
    pub(super) vectors: Vectors,
    /// Training images that each class of test images must have.
    pub(super) images_of_class: usize,
    /// What is needed beside the features.
    pub(super) beside: &'a dyn Fn(Size) -> Beside,
}

/// Features of both sets.
pub(super) struct Inputs {
    pub(super) train: Features,
    pub(super) test: Features,
    /// Number of classes.
    pub(super) classes: usize,
    /// What the features are, in words.
    pub(super) vectors: String,
}

impl Labelled {
    /// Opens both sources, and prints what is worth a warning.
    ///
    /// # Errors
    /// Sources that cannot be opened, have no labels, or classes that differ.
    pub(super) fn open(
        &self,
        opened: &mut Opened,
        probes: Vec<Box<dyn Probe>>,
        console: &mut Console,
    ) -> Result<Evaluation> {
        self.choose(&mut opened.config);
        let evaluation = evaluation::open(&opened.config, probes)?.context(NO_IMAGES)?;
        let warnings = evaluation.warnings().into_iter().chain(evaluation.notes());
        warnings.for_each(|text| console.warn(text));
        Ok(evaluation)
    }

    /// Opens both sources as they are: the images to learn from, then those to classify.
    ///
    /// # Errors
    /// Sources that cannot be opened or have no labels.
    pub(super) fn sets(&self, opened: &mut Opened) -> Result<[Arc<dyn Dataset>; 2]> {
        self.choose(&mut opened.config);
        let config = &opened.config;
        let open = |key, source: &Option<String>| -> Result<Arc<dyn Dataset>> {
            let source = config.locate(key, source.as_ref().context(NO_IMAGES)?);
            Ok(evaluation::open_labelled(&config.data, &source)?)
        };
        Ok([open("eval.train", &config.eval.train)?, open("eval.test", &config.eval.test)?])
    }

    /// The features of both sets, of the teacher's backbone.
    ///
    /// # Errors
    /// As [`open`](Self::open); a class with too few images; too little memory; images that cannot be read; features
    /// that are not finite.
    pub(super) fn features(
        &self,
        opened: &mut Opened,
        needs: &Needs<'_>,
        console: &mut Console,
    ) -> Result<Inputs> {
        let mut evaluation = self.open(opened, Vec::new(), console)?;
        evaluation.require_images_of_each_class(needs.images_of_class)?;
        let encoder =
            Encoder { name: "trained", network: &opened.network, params: &opened.teacher };
        let (kind, vectors) = needs.vectors.of(opened);
        let wanted = Wanted { kind, unit: false };
        let ((train, test), classes) = (evaluation.counts(), evaluation.classes());
        let width = evaluation.values_of_features(&encoder, wanted);
        let beside = (needs.beside)(Size { train, test, width, classes });
        keep(&mut evaluation, &opened.config, width, beside, console)?;
        let (train, test) = evaluation.features(&encoder, wanted, &mut |done, total| {
            show_images(console, "features", (done, total), &vectors);
            ControlFlow::Continue(())
        })?;
        console.end_progress();
        let (train, test) = (checked(train, console)?, checked(test, console)?);
        Ok(Inputs { train, test, classes, vectors })
    }

    /// Whether only some of the images to learn from are used.
    pub(super) fn limits_training(&self) -> bool {
        self.max_train.is_some()
    }

    /// Writes the sources that flags give, and how many images of them, into the settings of a checkpoint.
    fn choose(&self, config: &mut Config) {
        if let Some((train, test)) = self.sources() {
            config.evaluate_on(train, test);
        }
        (config.eval.max_train, config.eval.max_test) = (self.max_train, self.max_test);
    }

    /// The images to learn from and those to classify, if flags give them.
    fn sources(&self) -> Option<(String, String)> {
        let parts = self.data.as_ref().map(|data| {
            let whole = data.strip_suffix(":train").or(data.strip_suffix(":test")).unwrap_or(data);
            (format!("{whole}:train"), format!("{whole}:test"))
        });
        parts.or_else(|| self.train.clone().zip(self.test.clone()))
    }
}

impl Vectors {
    /// The features of a checkpoint, and their name.
    pub(super) fn of(self, opened: &Opened) -> (Kind, String) {
        let shape = opened.network.backbone.shape();
        self.kind(shape.embed_dim, shape.depth)
    }

    /// The features of a backbone of this width and depth, and their name.
    fn kind(self, width: usize, depth: usize) -> (Kind, String) {
        let text = |text: &str| text.to_owned();
        match self {
            Self::Auto if usual_features(width, depth) == Kind::ClsAndMean => {
                Self::ClsAndMean.kind(width, depth)
            }
            Self::Auto | Self::Last4 if depth > 1 => {
                let blocks = depth.min(4);
                (Kind::LastCls(blocks), format!("[CLS] of the last {blocks} blocks"))
            }
            Self::Auto | Self::Last4 | Self::Cls => (Kind::Cls, text("[CLS] of the last block")),
            Self::ClsAndMean => (Kind::ClsAndMean, text("[CLS] and mean of the patches")),
        }
    }
}

/// Where features fit, in memory or on disk. Says so if that is the disk. `values` are held for each image.
///
/// # Errors
/// They fit nowhere.
pub(super) fn storage(
    config: &Config,
    evaluated: Evaluated,
    values: usize,
    beside: Beside,
    console: &mut Console,
) -> Result<Storage> {
    let Kept { storage, note } = memory::keep(config, evaluated, values, beside)?;
    note.into_iter().for_each(|text| console.note(text));
    Ok(storage)
}

/// Lets an evaluation keep features where they fit.
///
/// # Errors
/// They fit nowhere.
pub(super) fn keep(
    evaluation: &mut Evaluation,
    config: &Config,
    values: usize,
    beside: Beside,
    console: &mut Console,
) -> Result<()> {
    evaluation.store(storage(config, evaluation.size(), values, beside, console)?);
    Ok(())
}

/// The features of one source and kind. Says which images were left out.
///
/// # Errors
/// Features that are not finite.
pub(super) fn checked(found: Extracted, console: &mut Console) -> Result<Features> {
    found.passed.left_out.iter().for_each(|text| console.warn(text));
    found.passed.require_finite()?;
    found.features.into_iter().flatten().next().context("no features")
}

/// Shows how many of the fits are done.
pub(super) fn show_fits(console: &mut Console, what: &'static str, done: usize, total: usize) {
    let (done, total) = (done as u64, total as u64);
    console.progress(&crate::console::Progress { what, done, total, text: String::new() }, false);
}
