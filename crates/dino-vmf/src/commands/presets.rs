//! `dino-vmf presets`: lists or prints the recipes that are built into the program.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use dino::config::Config;
use dino::forecast::StepTime;
use dino::memory::{self, Bytes, Estimate};
use dino::own_images::{self, Look, Machine};
use dino::preset::{self, Preset};
use report::number::duration;
use serde::Serialize;
use serde_json::json;

use super::candidates::presets;
use crate::console::{Console, Progress};

/// Images for which presets that fit their images are listed.
const EXAMPLE: Look = Look { images: 10_000, side: 256, channels: Some(3), is_deep: false };
/// How long a step of each preset is measured.
const BUDGET: Duration = Duration::from_millis(200);

/// List the presets with what they train and need, or print one as TOML
///
/// A preset is a recipe: network, crops, method and optimizer. `photos`, `microscopy` and `satellite` fit
/// themselves to the images and to this machine; they are listed as for 10,000 images of 256 pixels. The time
/// of a step is measured on this machine, in some tenths of a second for each preset. `dino-vmf plan` measures
/// better, with your images.
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
    /// Seconds of a step without loading; `None` if the preset does not fit into memory.
    step_seconds: Option<f64>,
    /// Seconds of all epochs over [`EXAMPLE`]'s number of images.
    run_seconds: Option<f64>,
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
    let presets = preset::all();
    let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let mut rows = Vec::new();
    for (done, preset) in presets.iter().enumerate() {
        let text = format!("  {}", preset.name);
        let (done, total) = (done as u64, presets.len() as u64);
        console.progress(&Progress { what: "measuring presets", done, total, text }, false);
        rows.push(Row::of(preset, &machine)?);
    }
    console.end_progress();
    console.text(format!(
        "{:<width$}  parameters  crops             batch  epochs   memory      time  for",
        "preset"
    ));
    for row in &rows {
        console.event("preset", row);
        console.text(row.text(width));
    }
    console.note(
        "time is that of all epochs over 10,000 images, by a short measurement on this machine, and - where the \
         memory is too small; `photos`, `microscopy` and `satellite` are listed as for images of 256 pixels; \
         `dino-vmf plan SOURCE --preset NAME` measures with your images",
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
        let threads = dino::forecast::cores();
        let data = &config.data;
        // To set up the weights of large networks takes longer than to time a step of small ones.
        let fits = memory::require(&config, threads, None).is_ok();
        let step = if fits { StepTime::measure(&config, BUDGET) } else { None };
        let step = step.map(|step| step.seconds);
        let steps = |epochs: f64| epochs * EXAMPLE.images as f64 / config.optim.batch_size as f64;
        let run = step.zip(config.optim.epochs()).map(|(step, epochs)| step * steps(epochs));
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
            step_seconds: step,
            run_seconds: run,
        })
    }

    fn text(&self, width: usize) -> String {
        let Self { name, summary, global_size, local_size, local_crops, batch_size, .. } = self;
        let parameters = format!("{:.1} M", self.parameters / 1e6);
        let crops = format!("2 x {global_size} + {local_crops} x {local_size}");
        let epochs = self.epochs.map_or("-".to_owned(), |epochs| epochs.to_string());
        let memory = Bytes(self.memory_bytes).to_string();
        let time = self.run_seconds.map_or("-".to_owned(), duration);
        format!(
            "{name:<width$}  {parameters:>10}  {crops:<16}  {batch_size:>5}  {epochs:>6}  {memory:>7}  \
             {time:>8}  \
             {summary}"
        )
    }
}
