//! The checkpoint and the images that `analyze` reads.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::error::Error;
use dino::open::{Opened, TrainedHead};
use dino::{evaluation, memory};
use probe::{Encoder, Evaluated, Pass, Preprocess, Subset, Views};

use crate::commands::network_role::NetworkRole;
use crate::commands::opening::Checkpoint;
use crate::commands::viewing::{Viewing, show_images};
use crate::console::Console;

/// Which network of which checkpoint to analyze, and on which images.
#[derive(Debug, Args)]
pub(super) struct Subject {
    #[command(flatten)]
    checkpoint: Checkpoint,
    /// Images to analyze, with or without labels, for example `photos:test`
    ///
    /// A folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes`; `:train` or `:test`
    /// behind the name picks a part. Take images that the run was not trained on.
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub(super) data: String,
    /// Network to analyze
    ///
    /// Evaluations use the teacher, which is the average of the student over recent steps.
    #[arg(long, value_name = "NETWORK", default_value = "teacher")]
    network: NetworkRole,
    /// Analyze at most N images, the first ones of a fixed random order
    ///
    /// Counts of prototypes in use and entropies grow with N until there are many images per prototype.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    max_images: u64,
    #[command(flatten)]
    viewing: Viewing,
}

/// A [`Subject`] whose checkpoint and images are open.
pub(super) struct Input<'a> {
    pub(super) subject: &'a Subject,
    pub(super) checkpoint: Opened,
    pub(super) images: Subset,
    pub(super) preprocess: Preprocess,
}

impl Subject {
    /// Opens the checkpoint and the images. With `only_labelled`, drops the images without a label if
    /// others have one.
    ///
    /// # Errors
    /// The checkpoint or the images cannot be read.
    pub(super) fn open(&self, only_labelled: bool, console: &mut Console) -> Result<Input<'_>> {
        let checkpoint = self.viewing.read(self.checkpoint.named(), console, |_| ())?;
        self.network.require(&checkpoint)?;
        let dataset = checkpoint.config.data.open(&self.data)?;
        let preprocess = evaluation::preprocess(&checkpoint.config, dataset.as_ref())?;
        let has_labels = (0..dataset.len()).any(|index| dataset.label(index).is_some());
        let images = match only_labelled && has_labels {
            true => Subset::labelled(dataset, Some(self.max_images()), 0),
            false => Subset::new(dataset, Some(self.max_images()), 0),
        };
        images.notes().iter().for_each(|text| console.warn(text));
        Ok(Input { subject: self, checkpoint, images, preprocess })
    }

    /// The checkpoint as given.
    pub(super) fn path(&self) -> &Path {
        self.checkpoint.named().path
    }

    /// The value of `--max-images`.
    pub(super) fn max_images(&self) -> usize {
        usize::try_from(self.max_images).unwrap_or(usize::MAX)
    }
}

impl Input<'_> {
    /// Which network is analyzed.
    pub(super) fn network(&self) -> NetworkRole {
        self.subject.network
    }

    /// That network with its parameters.
    pub(super) fn encoder(&self) -> Encoder<'_> {
        self.network().encoder(&self.checkpoint)
    }

    /// What the head was trained with.
    ///
    /// # Errors
    /// If the checkpoint has no head.
    pub(super) fn head(&self) -> Result<&TrainedHead, Error> {
        self.checkpoint.head()
    }

    /// A pass over the images.
    pub(super) fn pass<'a>(&'a self, views: Views<'a>) -> Pass<'a> {
        Pass { images: &self.images, preprocess: &self.preprocess, views }
    }

    /// Refuses an analysis that needs more memory than there is, if it holds `values` for each of `images`.
    ///
    /// # Errors
    /// There is too little memory.
    pub(super) fn require_memory(&self, images: usize, values: usize) -> Result<()> {
        let evaluated = Evaluated {
            images,
            held: images,
            side: self.preprocess.view.crop as usize,
            classes: 0,
        };
        Ok(memory::require_evaluation(&self.checkpoint.config, evaluated, values)?)
    }

    /// The network and the images in one line of text. `images_read` is the number of images that could
    /// be read.
    pub(super) fn describe(&self, images_read: usize) -> String {
        format!(
            "{} of `{}`, {}, {images_read} images: {}",
            self.network().name(),
            self.subject.path().display(),
            self.checkpoint.origin,
            self.images.dataset().describe()
        )
    }
}

/// A callback that shows how many of all images are processed. `activity` stands behind the count.
pub(super) fn image_progress<'a>(
    console: &'a mut Console,
    activity: &'a str,
) -> impl FnMut(usize, usize) -> ControlFlow<()> + use<'a> {
    move |done, total| {
        show_images(console, "analysis", (done, total), activity);
        ControlFlow::Continue(())
    }
}
