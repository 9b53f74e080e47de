//! `dino-vmf analyze`: reports about the prototypes and features of a checkpoint.

mod features;
mod mixture;
mod subject;

use anyhow::Result;
use clap::Subcommand;

use crate::console::Console;

/// Analyze the prototypes or the features of a checkpoint
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
