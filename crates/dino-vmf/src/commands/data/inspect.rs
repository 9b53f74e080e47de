//! `dino-vmf data inspect`: what a source holds.

mod findings;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::config::{Config, Flag};
use multicrop::loader::LoaderConfig;
use multicrop::{Dataset, decode};
use rayon::prelude::*;

use crate::commands::throughput::{Limit, Throughput};
use crate::commands::{thread_count, use_threads};
use crate::console::{Console, Progress};
use findings::{Findings, Form, Speed};

/// Images that are read before progress is shown again.
const CHUNK: usize = 512;
/// The loader is timed this long,
const TIMED: Duration = Duration::from_secs(2);
/// with batches of this many images; small ones, so that it is timed soon.
const BATCH: usize = 8;

/// Read all images of a source: sizes, classes, those that cannot be used, and how fast it goes
///
/// The speed is that of the loader on this machine: reading, decoding and all crops of DINO's recipe
/// (two of 224 pixels, eight of 96), or of the preset's, for two seconds.
///
/// Example: dino-vmf data inspect photos/
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes[:train|:test]`
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    /// Threads that read, 0 for all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
    /// Recipe whose crops are timed; `dino-vmf presets` lists them
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Channels that the network sees: 3 by default
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    channels: Option<i64>,
    /// Set one key, for example `data.global_size=96`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Inspect {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let config = self.settings()?;
        use_threads(self.threads)?;
        let dataset = config.data.open(&self.source)?;
        dino::memory::require_crops(&config, dataset.len().min(BATCH), 4)?;
        let mut findings = Findings::new(&self.source, dataset.as_ref());
        let decode = config.data.decode_options();
        read(dataset.as_ref(), &decode, &mut findings, console);
        findings.loader = self.speed(dataset, &config, console);
        console.end_progress();
        findings.show(console);
        console.event("data", &findings);
        Ok(())
    }

    fn settings(&self) -> Result<Config> {
        let mut flags =
            vec![Flag { name: "SOURCE", key: "data.source", value: self.source.clone().into() }];
        flags.extend(self.channels.map(|channels| Flag {
            name: "--channels",
            key: "data.channels",
            value: channels.into(),
        }));
        Ok(Config::resolve(self.preset.as_deref(), None, &self.set, &flags)?)
    }

    /// What the loader does in a moment; nothing if no batch can be made of these images.
    fn speed(
        &self,
        dataset: Arc<dyn Dataset>,
        config: &Config,
        console: &mut Console,
    ) -> Option<Speed> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
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
        let found: Vec<_> =
            chunk.par_iter().map(|&index| Form::of(dataset, index, decode)).collect();
        for (&index, form) in chunk.iter().zip(found) {
            findings.add(dataset, index, form);
        }
        let done = chunk.last().map_or(0, |last| *last as u64 + 1);
        let (total, text) = (dataset.len() as u64, String::new());
        console.progress(&Progress { what: "image", done, total, text }, false);
    }
    findings.finish();
}
