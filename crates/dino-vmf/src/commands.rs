//! The subcommands, and what several of them share.

pub(crate) mod analyze;
pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod eval;
pub(crate) mod presets;
pub(crate) mod pretrain;
mod throughput;
mod viewing;

use anyhow::{Context, Result};

use crate::cli::Command;
use crate::console::Console;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is done.
    Done,
    /// A signal came; what was done is saved.
    Interrupted,
}

/// Runs a subcommand.
pub(crate) fn run(command: Command, console: &mut Console) -> Result<Outcome> {
    match command {
        Command::Pretrain(pretrain) => return pretrain.run(console),
        Command::Eval(eval) => eval.run(console)?,
        Command::Analyze(analyze) => analyze.run(console)?,
        Command::Presets(presets) => presets.run(console)?,
        Command::Data(data) => data.run(console)?,
        Command::Bench(bench) => bench.run(console)?,
        Command::Completions(completions) => completions.run(console)?,
    }
    Ok(Outcome::Done)
}

/// Reads a number of threads of the command line.
fn thread_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count <= 1024);
    count.ok_or_else(|| "must be a whole number from 0 to 1024".to_owned())
}

/// Sets the number of threads that compute; 0 takes all cores.
fn use_threads(threads: usize) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build_global().with_context(|| format!("cannot start {threads} threads"))
}
