//! Flags and progress of commands that show images to a network: the size of images, and threads.

use anyhow::Result;
use clap::Args;
use dino::config::{Config, Eval};
use dino::open::Opened;

use super::opening::Named;
use super::threads::Threads;
use crate::console::{Console, Progress};

/// Size of the images for the network.
#[derive(Debug, Args)]
pub(crate) struct Sizes {
    /// Length of the shorter side after resizing; by default that of the run (`eval.resize`)
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    resize: Option<usize>,
    /// Side of the center crop, a multiple of the patch size; by default that of the run (`eval.crop`)
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    crop: Option<usize>,
}

/// Size of the images for the network, and threads.
#[derive(Debug, Args)]
pub(crate) struct Viewing {
    #[command(flatten)]
    sizes: Sizes,
    #[command(flatten)]
    threads: Threads,
}

impl Viewing {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system cannot.
    pub(crate) fn start_threads(&self) -> Result<()> {
        self.threads.start()
    }

    /// Starts the threads, reads a checkpoint and prints its path. The flags, and then `set`, override
    /// the `[eval]` settings of the checkpoint.
    ///
    /// # Errors
    /// The checkpoint cannot be read, or the settings are invalid.
    pub(crate) fn read(
        &self,
        checkpoint: Named<'_>,
        console: &mut Console,
        set: impl FnOnce(&mut Eval),
    ) -> Result<Opened> {
        self.start_threads()?;
        let mut opened = checkpoint.open(console)?;
        self.sizes.set(&mut opened);
        set(&mut opened.config.eval);
        opened.config.validate()?;
        Ok(opened)
    }
}

impl Sizes {
    /// Length of the shorter side after resizing and side of the crop, where they are given.
    pub(crate) fn given(&self) -> (Option<usize>, Option<usize>) {
        (self.resize, self.crop)
    }

    /// Overrides the `[eval]` settings of a checkpoint.
    pub(crate) fn set(&self, opened: &mut Opened) {
        let Opened { config, step, .. } = opened;
        fit(config, *step, ("--resize", self.resize), ("--crop", self.crop));
    }
}

/// Overrides the `[eval]` settings of a checkpoint where flags of these names give sizes. `step` is that of a run.
pub(crate) fn fit(
    config: &mut Config,
    step: Option<u64>,
    resize: (&str, Option<usize>),
    crop: (&str, Option<usize>),
) {
    config.evaluate_in(resize, crop);
    let eval = &mut config.eval;
    if resize.1.is_none() && step.is_none() {
        // A crop that is larger than the usual size needs larger images, if nobody says how large.
        eval.resize = eval.resize.map(|resize| resize.max(eval.crop.unwrap_or(0)));
    }
}

/// Shows how many of the images are done. `text` stands behind the count.
pub(crate) fn show_images(
    console: &mut Console,
    what: &'static str,
    (done, total): (usize, usize),
    text: &str,
) {
    let (done, total, text) = (done as u64, total as u64, format!(" images, {text}"));
    console.progress(&Progress { what, done, total, text }, false);
}
