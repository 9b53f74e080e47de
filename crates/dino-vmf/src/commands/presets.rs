//! `dino-vmf presets`: lists or prints the recipes that are built into the program.

use std::thread;

use anyhow::Result;
use clap::Args;
use dino::config::Config;
use dino::memory::{self, Bytes, Estimate};
use dino::preset;
use serde_json::json;

use crate::console::Console;

/// List the presets with the memory they need, or print one as TOML
///
/// A preset is a complete recipe: network, data, method and optimizer. Print one to see all keys, or to edit
/// a copy.
///
/// Example: dino-vmf presets shapes-tiny > mine.toml; dino-vmf pretrain --config mine.toml
#[derive(Debug, Args)]
pub(crate) struct Presets {
    /// Name of the preset to print; without it, all presets are listed
    name: Option<String>,
}

impl Presets {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        if let Some(name) = &self.name {
            let found = preset::find(name)?;
            let record = json!({ "name": found.name, "toml": found.toml });
            console.event("preset", &record);
            found.toml.trim_end().lines().for_each(|line| console.text(line));
            return Ok(());
        }
        let width = preset::all().iter().map(|preset| preset.name.len()).max().unwrap_or(0);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for preset in preset::all() {
            let (name, summary) = (preset.name, preset.summary());
            let config = Config::resolve(Some(name), None, &[], &[])?;
            let memory = Estimate::of_training(&config, threads, None).total;
            let record =
                json!({ "name": name, "summary": summary, "memory_bytes": memory.round() });
            console.event("preset", &record);
            console.text(format!("{name:<width$}  {summary}; {} of memory", Bytes(memory)));
        }
        if let Some(available) = memory::available() {
            console.note(format!(
                "this machine has {} of free memory; `--set optim.accumulate=N` makes a run need less",
                Bytes(available as f64)
            ));
        }
        Ok(())
    }
}
