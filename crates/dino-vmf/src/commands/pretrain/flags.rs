//! The flags of `dino-vmf pretrain`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::commands::candidates::{presets, settings, values_of};
use crate::commands::opening::Foreign;

/// Train a vision transformer on images without labels
///
/// Settings come from the defaults, then the preset, the `--config` file, each `--set`, and the other flags.
/// Later ones override earlier ones. `dino-vmf presets NAME` prints the keys that a preset sets, and `dino-vmf
/// config` lists and explains all keys.
///
/// If labelled images are known (`eval.train`, `eval.test`), k-NN evaluates the features of the trained
/// network, and for comparison raw pixels and the untrained network.
///
/// Before it starts, it prints what the run will cost; `dino-vmf plan` with the same flags says it in more
/// detail.
///
/// Ctrl-C (SIGINT), SIGTERM, SIGHUP (a closed terminal), SIGUSR1 and SIGXCPU save the run after its last whole
/// step and end it with exit code 130; `--resume` continues it with the same bits. The current step is finished
/// if that takes at most 10 seconds, and left otherwise. A second Ctrl-C or SIGTERM ends the program at once,
/// without saving. Under `nohup`, SIGHUP is ignored.
///
/// Example: dino-vmf pretrain photos/ --epochs 20 --name photos
#[derive(Debug, Args)]
pub(crate) struct Pretrain {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes`
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath, conflicts_with = "data")]
    pub(super) source: Option<String>,
    /// The same as SOURCE
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub(super) data: Option<String>,
    /// Preset to start from; `dino-vmf presets` lists the names
    ///
    /// By default one that fits the images: their number, size and channels, and this machine, decide on the
    /// network, the crops, the batch and the length of the run. Without images it is `shapes-tiny`.
    #[arg(long, value_name = "NAME", add = presets())]
    pub(super) preset: Option<String>,
    /// Training method: `dino`, `dino-vmf`, `ibot` or `ibot-vmf`; by default the preset's
    ///
    /// The iBOT methods also predict masked patches. They give better patch features and cost more time. The
    /// vMF methods learn a concentration for each prototype.
    #[arg(long, value_name = "METHOD", add = values_of("objective.method"))]
    pub(super) method: Option<String>,
    /// Network: `vit_tiny`, `vit_small`, `vit_base` or `vit_large`; by default the preset's
    #[arg(long, value_name = "ARCH", visible_alias = "model", add = values_of("model.arch"))]
    pub(super) arch: Option<String>,
    /// Start from a checkpoint of this or another program instead of random weights
    ///
    /// The network is that of the checkpoint. With its heads, training goes on; `--method dino-vmf` turns the norms
    /// of a DINO head into concentrations. From a backbone alone, fresh heads warm up first. The features are
    /// compared with those of the start, and the best checkpoint is kept. docs/checkpoints.md says which settings
    /// follow.
    ///
    /// Example: dino-vmf pretrain photos/ --init dinov2_vits14_reg4_pretrain.pth --epochs 10
    #[arg(long, value_name = "CHECKPOINT", value_hint = ValueHint::AnyPath)]
    pub(super) init: Option<PathBuf>,
    #[command(flatten)]
    pub(super) foreign: Foreign,
    /// Side of a patch in pixels, by default the preset's; half the side means four times as many tokens
    #[arg(long, value_name = "PIXELS", allow_negative_numbers = true)]
    pub(super) patch_size: Option<i64>,
    /// Number of prototypes, K, by default the preset's
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub(super) prototypes: Option<i64>,
    /// Matmul precision: `f32` or `bf16`; by default the preset's
    ///
    /// bf16 is faster on CPUs with AMX or AVX512-BF16, and slower on others.
    #[arg(long, value_name = "PRECISION", add = values_of("model.precision"))]
    pub(super) precision: Option<String>,
    /// Images in one optimizer step, by default the preset's
    ///
    /// `--set optim.accumulate=N` computes a batch in N parts, which need less memory and give the same
    /// gradient.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) batch_size: Option<i64>,
    /// Learning rate for 256 images, by default the preset's
    ///
    /// The highest learning rate of the run is this times the batch size over 256.
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub(super) lr: Option<f64>,
    /// Passes over the images, by default the preset's; all schedules span this time
    ///
    /// With `--resume`, a larger number than before makes the run longer.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) epochs: Option<f64>,
    /// Optimizer steps, instead of `--epochs`; all schedules span this time
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) steps: Option<i64>,
    /// Run folder; by default the first free `runs/<preset>-<n>`
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) out: Option<PathBuf>,
    /// Name of the run: the same as `--out runs/NAME`
    #[arg(long, value_name = "NAME", conflicts_with = "out")]
    pub(super) name: Option<String>,
    /// Number of channels that images are converted to, and of the network's input; 3 by default
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) channels: Option<i64>,
    /// Seed of all random numbers, by default the preset's; the same seed gives the same weights, bit by bit
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub(super) seed: Option<i64>,
    /// TOML file with settings, which override those of the preset
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// Set one key, for example `optim.lr=1e-3`; can be repeated
    ///
    /// `dino-vmf config` lists the keys, and `dino-vmf config optim.lr` explains one.
    #[arg(long, value_name = "KEY=VALUE", add = settings())]
    pub(super) set: Vec<String>,
    /// Compute threads, by default the preset's; 0 uses all cores. Results do not depend on it
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) threads: Option<i64>,
    /// Threads that read and crop images, by default the preset's; 0 starts as many as compute threads
    ///
    /// Start more if the progress line reports time spent waiting for images. Results do not depend on it.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) workers: Option<i64>,
    /// Compute device; this version has only `cpu`
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// What an alarm does: `warn` prints it and continues, `stop` saves the run and ends with exit code 1
    ///
    /// Alarms report collapse (uniform, one-hot, partial, or features that do not depend on the image), a
    /// teacher that is equal to the student, and exploding norms. Each names the cause and what to try.
    /// Partial collapse never stops a run: large heads show it although their features are good. By default, the
    /// preset's.
    #[arg(long, value_name = "ACTION", add = values_of("run.on_collapse"))]
    pub(super) on_collapse: Option<String>,
    /// What the backward pass recomputes to save memory: `none`, `light` or `blocks`
    ///
    /// `light` recomputes the hidden layers of the MLPs, a tenth of a step's arithmetic. `blocks` saves only
    /// the inputs of the blocks and recomputes a quarter. Results do not depend on it. By default, the preset's;
    /// change it only if a run does not fit into memory.
    #[arg(long, value_name = "WHAT", add = values_of("run.recompute"))]
    pub(super) recompute: Option<String>,
    /// Continue the run in DIR, in `--out`, or the newest one in `runs`
    ///
    /// With `--preset`, the newest one is that of `runs/<preset>-<n>`. Uses the run's own settings unless
    /// `--preset` is given. With `--out` or `--name`, starts the run if it does not exist yet, so that a job
    /// queue can repeat the same command.
    #[arg(long, value_name = "DIR", num_args = 0..=1, value_hint = ValueHint::DirPath)]
    pub(super) resume: Option<Option<PathBuf>>,
    /// With `--resume`: continue although the images have changed since the checkpoint
    ///
    /// Compares the number, the names and the content of some images with the checkpoint. With this flag a
    /// difference is a warning and is written to `metrics.jsonl`; without it, an error. All schedules are
    /// computed again from the new number of images.
    #[arg(long, requires = "resume")]
    pub(super) allow_data_change: bool,
}
