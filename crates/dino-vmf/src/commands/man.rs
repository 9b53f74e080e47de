//! `dino-vmf man`: manual pages of all commands.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Command, ValueHint};

use crate::console::Console;

/// Write a manual page for each command
///
/// Example: dino-vmf man ~/.local/share/man/man1, then `man dino-vmf-pretrain`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder for the pages; it is created if it is missing
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
}

impl Man {
    /// Writes the pages of `command`, the definition of the whole command line.
    pub(crate) fn run(&self, command: Command, console: &mut Console) -> Result<()> {
        let folder = self.folder.display();
        fs::create_dir_all(&self.folder)
            .and_then(|()| clap_mangen::generate_to(command, &self.folder))
            .with_context(|| format!("cannot write manual pages to `{folder}`"))?;
        console.note(format!("manual pages: {folder}/dino-vmf.1 and one for each command"));
        Ok(())
    }
}
