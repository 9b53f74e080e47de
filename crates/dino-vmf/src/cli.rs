//! The whole command line. Each subcommand defines its flags beside its code in `commands/`.

use clap::{Parser, Subcommand};

use crate::commands::{
    analyze, attention, bench, checkpoint, completions, config, convert, data, duplicates, eval,
    export, features, man, neighbors, outliers, parts, plan, presets, pretrain, run_report, watch,
};
use crate::console::Output;

/// Pre-train vision transformers by self-distillation: DINO, iBOT, DINO-vMF and iBOT-vMF
///
/// `dino-vmf pretrain` without arguments trains a small network on built-in images and reports the
/// k-NN accuracy of its features.
#[derive(Debug, Parser)]
#[command(name = "dino-vmf", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pretrain(Box<pretrain::Pretrain>),
    Plan(Box<plan::Plan>),
    Report(run_report::Report),
    Watch(watch::Watch),
    #[command(subcommand)]
    Eval(eval::Eval),
    #[command(subcommand)]
    Analyze(analyze::Analyze),
    #[command(subcommand)]
    Checkpoint(checkpoint::Checkpoint),
    Convert(convert::Convert),
    Features(features::Features),
    Export(export::Export),
    Attention(attention::Attention),
    Parts(parts::Parts),
    Neighbors(neighbors::Neighbors),
    Duplicates(duplicates::Duplicates),
    Outliers(outliers::Outliers),
    Presets(presets::Presets),
    Config(config::Config),
    #[command(subcommand)]
    Data(data::Data),
    #[command(subcommand)]
    Bench(bench::Bench),
    Completions(completions::Completions),
    Man(man::Man),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn all_flags_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
