//! `dino-vmf data inspect`: reads all images of a source and reports what it contains.

mod findings;
mod values;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueHint};
use dino::config::{Config, ConfigFile, Flag};
use dino::own_images::{Settings, Wish};
use multicrop::loader::LoaderConfig;
use multicrop::{Dataset, decode};
use rayon::prelude::*;

use crate::commands::candidates::{presets, settings};
use crate::commands::choosing::settle;
use crate::commands::throughput::{Limit, Throughput};
use crate::commands::{thread_count, use_threads};
use crate::console::{Console, Progress};
use findings::{Findings, Format, Speed};
use values::Values;

/// Images that are read between two updates of the progress.
const CHUNK: usize = 512;
/// How long the loader is timed.
const TIMED: Duration = Duration::from_secs(2);
/// Images per batch of the timed loader. A small batch keeps the warm-up short.
const BATCH: usize = 8;

/// Read all images of a source: report sizes, values, classes, images that cannot be used, and loader speed
///
/// The values of up to 256 images are measured by channel: range, percentiles, mean and standard deviation,
/// with the settings to paste. If no image can be read, the exit code is 1.
///
/// Also says what `pretrain` with the same images, `--preset`, `--config`, `--set` and `--channels` would
/// train. The speed is that of the loader on this machine, measured for two seconds: reading, decoding and
/// the crops of that run. Training cannot be faster than this.
///
/// Example: dino-vmf data inspect photos/
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes[:train|:test]`
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    /// Threads that read and decode; 0 uses all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
    /// Preset whose crops are timed; by default one that fits the images. `dino-vmf presets` lists the names
    #[arg(long, value_name = "NAME", add = presets())]
    preset: Option<String>,
    /// TOML file with settings, which override those of the preset
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Number of channels that images are converted to; 3 by default
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    channels: Option<i64>,
    /// Set one key, for example `data.global_size=96`; can be repeated
    #[arg(long, value_name = "KEY=VALUE", add = settings())]
    set: Vec<String>,
}

impl Inspect {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        use_threads(self.threads)?;
        let Settings { mut config, dataset, .. } = self.settings(console)?;
        let dataset = dataset.map_or_else(|| config.data.open(&self.source), Ok)?;
        dino::memory::require_crops(&config, dataset.len().min(BATCH), 4)?;
        let mut findings = Findings::new(&self.source, &config.data, dataset.as_ref());
        if let Ok(sample) = config.data.sample(dataset.as_ref()) {
            findings.values = Some(Values::of(&sample, &config.data));
            config.data.take_range(&sample);
        }
        let decode = config.data.decode_options();
        read(dataset.as_ref(), &decode, &mut findings, console);
        findings.loader = self.speed(dataset.clone(), &config, console);
        console.end_progress();
        findings.print(console);
        if let Some(warning) = dino::plan::small_images(&config, dataset.as_ref()) {
            console.warn(warning);
        }
        console.event("data", &findings);
        if let Some(reason) = findings.all_bad() {
            bail!(reason);
        }
        Ok(())
    }

    fn settings(&self, console: &mut Console) -> Result<Settings> {
        let mut flags =
            vec![Flag { name: "SOURCE", key: "data.source", value: self.source.clone().into() }];
        flags.extend(self.channels.map(|channels| Flag {
            name: "--channels",
            key: "data.channels",
            value: channels.into(),
        }));
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let (preset, file) = (self.preset.as_deref(), file.as_ref());
        settle(&Wish { preset, file, sets: &self.set, flags: &flags }, console)
    }

    /// Times the loader. None if it can make no batch of these images.
    fn speed(
        &self,
        dataset: Arc<dyn Dataset>,
        config: &Config,
        console: &mut Console,
    ) -> Option<Speed> {
        let cores = dino::forecast::cores();
        let workers = if self.threads == 0 { cores } else { self.threads };
        let recipe = config.data.recipe();
        let batch_size = dataset.len().min(BATCH);
        let (seed, decode) = (config.seed, config.data.decode_options());
        let loader = LoaderConfig { batch_size, workers, seed, decode, ..LoaderConfig::default() };
        let limit = Limit { images: u64::MAX, time: TIMED };
        let mut progress = |done| {
            let text = " timed".to_owned();
            console.progress(&Progress { what: "image", done, total: done, text }, false);
        };
        let measured = Throughput::measure(dataset, recipe, loader, &limit, &mut progress).ok()?;
        Some(Speed::new(&measured, workers, &config.data))
    }
}

/// Reads and decodes all images.
fn read(
    dataset: &dyn Dataset,
    decode: &decode::Options,
    findings: &mut Findings,
    console: &mut Console,
) {
    let indices: Vec<_> = (0..dataset.len()).collect();
    for chunk in indices.chunks(CHUNK) {
        let formats: Vec<_> =
            chunk.par_iter().map(|&index| Format::read(dataset, index, decode)).collect();
        for (&index, format) in chunk.iter().zip(formats) {
            findings.add(dataset, index, format);
        }
        let done = chunk.last().map_or(0, |last| *last as u64 + 1);
        let (total, text) = (dataset.len() as u64, String::new());
        console.progress(&Progress { what: "image", done, total, text }, false);
    }
    findings.finish();
}
