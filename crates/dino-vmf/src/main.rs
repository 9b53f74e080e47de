//! The command `dino-vmf`: parse, run, exit code.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod console;

use std::panic;
use std::process::ExitCode;

use clap::Parser;

use crate::commands::Outcome;
use crate::console::Console;

fn main() -> ExitCode {
    panic::set_hook(Box::new(console::report_bug));
    let cli = cli::Cli::parse();
    let mut console = Console::new(&cli.output);
    let outcome = commands::run(cli.command, &mut console);
    match outcome.and_then(|outcome| console.finish().map(|()| outcome)) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(error) => ExitCode::from(console::report_error(&error)),
    }
}
