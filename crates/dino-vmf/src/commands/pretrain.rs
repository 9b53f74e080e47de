//! `dino-vmf pretrain`: settings from all layers, signals, and the run.

mod settings;
mod signals;
mod view;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueHint};
use dino::trainer::{self, Request};

use super::Outcome;
use crate::console::Console;
use view::View;

/// Train a vision transformer on images without labels
///
/// Settings come from the defaults, then the preset, the `--config` file, each `--set`, and the
/// other flags; later ones win. `dino-vmf presets NAME` prints a preset with all its keys.
///
/// Where labelled images are known (`eval.train`, `eval.test`), the features are judged by k-NN:
/// raw pixels and the untrained network stand beside the trained one.
///
/// SIGINT, SIGTERM, SIGHUP (a closed terminal), SIGUSR1 and SIGXCPU save the run and end it with exit
/// code 130; `--resume` goes on. `nohup` keeps SIGHUP away.
///
/// Example: dino-vmf pretrain --data photos/ --method dino-vmf --epochs 20 --out runs/photos
#[derive(Debug, Args)]
pub(crate) struct Pretrain {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes`
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    data: Option<String>,
    /// Recipe to start from, `shapes-tiny` by default; `dino-vmf presets` lists them
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Objective: `dino`, `dino-vmf`, `ibot` or `ibot-vmf`
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Numbers that linear layers multiply: `f32`, or `bf16`, faster where the processor knows it
    #[arg(long, value_name = "PRECISION")]
    precision: Option<String>,
    /// Passes over the images, the horizon of all schedules
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    epochs: Option<f64>,
    /// Optimizer steps, the horizon of all schedules
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    steps: Option<i64>,
    /// Run folder; by default the first free `runs/<preset>-<n>`
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// Channels of the images and of the network's input: 3 by default
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    channels: Option<i64>,
    /// Seed of every random number
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// TOML file with settings
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Set one key, for example `optim.lr=1e-3`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Threads that compute, 0 for all cores; results do not depend on it
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<i64>,
    /// Threads that read and crop images, 0 for as many as compute
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    workers: Option<i64>,
    /// Where to compute: `cpu`
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// What an alarm does: `warn` names it and goes on, `stop` saves and ends with exit code 1
    ///
    /// Alarms name collapses (uniform, one-hot, partial, or features that do not depend on the image),
    /// a teacher that is the student, and exploding norms, each with its cause and what to try. Partial
    /// collapse never stops a run: large heads meet it although their features are good.
    #[arg(long, value_name = "WHAT")]
    on_collapse: Option<String>,
    /// What the backward pass computes again to need less memory: `none`, `light` or `blocks`
    ///
    /// `light` computes the hidden layers of the MLPs again, a tenth of a step's arithmetic; `blocks` keeps
    /// nothing but the inputs of the blocks and computes a quarter again. Results do not depend on it.
    #[arg(long, value_name = "WHAT")]
    recompute: Option<String>,
    /// Go on with the run in DIR, in `--out`, or in the newest `runs/<preset>-<n>`
    ///
    /// The run's own settings are taken unless `--preset` or `--config` is given. With `--out`, a
    /// run that does not exist yet is started, so that a queue can repeat one command line.
    #[arg(long, value_name = "DIR", num_args = 0..=1, value_hint = ValueHint::DirPath)]
    resume: Option<Option<PathBuf>>,
    /// With `--resume`: go on although the images are not those that the run was trained on so far
    ///
    /// Number, names and the content of some images are compared with those of the checkpoint. With this
    /// flag a difference is a warning and is written to `metrics.jsonl`; the horizon of all schedules
    /// follows from the new number of images.
    #[arg(long, requires = "resume")]
    allow_data_change: bool,
}

impl Pretrain {
    pub(crate) fn run(&self, console: &mut Console) -> Result<Outcome> {
        let (config, name) = self.settings()?;
        let stop = signals::stop_on_signals().context("cannot listen to signals")?;
        let mut view = View::new(console, config.optim.batch_size);
        let (resume, allow_data_change) = (self.resume.is_some(), self.allow_data_change);
        let request = Request { config, name, resume, allow_data_change };
        let summary = trainer::pretrain(request, &stop, &mut |event| view.show(&event))?;
        view.conclude(&summary);
        Ok(if summary.interrupted { Outcome::Interrupted } else { Outcome::Done })
    }
}
