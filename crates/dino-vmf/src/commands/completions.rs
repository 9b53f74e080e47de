//! `dino-vmf completions`: a script with which a shell completes commands and flags.

use anyhow::Result;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::console::Console;

/// Print a script with which a shell completes commands and flags
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

impl Completions {
    /// Prints the script for `command`, the definition of the whole command line.
    pub(crate) fn run(&self, mut command: Command, console: &mut Console) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "dino-vmf", &mut script);
        console.script(String::from_utf8(script)?.trim_end());
        Ok(())
    }
}
