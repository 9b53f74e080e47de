//! `[optim]`: length of the run, optimizer and the teacher's momentum.

use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_EPOCHS, MAX_STEPS};
use super::error::Result;

/// Most images of a batch.
const MAX_BATCH: usize = 1 << 20;

/// AdamW, its schedules, and the length of the run. Schedules are cosines over the whole run, so the
/// length changes every step: choose it first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optim {
    /// Length of the run in passes over the images; excludes `optim.steps`. 100 unless one of the two is
    /// set. More is better for a long time: DINO trains ViT-S for 100 to 800 epochs of ImageNet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Length of the run in optimizer steps; excludes `optim.epochs`. For trials and for runs that must be
    /// equally long on different data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// How the run became longer, written by `--resume RUN --epochs N`: for each time the steps done then,
    /// and the run's length before in steps. Schedules are joined there, see `docs/runs.md`. Do not set it
    /// by hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended: Vec<[u64; 2]>,
    /// Images of one optimizer step, in all parts of `optim.accumulate` together. `optim.lr` scales with it.
    /// 64 suits small networks on a CPU, 256 to 1024 large ones; with a small batch take a higher
    /// `optim.teacher_momentum`.
    pub batch_size: usize,
    /// Parts that a batch is cut into and that are computed one after the other; it must divide
    /// `optim.batch_size`. The gradient is that of the whole batch and the learning rate stays. Only a part
    /// is in memory at a time, so raise it if a run does not fit.
    pub accumulate: usize,
    /// Highest learning rate, at the end of the warm-up, for 256 images: the rate itself is
    /// `lr · batch_size / 256`, whatever `optim.accumulate` is. 5e-4 suits ViTs of usual width; small
    /// networks and short runs want several times as much. Lower it if the loss turns not finite.
    pub lr: f64,
    /// Learning rate at the end of the run. It does not scale with the batch.
    pub min_lr: f64,
    /// Epochs in which the learning rate rises linearly from 0. 10 suits 100 epochs and more. If it comes
    /// from a preset or a default, it shrinks with a shorter run.
    pub warmup_epochs: f64,
    /// Weight decay at the start of the run. ViTs learn better if it is small at first.
    pub weight_decay: f64,
    /// Weight decay at the end of the run, reached by a cosine. Ten times the start is usual.
    pub weight_decay_end: f64,
    /// Whether learned norms of prototypes decay, as in the reference. Without effect if
    /// `objective.prototype_norm` is `l2`.
    pub decay_norms: bool,
    /// Largest norm of the gradient of a tensor; a longer gradient is shortened to it. Every tensor is
    /// clipped on its own. 0 clips nothing. 3 seldom acts; 0.3 to 1 helps large or unstable models.
    pub clip_grad: f64,
    /// Epochs at the start in which the prototypes stay fixed. One epoch helps most runs; try more if the
    /// loss does not fall.
    pub freeze_last_layer_epochs: f64,
    /// Epochs at the start in which the backbone stays fixed and only the heads learn. For fresh heads on a
    /// pretrained backbone (`init.checkpoint`), whose gradients would spoil it; 1 is usual there. 0 otherwise.
    pub freeze_backbone_epochs: f64,
    /// Factor of the learning rate for the backbone. 0.1 suits a pretrained backbone (`init.checkpoint`), 1 a run
    /// from random weights.
    pub backbone_lr: f64,
    /// Momentum m of the teacher at the start: teacher ← m · teacher + (1 − m) · student. It rises by a
    /// cosine. Higher values suit small batches: 0.996 for 1024 images, 0.9995 for 256, but short runs
    /// need a teacher that moves, for example 0.98.
    pub teacher_momentum: f64,
    /// Momentum of the teacher at the end of the run. 1 lets it come to rest.
    pub teacher_momentum_end: f64,
    /// Decay rates of AdamW's running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Added to the root of AdamW's second running mean; keeps steps finite where gradients are 0.
    pub eps: f64,
}

impl Default for Optim {
    fn default() -> Self {
        Self {
            epochs: None,
            steps: None,
            extended: Vec::new(),
            batch_size: 64,
            accumulate: 1,
            lr: 5e-4,
            min_lr: 1e-6,
            warmup_epochs: 10.0,
            weight_decay: 0.04,
            weight_decay_end: 0.4,
            decay_norms: true,
            clip_grad: 3.0,
            freeze_last_layer_epochs: 1.0,
            freeze_backbone_epochs: 0.0,
            backbone_lr: 1.0,
            teacher_momentum: 0.996,
            teacher_momentum_end: 1.0,
            betas: [0.9, 0.999],
            eps: 1e-8,
        }
    }
}

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Optimizer steps of the whole run.
    pub total_steps: u64,
    /// Steps of one epoch: images divided by the batch size, rounded down.
    pub steps_per_epoch: u64,
}

