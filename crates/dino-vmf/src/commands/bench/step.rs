//! `dino-vmf bench step`: the time of one training step on random crops in memory.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use dino::config::{self, Config, Flag, MaskShape, Masking, Origin};
use dino::masking::Masks;
use dino::schedule::StepValues;
use dino::trainer::step::{CropBatch, Training};
use engine::Params;
use rand_distr::{Distribution, StandardNormal};
use report::Metric;
use streams::{Key, Purpose};

use super::conditions::{Conditions, start_threads};
use super::profile::{self, Timed};
use super::record::{Record, Setup, Speed};
use crate::commands::candidates::{presets, values_of};
use crate::console::{Console, Progress};

/// Time one training step on random crops
///
/// A step is: teacher, student, loss, backward pass, gradient clipping, AdamW and the update of the teacher.
/// No images are read. Without `--preset`, it is DINO's step of ViT-S/16. The fields of the line that `--json`
/// prints are those of the PyTorch script that it is compared with.
///
/// Example: dino-vmf bench step --preset dino-vit-s16 --batch 8
#[derive(Debug, Args)]
pub(crate) struct Step {
    /// Preset whose step is timed; the other flags override it
    #[arg(long, value_name = "NAME", add = presets())]
    preset: Option<String>,
    /// Network: `vit_tiny`, `vit_small` (default), `vit_base` or `vit_large`
    #[arg(long, value_name = "ARCH", visible_alias = "model", add = values_of("model.arch"))]
    arch: Option<String>,
    /// Side of a patch in pixels, 16 by default
    ///
    /// Half the side means four times as many tokens.
    #[arg(
        long,
        visible_alias = "patch-size",
        value_name = "PIXELS",
        allow_negative_numbers = true
    )]
    patch: Option<i64>,
    /// Images per step, 8 by default
    ///
    /// Time and memory grow linearly with it.
    #[arg(long, visible_alias = "batch-size", value_name = "N", allow_negative_numbers = true)]
    batch: Option<i64>,
    /// Number and side of the global crops of an image, `2x224` by default; the number must be 2
    #[arg(long, value_name = "NxPIXELS")]
    global: Option<CropSpec>,
    /// Number and side of the local crops of an image, `8x96` by default; `0x96` for none
    #[arg(long, value_name = "NxPIXELS")]
    local: Option<CropSpec>,
    /// Number of prototypes, 65536 by default
    #[arg(long, visible_alias = "prototypes", value_name = "K", allow_negative_numbers = true)]
    k: Option<i64>,
    /// Width of the hidden layers of the head's MLP, 2048 by default
    #[arg(long, value_name = "WIDTH", allow_negative_numbers = true)]
    hidden: Option<i64>,
    /// Width of the head's bottleneck, whose unit vectors are compared with the prototypes, 256 by default
    #[arg(long, value_name = "WIDTH", allow_negative_numbers = true)]
    bottleneck: Option<i64>,
    /// Training method: `dino` (default), `dino-vmf`, `ibot` or `ibot-vmf`
    ///
    /// `dino` keeps the prototypes' norms at 1 and centers logits. `dino-vmf` learns the norms and centers
    /// probabilities. `ibot` and `ibot-vmf` also predict masked patches.
    #[arg(long, value_name = "METHOD", add = values_of("objective.method"))]
    method: Option<String>,
    /// Matmul precision, `f32` by default; `bf16` is faster on CPUs with AMX or AVX512-BF16
    #[arg(long, value_name = "PRECISION", add = values_of("model.precision"))]
    precision: Option<String>,
    /// Compute device; this version has only `cpu`
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Timed steps
    ///
    /// Take more if the times differ by more than a few percent.
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    steps: u32,
    #[command(flatten)]
    conditions: Conditions,
    /// Drop path rate of the student's last block, 0.1 by default; earlier blocks have proportionally less
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    drop_path: Option<f64>,
    /// What the backward pass recomputes to save memory: `none` (default), `light` or `blocks`
    ///
    /// `light` recomputes the hidden layers of the MLPs, a tenth of a step's arithmetic. `blocks` saves only
    /// the inputs of the blocks and recomputes a quarter.
    #[arg(long, value_name = "WHAT", add = values_of("run.recompute"))]
    recompute: Option<String>,
    /// Number of different random batches; the steps cycle through them
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    batches: u32,
    /// Also print time, rate and share of the machine's peak for each operation
    #[arg(long)]
    profile: bool,
    /// Seed of the weights and of the crops
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    seed: Option<i64>,
}

/// Number and side in pixels of crops, written `8x96`.
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
        parsed.ok_or("must be the number of crops, `x` and their side in pixels, such as `8x96`")
    }
}

/// The crops and masks of a step.
struct Batch {
    globals: Vec<f32>,
    locals: Vec<f32>,
    masks: Vec<bool>,
}

/// Images per step without a preset.
const BATCH: i64 = 8;

