//! `dino-vmf bench step`: the time of one training step on random crops in memory.

use std::env::consts::ARCH;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};
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
use crate::console::{Console, Progress};

/// Time one training step on random crops, and print one line of JSON
///
/// A step is: teacher, student, loss, backward pass, gradient clipping, AdamW and the update of the teacher.
/// No images are read. The fields of the JSON line are those of the PyTorch script that it is compared with.
///
/// Example: dino-vmf bench step --arch vit_small --batch 8 --threads 2
#[derive(Debug, Args)]
pub(crate) struct Step {
    /// Architecture: `vit_tiny`, `vit_small`, `vit_base` or `vit_large`
    #[arg(long, default_value = "vit_small")]
    arch: String,
    /// Side of a patch in pixels
    ///
    /// Half the side means four times as many tokens.
    #[arg(long, value_name = "PIXELS", default_value_t = 16, allow_negative_numbers = true)]
    patch: i64,
    /// Images per step
    ///
    /// Time and memory grow linearly with it.
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true)]
    batch: i64,
    /// Number and side of the global crops of an image; the number must be 2
    #[arg(long, value_name = "NxPIXELS", default_value = "2x224")]
    global: CropSpec,
    /// Number and side of the local crops of an image; `0x96` for none
    #[arg(long, value_name = "NxPIXELS", default_value = "8x96")]
    local: CropSpec,
    /// Number of prototypes
    #[arg(long, value_name = "K", default_value_t = 65536, allow_negative_numbers = true)]
    k: i64,
    /// Width of the hidden layers of the head's MLP
    #[arg(long, value_name = "WIDTH", default_value_t = 2048, allow_negative_numbers = true)]
    hidden: i64,
    /// Width of the head's bottleneck, whose unit vectors are compared with the prototypes
    #[arg(long, value_name = "WIDTH", default_value_t = 256, allow_negative_numbers = true)]
    bottleneck: i64,
    /// Training method
    ///
    /// `dino` keeps the prototypes' norms at 1 and centers logits. `dino-vmf` learns the norms and centers
    /// probabilities. `ibot` and `ibot-vmf` also predict masked patches.
    #[arg(long, value_enum, default_value_t = Method::Dino)]
    method: Method,
    /// Matmul precision; bf16 is faster on CPUs with AMX or AVX512-BF16
    #[arg(long, value_enum, default_value_t = Precision::Fp32)]
    precision: Precision,
    /// Compute device; this version has only `cpu`
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Timed steps
    ///
    /// Take more if the times in `s_per_step` differ by more than a few percent.
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true)]
    steps: u32,
    #[command(flatten)]
    conditions: Conditions,
    /// Drop path rate of the student's last block, 0 to below 1; earlier blocks have proportionally less
    #[arg(long, value_name = "P", default_value_t = 0.1, allow_negative_numbers = true)]
    drop_path: f64,
    /// What the backward pass recomputes to save memory: `none`, `light` or `blocks`
    ///
    /// `light` recomputes the hidden layers of the MLPs, a tenth of a step's arithmetic. `blocks` saves only
    /// the inputs of the blocks and recomputes a quarter.
    #[arg(long, value_name = "WHAT", default_value = "none")]
    recompute: String,
    /// Number of different random batches; the steps cycle through them
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    batches: u32,
    /// Also print time, rate and share of the machine's peak for each operation
    #[arg(long)]
    profile: bool,
    /// Seed of the weights and of the crops
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true)]
    seed: i64,
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
    /// The value of the setting `objective.method`.
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
    /// The value of the setting `model.precision`.
    fn key(self) -> &'static str {
        match self {
            Self::Fp32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// The value that the PyTorch script prints.
    fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
        }
    }
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

impl Step {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let config = self.settings()?;
        config.model.precision.warning().into_iter().for_each(|warning| console.warn(warning));
        let threads = start_threads(config.run.threads)?;
        let (setup, speed) = (self.setup(threads), self.measure(config, console)?);
        console.json_line(None, &Record { setup, speed });
        Ok(())
    }

    fn settings(&self) -> Result<Config> {
        self.require("--device", &self.device, "cpu")?;
        self.require("--global", &self.global.count.to_string(), "2")?;
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
            self.conditions.threads_flag(),
            flag("--recompute", "run.recompute", self.recompute.clone().into()),
            flag("--seed", "seed", self.seed.into()),
        ];
        let mut config = Config::resolve(None, None, &[], &flags)?;
        // As in the PyTorch script: half of the global crops have 30 % of their patches masked.
        config.masking = Masking {
            shape: MaskShape::Random,
            ratios: vec![0.0, 0.3],
            spreads: vec![0.0, 0.0],
            start_epoch: 0,
        };
        Ok(config)
    }

    /// Refuses every value of a flag but the one that this version has.
    fn require(&self, flag: &str, found: &str, only: &str) -> Result<(), config::Error> {
        if found == only {
            return Ok(());
        }
        let needed = format!("be `{only}`: this version has nothing else yet");
        let (key, origin) = (flag.to_owned(), Origin::Default);
        Err(config::Error::BadValue { key, origin, found: found.to_owned(), needed })
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

/// Values of all schedules.
const VALUES: StepValues = StepValues {
    lr: 1e-4,
    weight_decay: 0.04,
    momentum: 0.996,
    teacher_temp: 0.04,
    patch_temp: 0.04,
    epoch: 0,
    freeze_last_layer: false,
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
