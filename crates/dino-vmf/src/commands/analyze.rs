//! `dino-vmf analyze`: what a checkpoint has learned, in numbers and pictures.

mod features;
mod mixture;
mod page;
mod plot;

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use dino::memory::{self, Evaluated};
use dino::open::Opened;
use dino::probe::{Encoder, Pass, Preprocess, Subset, Views};
use serde::Serialize;

use super::viewing::{Viewing, show_images};
use crate::console::Console;

/// Look into a checkpoint: its prototypes, its features
#[derive(Debug, Subcommand)]
pub(crate) enum Analyze {
    Mixture(Box<mixture::Mixture>),
    Features(features::Features),
}

impl Analyze {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        match self {
            Self::Mixture(mixture) => mixture.run(console),
            Self::Features(features) => features.run(console),
        }
    }
}

/// Which network of a checkpoint, on which images.
#[derive(Debug, Args)]
struct Subject {
    /// Run folder (its newest checkpoint), checkpoint folder, or its `model.safetensors`
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    checkpoint: PathBuf,
    /// Images to look at, with labels or without
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    data: String,
    /// The network to look into
    #[arg(long, value_name = "WHICH", default_value = "teacher")]
    network: Which,
    /// At most this many images, the first ones of a fixed order
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    max_images: u64,
    #[command(flatten)]
    viewing: Viewing,
}

/// The networks that a checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    Teacher,
    Student,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Student => "student",
        }
    }
}

/// A network and images, opened.
struct Loaded {
    checkpoint: Opened,
    which: Which,
    images: Subset,
    preprocess: Preprocess,
}

impl Subject {
    /// The network, and images with labels or without; of a source with labels `labelled` takes only
    /// those images that have one.
    fn open(&self, labelled: bool, console: &mut Console) -> Result<Loaded> {
        let checkpoint = self.viewing.read(&self.checkpoint, console, |_| ())?;
        let dataset = checkpoint.config.data.open(&self.data)?;
        let preprocess = Preprocess::new(&checkpoint.config, dataset.as_ref())?;
        let has_labels = (0..dataset.len()).any(|index| dataset.label(index).is_some());
        let images = match labelled && has_labels {
            true => Subset::labelled(dataset, Some(self.most()), 0),
            false => Subset::new(dataset, Some(self.most()), 0),
        };
        images.notes().iter().for_each(|text| console.warn(text));
        let evaluated = Evaluated { images: images.len(), side: preprocess.view.crop as usize };
        memory::require_evaluation(&checkpoint.config, evaluated, false)?;
        Ok(Loaded { checkpoint, which: self.network, images, preprocess })
    }

    fn most(&self) -> usize {
        usize::try_from(self.max_images).unwrap_or(usize::MAX)
    }

    /// The network and the `count` images that could be read, in one line.
    fn describe(&self, loaded: &Loaded, count: usize) -> String {
        let step = loaded.checkpoint.step;
        let (which, data) = (self.network.name(), loaded.images.dataset().describe());
        format!("{which} of `{}` at step {step}, {count} images: {data}", self.checkpoint.display())
    }
}

impl Loaded {
    /// The network that `--network` chooses.
    fn encoder(&self) -> Encoder<'_> {
        let Self { checkpoint, which, .. } = self;
        let params = match which {
            Which::Teacher => &checkpoint.teacher,
            Which::Student => &checkpoint.student,
        };
        Encoder { name: which.name(), network: &checkpoint.network, params }
    }

    /// A pass over the images.
    fn pass<'a>(&'a self, views: Views<'a>) -> Pass<'a> {
        Pass { images: &self.images, preprocess: &self.preprocess, views }
    }
}

/// Shows on the console how many images are done; `what` is done with them.
fn shown<'a>(
    console: &'a mut Console,
    what: &'a str,
) -> impl FnMut(usize, usize) -> ControlFlow<()> + use<'a> {
    move |done, total| {
        show_images(console, "analysis", (done, total), what);
        ControlFlow::Continue(())
    }
}
