//! `dino-vmf presets`: the recipes inside the program.

use anyhow::Result;
use clap::Args;
use dino::preset;
use serde_json::json;

use crate::console::Console;

/// List the presets, or print one as TOML
///
/// Example: dino-vmf presets shapes-tiny > mine.toml; dino-vmf pretrain --config mine.toml
#[derive(Debug, Args)]
pub(crate) struct Presets {
    /// The preset to print
    name: Option<String>,
}

impl Presets {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        if let Some(name) = &self.name {
            let found = preset::find(name)?;
            let record = json!({ "name": found.name, "toml": found.toml });
            console.event("preset", &record);
            console.text(found.toml.trim_end());
            return Ok(());
        }
        let width = preset::all().iter().map(|preset| preset.name.len()).max().unwrap_or(0);
        for preset in preset::all() {
            let (name, summary) = (preset.name, preset.summary());
            console.event("preset", &json!({ "name": name, "summary": summary }));
            console.text(format!("{name:<width$}  {summary}"));
        }
        Ok(())
    }
}
