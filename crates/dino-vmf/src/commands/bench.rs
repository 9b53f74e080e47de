//! `dino-vmf bench`: the time of one training step on random crops in memory, of the objective and of the
//! loader.

mod loader;
mod objective;
mod profile;
mod record;

use std::env::consts::ARCH;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use dino::config::{self, Config, Flag, MaskShape, Masking, Origin};
use dino::masking::Masks;
use dino::metrics::Metric;
use dino::schedule::StepValues;
use dino::trainer::step::{CropBatch, Step as TrainingStep};
use engine::Params;
use rand_distr::{Distribution, StandardNormal};
use streams::{Key, Purpose};

use super::use_threads;
use crate::console::{Console, Progress};
use record::{Record, Setup, Speed};

/// Measure speed
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    Step(Box<Step>),
    Loader(loader::Loader),
    Objective(objective::Objective),
}

impl Bench {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        match self {
            Self::Step(step) => step.run(console),
            Self::Loader(loader) => loader.run(console),
            Self::Objective(objective) => objective.run(console),
        }
    }
}

/// Time one training step on random crops, and print one JSON line
///
/// Teacher, student, loss, backward pass, clipping, AdamW and the teacher's update, without reading
/// images. `--method dino` keeps the prototypes' norms at 1 and centers logits; `dino-vmf` learns
/// the norms and centers probabilities; `ibot` and `ibot-vmf` also predict masked patches.
///
/// Example: dino-vmf bench step --arch vit_small --batch 8 --threads 2
#[derive(Debug, Args)]
pub(crate) struct Step {
    /// `vit_tiny`, `vit_small`, `vit_base` or `vit_large`
    #[arg(long, default_value = "vit_small")]
    arch: String,
    /// Side of a patch in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 16, allow_negative_numbers = true)]
    patch: i64,
    /// Images in a step
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true)]
    batch: i64,
    /// Number and side of the global crops; the number is 2
    #[arg(long, value_name = "NxPIXELS", default_value = "2x224")]
    global: CropSpec,
    /// Number and side of the local crops
    #[arg(long, value_name = "NxPIXELS", default_value = "8x96")]
    local: CropSpec,
    /// Prototypes
    #[arg(long, value_name = "K", default_value_t = 65536, allow_negative_numbers = true)]
    k: i64,
    /// Width of the hidden layers of the head
    #[arg(long, value_name = "WIDTH", default_value_t = 2048, allow_negative_numbers = true)]
    hidden: i64,
    /// Width of the normalized vector
    #[arg(long, value_name = "WIDTH", default_value_t = 256, allow_negative_numbers = true)]
    bottleneck: i64,
    /// Objective
    #[arg(long, value_enum, default_value_t = Method::Dino)]
    method: Method,
    /// Numbers that linear layers multiply
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    precision: Precision,
    /// Where to compute: `cpu`
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Steps that are timed
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    steps: u32,
    #[command(flatten)]
    conditions: Conditions,
    /// Highest share of sequences that a block of the student drops
    #[arg(long, value_name = "P", default_value_t = 0.1, allow_negative_numbers = true)]
    drop_path: f64,
    /// What the backward pass computes again to need less memory: `none`, `light` or `blocks`
    #[arg(long, value_name = "WHAT", default_value = "none")]
    recompute: String,
    /// Different batches that are kept in memory
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    batches: u32,
    /// Also tell the time, the rate and the share of the machine's peak of each operation
    #[arg(long)]
    profile: bool,
    /// Seed of weights and crops
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true)]
    seed: i64,
}

/// Under which steps are timed.
#[derive(Debug, Args)]
struct Conditions {
    /// Steps before those
    #[arg(long, value_name = "N", default_value_t = 2, allow_negative_numbers = true)]
    warmup: u32,
    /// Threads that compute, 0 for all cores
    #[arg(long, value_name = "N", default_value_t = 2, allow_negative_numbers = true)]
    threads: i64,
}

impl Conditions {
    fn flag(&self) -> Flag {
        Flag { name: "--threads", key: "run.threads", value: self.threads.into() }
    }
}

/// Computes with so many threads, 0 for all cores, and tells how many that are.
fn compute_with(threads: usize) -> Result<usize> {
    use_threads(threads)?;
    Ok(match threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    })
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Method {
    Dino,
    #[value(alias = "dino_vmf")]
    DinoVmf,
    Ibot,
    #[value(alias = "ibot_vmf")]
    IbotVmf,
}

