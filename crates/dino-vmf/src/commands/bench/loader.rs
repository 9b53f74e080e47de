//! `dino-vmf bench loader`: images per second of reading, decoding and augmentation.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::config::{Config, Flag};
use multicrop::loader::LoaderConfig;
use report::number::counted;
use serde::Serialize;

use super::record::{peak_rss_mib, rounded};
use crate::commands::throughput::{Limit, Throughput};
use crate::console::{Console, Progress};

/// Time the data loader: reading, decoding and all crops of DINO's recipe
///
/// The first two batches are not timed. A source with few images is read several times.
///
/// Example: dino-vmf bench loader photos/ --workers 2 --locals 8
#[derive(Debug, Args)]
pub(crate) struct Loader {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes[:train|:test]`
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    /// Threads that read, decode and crop images
    ///
    /// Compare 1 with the number of cores to see how the loader scales.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024), allow_negative_numbers = true)]
    workers: u16,
    /// Local crops per image
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true)]
    locals: i64,
    /// Images per batch
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true)]
    batch: i64,
    /// Number of timed images
    #[arg(long, value_name = "N", default_value_t = 880)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..), allow_negative_numbers = true)]
    images: u64,
    /// Side of the two global crops in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 224, allow_negative_numbers = true)]
    global: i64,
    /// Side of the local crops in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 96, allow_negative_numbers = true)]
    local: i64,
    /// Seed of the order of the images and of the crops
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true)]
    seed: i64,
}

/// Setup and result. Fields have the names of those in the PyTorch script, where it has them.
#[derive(Debug, Serialize)]
struct Record {
    peer: &'static str,
    version: &'static str,
    data: String,
    workers: usize,
    batch: usize,
    global: usize,
    local: usize,
    locals: usize,
    files: usize,
    images: u64,
    img_per_s: f64,
    ms_per_img_core: f64,
    read_ms_per_img: f64,
    decode_ms_per_img: f64,
    augment_ms_per_img: f64,
    peak_rss_mib: Option<u64>,
}

/// The source that is read.
struct Source {
    description: String,
    images: usize,
}

impl Loader {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let config = self.settings()?;
        let dataset = config.data.open(&self.source)?;
        dino::memory::require_crops(&config, config.optim.batch_size.min(dataset.len()), 4)?;
        let loader = LoaderConfig {
            batch_size: config.optim.batch_size,
            workers: self.workers.into(),
            seed: config.seed,
            decode: config.data.decode_options(),
            ..LoaderConfig::default()
        };
        let limit = Limit { images: self.images, time: Duration::MAX };
        let total = self.images;
        let source = Source { description: dataset.describe(), images: dataset.len() };
        let measured =
            Throughput::measure(dataset, config.data.recipe(), loader, &limit, &mut |done| {
                let (what, text) = ("image", String::new());
                console.progress(&Progress { what, done: done.min(total), total, text }, false);
            })?;
        console.end_progress();
        let record = self.record(&config, source, &measured);
        record.print(console);
        console.event("loader", &record);
        Ok(())
    }

    fn settings(&self) -> Result<Config> {
        let flag = |name, key, value: i64| Flag { name, key, value: value.into() };
        let local = if self.locals == 0 { 1 } else { self.local };
        let flags = [
            // No network is built, so any size of crops is allowed.
            flag("--global", "model.patch_size", 1),
            flag("--global", "data.global_size", self.global),
            flag("--local", "data.local_size", local),
            flag("--locals", "data.local_crops", self.locals),
            flag("--batch", "optim.batch_size", self.batch),
            flag("--seed", "seed", self.seed),
        ];
        Ok(Config::resolve(None, None, &[], &flags)?)
    }

    fn record(&self, config: &Config, source: Source, measured: &Throughput) -> Record {
        Record {
            peer: "dino-vmf",
            version: env!("CARGO_PKG_VERSION"),
            data: source.description,
            workers: self.workers.into(),
            batch: config.optim.batch_size,
            global: config.data.global_size,
            local: config.data.local_size,
            locals: config.data.local_crops,
            files: source.images,
            images: measured.images(),
            img_per_s: rounded(measured.images_per_second(), 2),
            ms_per_img_core: rounded(measured.ms_per_image_and_core(), 6),
            read_ms_per_img: rounded(measured.ms_per_image(|stats| stats.read), 3),
            decode_ms_per_img: rounded(measured.ms_per_image(|stats| stats.decode), 3),
            augment_ms_per_img: rounded(measured.ms_per_image(|stats| stats.augment), 3),
            peak_rss_mib: peak_rss_mib(),
        }
    }
}

impl Record {
    fn print(&self, console: &mut Console) {
        let Self { img_per_s, workers, images, data, .. } = self;
        let Self { global, local, locals, ms_per_img_core, .. } = self;
        console.text(format!(
            "{img_per_s:.1} images/s with {}: {} of {data}, 2 x {global} + {locals} x {local}",
            counted(*workers, "worker"),
            counted(*images as usize, "image"),
        ));
        console.text(format!("{ms_per_img_core:10.3} ms per image and core, of which"));
        for (stage, time) in [
            ("read", self.read_ms_per_img),
            ("decode", self.decode_ms_per_img),
            ("augment", self.augment_ms_per_img),
        ] {
            console.text(format!("{time:10.3} ms {stage}"));
        }
        if let Some(memory) = self.peak_rss_mib {
            console.text(format!("{memory:6} MiB of memory at the peak"));
        }
    }
}
