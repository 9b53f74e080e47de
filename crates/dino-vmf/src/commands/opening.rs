//! The checkpoint that a command reads: its path, and what a file of another program leaves open.
//!
//! A command takes one of these by `#[command(flatten)]`, and calls `named().open(console)`:
//!
//! * [`Checkpoint`]: CHECKPOINT or `--checkpoint`, where it is the command's only argument;
//! * [`CheckpointArgument`]: CHECKPOINT, before other arguments;
//! * [`CheckpointFlag`]: `--checkpoint`, where the arguments are something else.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::open::{Choices, Opened, open_with};

use super::candidates::names;
use crate::console::Console;

/// Heading of flags in the help.
const HEADING: &str = "Checkpoints of other programs";

/// A checkpoint, given with or without `--checkpoint`.
#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    foreign: Foreign,
}

/// Where the checkpoint lies. A group of clap's has no flattened members, so the rest stands outside.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Run folder (its newest checkpoint), `RUN@best`, checkpoint folder, or a file of another program
    ///
    /// DINO, iBOT, DINOv2, timm, Hugging Face: `dino-vmf checkpoint inspect FILE` shows what is in a file.
    #[arg(value_name = "CHECKPOINT", value_hint = ValueHint::AnyPath)]
    path: Option<PathBuf>,
    /// The same as CHECKPOINT
    #[arg(long = "checkpoint", value_name = "CHECKPOINT", value_hint = ValueHint::AnyPath)]
    flag: Option<PathBuf>,
}

/// A checkpoint, given by `--checkpoint`.
#[derive(Debug, Args)]
pub(crate) struct CheckpointFlag {
    /// Run folder (its newest checkpoint), `RUN@best`, checkpoint folder, or a file of another program
    ///
    /// DINO, iBOT, DINOv2, timm, Hugging Face: `dino-vmf checkpoint inspect FILE` shows what is in a file.
    #[arg(long = "checkpoint", value_name = "CHECKPOINT", value_hint = ValueHint::AnyPath)]
    flag: PathBuf,
    #[command(flatten)]
    foreign: Foreign,
}

/// A checkpoint, given as an argument.
#[derive(Debug, Args)]
pub(crate) struct CheckpointArgument {
    /// Run folder (its newest checkpoint), `RUN@best`, checkpoint folder, or a file of another program
    ///
    /// DINO, iBOT, DINOv2, timm, Hugging Face: `dino-vmf checkpoint inspect FILE` shows what is in a file.
    #[arg(value_name = "CHECKPOINT", value_hint = ValueHint::AnyPath)]
    checkpoint: PathBuf,
    #[command(flatten)]
    foreign: Foreign,
}

/// What is decided about checkpoints of other programs.
#[derive(Debug, Args)]
pub(crate) struct Foreign {
    /// Weights to read, such as `student`; by default the teacher's
    #[arg(long, value_name = "KEY", help_heading = HEADING)]
    #[arg(add = names(&["teacher", "student", "state_dict", "model"]))]
    key: Option<String>,
    /// Attention heads of a block, if the file does not say it
    ///
    /// Without this, 64 values for each head are assumed, as in all published sizes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(allow_negative_numbers = true, help_heading = HEADING)]
    heads: Option<u16>,
    /// Accept a tensor that is missing, unexpected or mis-shaped; `lora.*` names all that begin with `lora.`
    ///
    /// Missing and mis-shaped tensors keep the values of a new network. Unexpected ones are left out.
    #[arg(long, value_name = "TENSOR,TENSOR", value_delimiter = ',', help_heading = HEADING)]
    ignore: Vec<String>,
}

/// The path of a checkpoint, with what is decided about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) path: &'a Path,
    foreign: &'a Foreign,
}

impl Checkpoint {
    /// The checkpoint that was given.
    pub(crate) fn named(&self) -> Named<'_> {
        let path = self.place.path.as_deref().or(self.place.flag.as_deref());
        Named { path: path.expect("clap requires one of both"), foreign: &self.foreign }
    }
}

impl CheckpointFlag {
    /// The checkpoint that was given.
    pub(crate) fn named(&self) -> Named<'_> {
        Named { path: &self.flag, foreign: &self.foreign }
    }
}

impl CheckpointArgument {
    /// The checkpoint that was given.
    pub(crate) fn named(&self) -> Named<'_> {
        Named { path: &self.checkpoint, foreign: &self.foreign }
    }
}

impl Foreign {
    /// A checkpoint with these decisions.
    pub(crate) fn of<'a>(&'a self, path: &'a Path) -> Named<'a> {
        Named { path, foreign: self }
    }

    /// The decisions.
    pub(crate) fn choices(&self) -> Choices {
        Choices {
            key: self.key.clone(),
            heads: self.heads.map(usize::from),
            ignore: self.ignore.clone(),
        }
    }
}

impl Named<'_> {
    /// Reads the checkpoint, and prints which it is and what is worth a warning.
    ///
    /// # Errors
    /// The checkpoint cannot be read.
    pub(crate) fn open(self, console: &mut Console) -> Result<Opened> {
        let opened = open_with(self.path, &self.foreign.choices())?;
        opened.warnings.iter().for_each(|text| console.warn(text));
        console.note(format!("checkpoint `{}`, {}", opened.path.display(), opened.origin));
        Ok(opened)
    }
}