impl Optim {
    /// `epochs` if neither `epochs` nor `steps` is set.
    pub const DEFAULT_EPOCHS: f64 = 100.0;

    /// Passes over the images: as set, else the default; `None` if `steps` is set.
    pub fn epochs(&self) -> Option<f64> {
        self.epochs.or_else(|| self.steps.is_none().then_some(Self::DEFAULT_EPOCHS))
    }

    /// The highest learning rate itself: `lr · batch_size / 256`.
    pub fn peak_lr(&self) -> f64 {
        self.lr * self.batch_size as f64 / 256.0
    }

    /// The length of a run over `images` images; `None` if there are fewer than one batch.
    pub fn horizon(&self, images: usize) -> Option<Horizon> {
        let steps_per_epoch = (images / self.batch_size.max(1)) as u64;
        let total_steps = total_steps(self.epochs, self.steps, steps_per_epoch);
        (steps_per_epoch > 0).then_some(Horizon { total_steps, steps_per_epoch })
    }

    /// Checks the length of the run and the batch, each alone.
    pub(super) fn check_length(&self, check: &Check<'_>) -> Result<()> {
        if let Some(epochs) = self.epochs {
            check.positive("optim.epochs", epochs, [1e-9, MAX_EPOCHS])?;
        }
        if let Some(steps) = self.steps {
            check.require(steps >= 1, "optim.steps", steps, "be 1 or more")?;
            check.at_most("optim.steps", steps, MAX_STEPS)?;
        }
        check.count("optim.batch_size", self.batch_size, MAX_BATCH)
    }

    pub(super) fn check(&self, check: &Check<'_>) -> Result<()> {
        self.check_length(check)?;
        self.check_extended(check)?;
        check.count("optim.accumulate", self.accumulate, MAX_BATCH)?;
        let divides = self.batch_size.is_multiple_of(self.accumulate);
        let needed = format!("divide `optim.batch_size`, which is {}", self.batch_size);
        check.require(divides, "optim.accumulate", self.accumulate, needed)?;
        check.positive("optim.lr", self.lr, [1e-12, 1e3])?;
        check.not_negative("optim.min_lr", self.min_lr, 1e3)?;
        check.not_negative("optim.warmup_epochs", self.warmup_epochs, MAX_EPOCHS)?;
        check.not_negative("optim.weight_decay", self.weight_decay, 1e3)?;
        check.not_negative("optim.weight_decay_end", self.weight_decay_end, 1e3)?;
        check.not_negative("optim.clip_grad", self.clip_grad, 1e9)?;
        let epochs = self.freeze_last_layer_epochs;
        check.not_negative("optim.freeze_last_layer_epochs", epochs, MAX_EPOCHS)?;
        let epochs = self.freeze_backbone_epochs;
        check.not_negative("optim.freeze_backbone_epochs", epochs, MAX_EPOCHS)?;
        check.not_negative("optim.backbone_lr", self.backbone_lr, 1e3)?;
        check.fraction("optim.teacher_momentum", self.teacher_momentum)?;
        check.fraction("optim.teacher_momentum_end", self.teacher_momentum_end)?;
        for beta in self.betas {
            check.below_one("optim.betas", beta)?;
        }
        check.positive("optim.eps", self.eps, [1e-30, 1.0])
    }
}

impl Optim {
    /// Sets the length, and nothing about earlier ones.
    pub(crate) fn set_length(&mut self, epochs: Option<f64>, steps: Option<u64>) {
        self.epochs = epochs;
        self.steps = steps;
        self.extended.clear();
    }

    fn check_extended(&self, check: &Check<'_>) -> Result<()> {
        let key = "optim.extended";
        for &[at, length] in &self.extended {
            check.at_most(key, length, MAX_STEPS)?;
            let needed = "be pairs of the steps done and a length that is not shorter";
            check.require(at >= 1 && at <= length, key, at, needed)?;
        }
        let grows =
            self.extended.windows(2).all(|two| two[0][0] <= two[1][0] && two[0][1] < two[1][1]);
        check.require(grows, key, format!("{:?}", self.extended), "grow from each pair to the next")
    }
}

/// All steps of a run of `steps`, else of `epochs`, else of the default number of epochs.
pub(crate) fn total_steps(epochs: Option<f64>, steps: Option<u64>, steps_per_epoch: u64) -> u64 {
    let epochs = epochs.unwrap_or(Optim::DEFAULT_EPOCHS);
    steps.unwrap_or_else(|| to_steps(epochs, steps_per_epoch).max(1))
}

/// Epochs as steps, rounded to the nearest.
pub(crate) fn to_steps(epochs: f64, steps_per_epoch: u64) -> u64 {
    (epochs * steps_per_epoch as f64).round() as u64
}
