//! The command `dino-vmf`: parses the command line, runs a subcommand and returns its exit code.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod console;
mod tips;
mod usage;

use std::process::ExitCode;
use std::{env, panic};

use anyhow::Result;
use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::cli::{Cli, Command};
use crate::commands::{Outcome, completions, signals};
use crate::console::Console;

fn main() -> ExitCode {
    panic::set_hook(Box::new(console::report_bug));
    completions::answer(Cli::command);
    let cli = parse();
    let mut console = Console::new(&cli.output);
    let outcome = run(cli.command, &mut console);
    match outcome.and_then(|outcome| console.finish().map(|()| outcome)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(error) => ExitCode::from(console::report_error(&error)),
    }
}

/// Reads the command line; prints help or an error and ends the program where it asks for that.
fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument => {
            let words: Vec<_> = env::args_os().skip(1).collect();
            tips::add(error, &Cli::command(), &words).exit()
        }
        _ => error.exit(),
    })
}

fn run(command: Command, console: &mut Console) -> Result<Outcome> {
    dino::environment::check()?;
    signals::survive_large_files()?;
    match command {
        Command::Pretrain(pretrain) => return pretrain.run(console),
        Command::Plan(plan) => plan.run(console)?,
        Command::Report(report) => report.run(console)?,
        Command::Watch(watch) => watch.run(console)?,
        Command::Eval(eval) => return eval.run(console),
        Command::Analyze(analyze) => analyze.run(console)?,
        Command::Checkpoint(checkpoint) => checkpoint.run(console)?,
        Command::Convert(convert) => convert.run(console)?,
        Command::Features(features) => features.run(console)?,
        Command::Attention(attention) => attention.run(console)?,
        Command::Parts(parts) => parts.run(console)?,
        Command::Export(export) => export.run(console)?,
        Command::Neighbors(neighbors) => neighbors.run(console)?,
        Command::Duplicates(duplicates) => duplicates.run(console)?,
        Command::Outliers(outliers) => outliers.run(console)?,
        Command::Presets(presets) => presets.run(console)?,
        Command::Data(data) => data.run(console)?,
        Command::Bench(bench) => bench.run(console)?,
        Command::Config(config) => config.run(console)?,
        Command::Completions(completions) => completions.run(console)?,
        Command::Man(man) => man.run(Cli::command(), console)?,
    }
    Ok(Outcome::Done)
}
