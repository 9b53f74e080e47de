//! `dino-vmf checkpoint …`: what checkpoint files hold.

mod inspect;

use anyhow::Result;
use clap::Subcommand;

use crate::console::Console;

/// Look into checkpoint files, of this and of other programs
#[derive(Debug, Subcommand)]
pub(crate) enum Checkpoint {
    Inspect(inspect::Inspect),
}

impl Checkpoint {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let Self::Inspect(inspect) = self;
        inspect.run(console)
    }
}