impl Step {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let config = self.settings()?;
        config.model.precision.warning().into_iter().for_each(|warning| console.warn(warning));
        let threads = start_threads(config.run.threads)?;
        let setup = Setup::of(&config, threads);
        let record = Record { setup, speed: self.measure(config, console)? };
        record.print(console);
        console.event("step", &record);
        Ok(())
    }

    fn settings(&self) -> Result<Config> {
        let default_batch = self.preset.is_none().then_some(BATCH);
        let mut flags = self.of_crops()?;
        let mut add = |name, key, value: Option<toml::Value>| {
            flags.extend(value.map(|value| Flag { name, key, value }));
        };
        add("--arch", "model.arch", self.arch.clone().map(Into::into));
        add("--patch", "model.patch_size", self.patch.map(Into::into));
        add("--drop-path", "model.drop_path", self.drop_path.map(Into::into));
        add("--precision", "model.precision", self.precision.clone().map(Into::into));
        add("--hidden", "model.head_hidden_dim", self.hidden.map(Into::into));
        add("--bottleneck", "model.bottleneck_dim", self.bottleneck.map(Into::into));
        add("--k", "model.prototypes", self.k.map(Into::into));
        add("--method", "objective.method", self.method.clone().map(Into::into));
        add("--batch", "optim.batch_size", self.batch.or(default_batch).map(Into::into));
        // The whole batch is computed at once.
        add("--batch", "optim.accumulate", Some(1.into()));
        add("--device", "run.device", self.device.clone().map(Into::into));
        add("--recompute", "run.recompute", self.recompute.clone().map(Into::into));
        add("--seed", "seed", self.seed.map(Into::into));
        flags.push(self.conditions.threads_flag());
        let mut config = Config::resolve(self.preset.as_deref(), None, &[], &flags)?;
        if self.preset.is_none() {
            // As in the PyTorch script: half of the global crops have 30 % of their patches masked.
            config.masking = Masking {
                shape: MaskShape::Random,
                ratios: vec![0.0, 0.3],
                spreads: vec![0.0, 0.0],
                start_epoch: 0,
            };
        }
        Ok(config)
    }

    /// The settings of `--global` and `--local`.
    fn of_crops(&self) -> Result<Vec<Flag>, config::Error> {
        let flag = |name, key, value: i64| Flag { name, key, value: value.into() };
        let mut flags = Vec::new();
        if let Some(CropSpec { count, size }) = self.global {
            if count != 2 {
                let key = "--global".to_owned();
                let needed = "be two crops, such as `2x224`: every method compares two".to_owned();
                let (origin, found) = (Origin::Default, format!("{count}x{size}"));
                return Err(config::Error::BadValue { key, origin, found, needed });
            }
            flags.push(flag("--global", "data.global_size", size.into()));
        }
        if let Some(CropSpec { count, size }) = self.local {
            flags.push(flag("--local", "data.local_crops", count.into()));
            if count > 0 {
                flags.push(flag("--local", "data.local_size", size.into()));
            }
        }
        Ok(flags)
    }

    fn measure(&self, config: Config, console: &mut Console) -> Result<Speed> {
        let images = config.optim.batch_size;
        dino::memory::require_steps(&config, rayon::current_num_threads(), self.batches as usize)?;
        let batches: Vec<_> = (0..self.batches).map(|i| random_crops(&config, i.into())).collect();
        let training = Training::new(config);
        let mut state = training.initial_state();
        let mut grads = Params::zeros(training.network.table().clone());
        let (mut losses, mut times) = (Vec::new(), Vec::new());
        let total = self.conditions.warmup + self.steps;
        for (i, Batch { globals, locals, masks }) in (0..total).zip(batches.iter().cycle()) {
            if i == self.conditions.warmup && self.profile {
                engine::profile::start();
            }
            let start = Instant::now();
            let batch = [CropBatch { globals, locals, masks, images }];
            let report = training.step(&mut state, &mut grads, &batch, &VALUES)?;
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
            let timed = Timed { steps: self.steps, elapsed };
            let totals = engine::profile::stop();
            profile::print(console, totals, engine::profile::peaks(), timed);
            profile::print_memory(console, engine::pool::usage());
        }
        Ok(Speed::of(images, &times, &losses))
    }
}

/// Values of all schedules.
const VALUES: StepValues = StepValues {
    lr: 1e-4,
    weight_decay: 0.04,
    momentum: 0.996,
    teacher_temp: 0.04,
    patch_temp: 0.04,
    epoch: 0,
    freeze_last_layer: false,
    freeze_backbone: false,
};

/// A batch whose crops are standard normal values, with masks if the method uses them.
fn random_crops(config: &Config, batch: u64) -> Batch {
    let (data, images) = (&config.data, config.optim.batch_size);
    let draw = |crops: usize, size: usize, part| {
        let mut stream = Key::new(config.seed, Purpose::Bench).time(batch).index(part).open();
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