impl Method {
    /// As settings spell it.
    fn key(self) -> &'static str {
        match self {
            Self::Dino => "dino",
            Self::DinoVmf => "dino-vmf",
            Self::Ibot => "ibot",
            Self::IbotVmf => "ibot-vmf",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Precision {
    #[value(alias = "f32")]
    Fp32,
    Bf16,
}

impl Precision {
    /// As settings spell it.
    fn key(self) -> &'static str {
        match self {
            Self::Fp32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// As the PyTorch script spells it.
    fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Number and side of some crops, written `8x96`.
#[derive(Debug, Clone, Copy)]
struct CropSpec {
    count: u32,
    size: u32,
}

impl std::str::FromStr for CropSpec {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('x').and_then(|(count, size)| {
            Some(Self { count: count.parse().ok()?, size: size.parse().ok()? })
        });
        parsed.ok_or("expected the number of crops, `x` and their side, such as `8x96`")
    }
}

/// What a step sees, in memory.
struct Batch {
    globals: Vec<f32>,
    locals: Vec<f32>,
    masks: Vec<bool>,
}

impl Step {
    fn run(&self, console: &mut Console) -> Result<()> {
        let config = self.settings()?;
        config.model.precision.warning().into_iter().for_each(|warning| console.warn(warning));
        let threads = compute_with(config.run.threads)?;
        let (setup, speed) = (self.setup(threads), self.measure(config, console)?);
        console.json_line(None, &Record { setup, speed });
        Ok(())
    }

    fn settings(&self) -> Result<Config> {
        self.refuse("--device", &self.device, &["cpu"])?;
        self.refuse("--global", &format!("{}", self.global.count), &["2"])?;
        let flag = |name, key, value: toml::Value| Flag { name, key, value };
        let local_size = if self.local.count == 0 { self.patch } else { self.local.size.into() };
        let flags = [
            flag("--arch", "model.arch", self.arch.clone().into()),
            flag("--patch", "model.patch_size", self.patch.into()),
            flag("--drop-path", "model.drop_path", self.drop_path.into()),
            flag("--precision", "model.precision", self.precision.key().into()),
            flag("--hidden", "model.head_hidden_dim", self.hidden.into()),
            flag("--bottleneck", "model.bottleneck_dim", self.bottleneck.into()),
            flag("--k", "model.prototypes", self.k.into()),
            flag("--global", "data.global_size", i64::from(self.global.size).into()),
            flag("--local", "data.local_size", local_size.into()),
            flag("--local", "data.local_crops", i64::from(self.local.count).into()),
            flag("--method", "objective.method", self.method.key().into()),
            flag("--batch", "optim.batch_size", self.batch.into()),
            self.conditions.flag(),
            flag("--recompute", "run.recompute", self.recompute.clone().into()),
            flag("--seed", "seed", self.seed.into()),
        ];
        let mut config = Config::resolve(None, None, &[], &flags)?;
        // half of the global crops lose 30 % of their patches, as in the peer's bench
        config.masking = Masking {
            shape: MaskShape::Random,
            ratios: vec![0.0, 0.3],
            spreads: vec![0.0, 0.0],
            start_epoch: 0,
        };
        Ok(config)
    }

    /// Refuses what this version cannot do.
    fn refuse(&self, flag: &str, found: &str, known: &[&str]) -> Result<(), config::Error> {
        if known.contains(&found) {
            return Ok(());
        }
        let needed = format!("be `{}`: this version has nothing else yet", known.join("` or `"));
        let (key, origin) = (flag.to_owned(), Origin::Default);
        Err(config::Error::BadValue { key, origin, found: found.to_owned(), needed })
    }

    fn measure(&self, config: Config, console: &mut Console) -> Result<Speed> {
        let images = config.optim.batch_size;
        dino::memory::require_steps(&config, rayon::current_num_threads(), self.batches as usize)?;
        let batches: Vec<_> = (0..self.batches).map(|i| random_crops(&config, i.into())).collect();
        let step = TrainingStep::new(config);
        let mut state = step.initial_state();
        let mut grads = Params::zeros(step.network.table().clone());
        let (mut losses, mut times) = (Vec::new(), Vec::new());
        let total = self.conditions.warmup + self.steps;
        for (i, Batch { globals, locals, masks }) in (0..total).zip(batches.iter().cycle()) {
            if i == self.conditions.warmup && self.profile {
                engine::profile::start();
            }
            let start = Instant::now();
            let batch = [CropBatch { globals, locals, masks, images }];
            let report = step.take(&mut state, &mut grads, &batch, &VALUES)?;
            let elapsed = start.elapsed();
            losses.push(report.metrics.value(Metric::Loss));
            if i >= self.conditions.warmup {
                times.push((elapsed, report.times));
            }
            let (done, text) = (u64::from(i + 1), format!("  {:.3} s", elapsed.as_secs_f64()));
            console.progress(&Progress { what: "step", done, total: total.into(), text }, false);
        }
        console.end_progress();
        if self.profile {
            let elapsed = times.iter().map(|(time, _)| *time).sum();
            let totals = engine::profile::stop();
            profile::show(console, totals, engine::profile::peaks(), (self.steps, elapsed));
            profile::show_memory(console, engine::pool::usage());
        }
        Ok(Speed::of(images, &times, &losses))
    }

    fn setup(&self, threads: usize) -> Setup {
        let crops = |spec: CropSpec| format!("{}x{}", spec.count, spec.size);
        Setup {
            peer: "dino-vmf",
            version: env!("CARGO_PKG_VERSION"),
            device: format!("cpu {ARCH}"),
            threads,
            method: self.method.key(),
            arch: self.arch.clone(),
            patch: self.patch,
            batch: self.batch,
            crops: format!("{}+{}", crops(self.global), crops(self.local)),
            k: self.k,
            precision: self.precision.name(),
            drop_path: self.drop_path,
        }
    }
}

/// Constants of every step.
const VALUES: StepValues = StepValues {
    lr: 1e-4,
    weight_decay: 0.04,
    momentum: 0.996,
    teacher_temp: 0.04,
    patch_temp: 0.04,
    epoch: 0,
    freeze_last_layer: false,
};

/// Standard normal numbers in place of a batch's crops, and masks where the method has them.
fn random_crops(config: &Config, batch: u64) -> Batch {
    let (data, images) = (&config.data, config.optim.batch_size);
    let draw = |crops: usize, size: usize, part| {
        let mut stream = Key::new(config.seed, Purpose::Bench).epoch(batch).index(part).open();
        let normal = StandardNormal;
        (0..crops * images * data.channels * size * size)
            .map(|_| normal.sample(&mut stream))
            .collect()
    };
    let indices: Vec<usize> = (0..images).collect();
    Batch {
        globals: draw(2, data.global_size, 0),
        locals: draw(data.local_crops, data.local_size, 1),
        masks: Masks::of(config).map_or_else(Vec::new, |masks| masks.draw(batch, &indices)),
    }
}
