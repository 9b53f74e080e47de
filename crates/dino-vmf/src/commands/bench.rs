//! `dino-vmf bench`: speed of a training step, of the data loader, of the objective and of evaluations.

mod conditions;
mod evaluation;
mod loader;
mod objective;
mod profile;
mod record;
mod step;

use anyhow::Result;
use clap::Subcommand;

use crate::console::Console;

/// Measure the speed of training steps, of the data loader, of the objective or of evaluations
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    Step(Box<step::Step>),
    Loader(loader::Loader),
    Objective(objective::Objective),
    Evaluation(evaluation::Evaluation),
}

impl Bench {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        match self {
            Self::Step(step) => step.run(console),
            Self::Loader(loader) => loader.run(console),
            Self::Objective(objective) => objective.run(console),
            Self::Evaluation(evaluation) => evaluation.run(console),
        }
    }
}
