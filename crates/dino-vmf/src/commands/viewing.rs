//! How a checkpoint is shown images: what `eval` and `analyze` have in common.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use dino::config::Eval;
use dino::open::{Opened, open};

use super::{thread_count, use_threads};
use crate::console::{Console, Progress};

/// Size of what the network sees, and threads.
#[derive(Debug, Args)]
pub(crate) struct Viewing {
    /// Length of the shorter side after resizing; as in the run if not given
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    resize: Option<usize>,
    /// Side of the central crop; as in the run if not given
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    crop: Option<usize>,
    /// Threads that compute, 0 for all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
}

impl Viewing {
    /// Starts the threads and reads a checkpoint, whose `[eval]` becomes what the flags say; `set`
    /// changes more of it. Says which checkpoint it is.
    ///
    /// # Errors
    /// A checkpoint that cannot be read, or settings that cannot be.
    pub(crate) fn read(
        &self,
        checkpoint: &Path,
        console: &mut Console,
        set: impl FnOnce(&mut Eval),
    ) -> Result<Opened> {
        use_threads(self.threads)?;
        let mut opened = open(checkpoint)?;
        opened.warnings.iter().for_each(|text| console.warn(text));
        console.note(format!("checkpoint `{}`, step {}", opened.path.display(), opened.step));
        let eval = &mut opened.config.eval;
        eval.resize = self.resize.or(eval.resize);
        eval.crop = self.crop.or(eval.crop);
        set(eval);
        opened.config.validate()?;
        Ok(opened)
    }
}

/// Tells the console how many of the images are done; `text` says with what.
pub(crate) fn show_images(
    console: &mut Console,
    what: &'static str,
    (done, total): (usize, usize),
    text: &str,
) {
    let (done, total, text) = (done as u64, total as u64, format!(" images, {text}"));
    console.progress(&Progress { what, done, total, text }, false);
}
