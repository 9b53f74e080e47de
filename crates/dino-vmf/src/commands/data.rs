//! `dino-vmf data`: reports about a source of images, and previews of its crops.

mod inspect;
mod preview;

use anyhow::Result;
use clap::Subcommand;

use crate::console::Console;
pub(crate) use preview::crop_picture;

/// Inspect a source of images, or preview its crops
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
