//! `dino-vmf data`: what a source holds, and what becomes of it.

mod inspect;
mod preview;

use anyhow::Result;
use clap::Subcommand;

use crate::console::Console;

/// Look at data sets
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    Inspect(inspect::Inspect),
    Preview(preview::Preview),
}

impl Data {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        match self {
            Self::Inspect(inspect) => inspect.run(console),
            Self::Preview(preview) => preview.run(console),
        }
    }
}
