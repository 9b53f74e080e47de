//! `dino-vmf bench`: speed of a training step, of the data loader and of the objective.

mod conditions;
mod loader;
mod objective;
mod profile;
mod record;
mod step;

use anyhow::Result;
use clap::Subcommand;

use crate::console::Console;

/// Measure the speed of training steps, of the data loader or of the objective
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    Step(Box<step::Step>),
    Loader(loader::Loader),
    Objective(objective::Objective),
}

impl Bench {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        match self {
            Self::Step(step) => step.run(console),
            Self::Loader(loader) => loader.run(console),
            Self::Objective(objective) => objective.run(console),
        }
    }
}
