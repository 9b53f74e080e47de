//! The command line as a whole; the flags of a subcommand lie beside its code in `commands/`.

use clap::{Args, Parser, Subcommand};

use crate::commands::{analyze, bench, completions, data, eval, presets, pretrain};

/// Pre-train vision transformers by self-distillation: DINO and DINO-vMF
///
/// `dino-vmf pretrain` without arguments trains a small network on built-in images and tells how
/// good its features are.
#[derive(Debug, Parser)]
#[command(name = "dino-vmf", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results and progress are shown.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Write results to stdout as one JSON object on each line
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Write nothing to stderr but warnings and errors
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Write lines instead of a progress bar, on a terminal too
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) no_progress: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pretrain(Box<pretrain::Pretrain>),
    #[command(subcommand)]
    Eval(eval::Eval),
    #[command(subcommand)]
    Analyze(analyze::Analyze),
    Presets(presets::Presets),
    #[command(subcommand)]
    Data(data::Data),
    #[command(subcommand)]
    Bench(bench::Bench),
    Completions(completions::Completions),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn all_flags_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
