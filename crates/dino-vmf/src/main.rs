//! The command `dino-vmf`: parses the command line, runs a subcommand and returns its exit code.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod console;

use std::panic;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::commands::Outcome;
use crate::console::Console;

fn main() -> ExitCode {
    panic::set_hook(Box::new(console::report_bug));
    let cli = Cli::parse();
    let mut console = Console::new(&cli.output);
    let outcome = run(cli.command, &mut console);
    match outcome.and_then(|outcome| console.finish().map(|()| outcome)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(error) => ExitCode::from(console::report_error(&error)),
    }
}

fn run(command: Command, console: &mut Console) -> Result<Outcome> {
    match command {
        Command::Pretrain(pretrain) => return pretrain.run(console),
        Command::Plan(plan) => plan.run(console)?,
        Command::Eval(eval) => eval.run(console)?,
        Command::Analyze(analyze) => analyze.run(console)?,
        Command::Checkpoint(checkpoint) => checkpoint.run(console)?,
        Command::Features(features) => features.run(console)?,
        Command::Presets(presets) => presets.run(console)?,
        Command::Data(data) => data.run(console)?,
        Command::Bench(bench) => bench.run(console)?,
        Command::Completions(completions) => completions.run(Cli::command(), console)?,
    }
    Ok(Outcome::Done)
}
