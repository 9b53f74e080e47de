//! `dino-vmf completions`: a script with which a shell completes commands, flags and their values.
//!
//! The script asks the program itself at each Tab, so it stays valid when the program changes, and knows
//! presets and keys.

use anyhow::{Context, Result};
use clap::{Args, Command, ValueEnum};
use clap_complete::env::{CompleteEnv, Shells};

use crate::console::Console;

/// Environment variable by which the script asks the program; its value is the name of the shell.
const VARIABLE: &str = "DINO_VMF_COMPLETE";

/// Print a script with which a shell completes commands, flags and their values
///
/// Where to put it:
///
/// bash: dino-vmf completions bash > ~/.local/share/bash-completion/completions/dino-vmf
///
/// zsh: dino-vmf completions zsh > _dino-vmf, in a folder that $fpath lists
///
/// fish: dino-vmf completions fish > ~/.config/fish/completions/dino-vmf.fish
///
/// PowerShell and elvish: save the script and source it in the profile
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell that will read the script
    shell: Shell,
}

/// Shells that the program can answer.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lowercase")]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Answers a completion script and ends the program, if it is one that asks.
pub(crate) fn answer(command: impl Fn() -> Command) {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

impl Completions {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let name = self.shell.to_possible_value().context("every shell has a name")?;
        let shells = Shells::builtins();
        let shell = shells.completer(name.get_name()).context("every shell has a completer")?;
        let mut script = Vec::new();
        let program = "dino-vmf";
        shell.write_registration(VARIABLE, program, program, program, &mut script)?;
        console.script(String::from_utf8(script)?.trim_end());
        Ok(())
    }
}
