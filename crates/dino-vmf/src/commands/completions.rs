//! `dino-vmf completions`: a script that lets a shell complete the command line.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::console::Console;

/// Write the script with which a shell completes commands and flags
///
/// For bash: dino-vmf completions bash > ~/.local/share/bash-completion/completions/dino-vmf
///
/// For zsh, a file `_dino-vmf` in a folder of $fpath; for fish,
/// ~/.config/fish/completions/dino-vmf.fish; for PowerShell and elvish, a line of the profile that reads
/// the script.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "dino-vmf", &mut script);
        console.script(String::from_utf8(script)?.trim_end());
        Ok(())
    }
}
