//! `dino-vmf presets`: lists or prints the recipes that are built into the program.

use std::thread;

use anyhow::Result;
use clap::Args;
use dino::config::Config;
use dino::memory::{self, Bytes, Estimate};
use dino::own_images::{self, Look, Machine};
use dino::preset::{self, Preset};
use serde::Serialize;
use serde_json::json;

use super::candidates::presets;
use crate::console::Console;

/// Images for which presets that fit their images are listed.
const EXAMPLE: Look = Look { images: 10_000, side: 256, channels: Some(3), is_deep: false };

/// List the presets with what they train and need, or print one as TOML
///
/// A preset is a recipe: network, crops, method and optimizer. `photos`, `microscopy` and `satellite` fit
/// themselves to the images and to this machine; they are listed as for 10,000 images of 256 pixels.
/// `presets NAME` prints the keys that one sets, to read or to edit a copy; the others have their defaults.
/// `dino-vmf config --preset NAME` prints all keys.
///
/// Example: dino-vmf presets shapes-tiny > mine.toml; dino-vmf pretrain --config mine.toml
#[derive(Debug, Args)]
pub(crate) struct Presets {
    /// Name of the preset to print; without it, all presets are listed
    #[arg(add = presets())]
    name: Option<String>,
}

/// A line of the list.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    summary: &'static str,
    /// Whether it fits itself to the images.
    fits_images: bool,
    parameters: f64,
    /// Sides of global and local crops in pixels, and the number of local crops.
    global_size: usize,
    local_size: usize,
    local_crops: usize,
    batch_size: usize,
    epochs: Option<f64>,
    memory_bytes: f64,
}

impl Presets {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        match &self.name {
            Some(name) => print(preset::find(name)?, console),
            None => list(console)?,
        }
        Ok(())
    }
}

fn print(preset: &Preset, console: &mut Console) {
    console.event("preset", &json!({ "name": preset.name, "toml": preset.toml }));
    preset.toml.trim_end().lines().for_each(|line| console.text(line));
}

fn list(console: &mut Console) -> Result<()> {
    let machine = Machine::here();
    let rows: Result<Vec<_>> =
        preset::all().iter().map(|preset| Row::of(preset, &machine)).collect();
    let rows = rows?;
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    console.text(format!(
        "{:<width$}  parameters  crops             batch  epochs   memory  for",
        "preset"
    ));
    for row in &rows {
        console.event("preset", row);
        console.text(row.text(width));
    }
    console.note(
        "presets for images of any number and size are listed as for 10,000 images of 256 pixels on this \
         machine; `dino-vmf data inspect SOURCE` shows what yours get",
    );
    if let Some(available) = memory::available() {
        console.note(format!(
            "this machine has {} of free memory; `--set optim.accumulate=N` makes a run need less",
            Bytes(available as f64)
        ));
    }
    Ok(())
}

impl Row {
    fn of(preset: &'static Preset, machine: &Machine) -> Result<Self> {
        let name = preset.name;
        let config = match preset.fits_images() {
            true => own_images::example(name, &EXAMPLE, machine)?,
            false => Config::resolve(Some(name), None, &[], &[])?,
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let data = &config.data;
        Ok(Self {
            name,
            summary: preset.summary(),
            fits_images: preset.fits_images(),
            parameters: memory::parameters(&config),
            global_size: data.global_size,
            local_size: data.local_size,
            local_crops: data.local_crops,
            batch_size: config.optim.batch_size,
            epochs: config.optim.epochs(),
            memory_bytes: Estimate::of_training(&config, threads, None).total.round(),
        })
    }

    fn text(&self, width: usize) -> String {
        let Self { name, summary, global_size, local_size, local_crops, batch_size, .. } = self;
        let parameters = format!("{:.1} M", self.parameters / 1e6);
        let crops = format!("2 x {global_size} + {local_crops} x {local_size}");
        let epochs = self.epochs.map_or("-".to_owned(), |epochs| epochs.to_string());
        let memory = Bytes(self.memory_bytes).to_string();
        format!(
            "{name:<width$}  {parameters:>10}  {crops:<16}  {batch_size:>5}  {epochs:>6}  {memory:>7}  \
             {summary}"
        )
    }
}
