//! Length of the run, optimizer and the teacher's momentum.

use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_EPOCHS, MAX_STEPS};
use super::{Config, Warning};
use crate::error::{Error, Result};

/// Most images of a batch.
const MAX_BATCH: usize = 1 << 20;

/// Section `[optim]`: AdamW, its schedules, and how long all of it lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optim {
    /// Passes over the images; sets the horizon of all schedules. Not with `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Optimizer steps; sets the horizon of all schedules. Not with `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Images in one optimizer step.
    pub batch_size: usize,
    /// Parts a batch is cut into, one after the other, to save memory; the gradient is the same.
    pub accumulate: usize,
    /// Highest learning rate for each 256 images of a batch.
    pub lr: f64,
    /// Learning rate at the end, whatever the batch.
    pub min_lr: f64,
    /// Epochs in which the learning rate rises from 0.
    pub warmup_epochs: f64,
    /// Weight decay at the start.
    pub weight_decay: f64,
    /// Weight decay at the end.
    pub weight_decay_end: f64,
    /// Whether learned norms of prototypes decay; the official grouping decays them.
    pub decay_norms: bool,
    /// Largest norm of each tensor's gradient; 0 does not clip.
    pub clip_grad: f64,
    /// Epochs in which the prototypes stand still.
    pub freeze_last_layer_epochs: f64,
    /// The teacher's momentum at the start: teacher ← m · teacher + (1 − m) · student.
    pub teacher_momentum: f64,
    /// The teacher's momentum at the end.
    pub teacher_momentum_end: f64,
    /// Decay rates of AdamW's two running means.
    pub betas: [f64; 2],
    /// Added to the root of AdamW's second mean.
    pub eps: f64,
}

impl Default for Optim {
    fn default() -> Self {
        Self {
            epochs: None,
            steps: None,
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
            teacher_momentum: 0.996,
            teacher_momentum_end: 1.0,
            betas: [0.9, 0.999],
            eps: 1e-8,
        }
    }
}

impl Optim {
    /// `epochs` if neither `epochs` nor `steps` is given.
    pub const DEFAULT_EPOCHS: f64 = 100.0;

    /// The highest learning rate itself: `lr · batch_size / 256`.
    pub fn peak_lr(&self) -> f64 {
        self.lr * self.batch_size as f64 / 256.0
    }

    pub(super) fn check(&self, check: &Check<'_>) -> Result<()> {
        if let Some(epochs) = self.epochs {
            check.positive("optim.epochs", epochs, [1e-9, MAX_EPOCHS])?;
        }
        if let Some(steps) = self.steps {
            check.require(steps >= 1, "optim.steps", steps, "be 1 or more")?;
            check.at_most("optim.steps", steps, MAX_STEPS)?;
        }
        check.count("optim.batch_size", self.batch_size, MAX_BATCH)?;
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
        check.fraction("optim.teacher_momentum", self.teacher_momentum)?;
        check.fraction("optim.teacher_momentum_end", self.teacher_momentum_end)?;
        for beta in self.betas {
            check.below_one("optim.betas", beta)?;
        }
        check.positive("optim.eps", self.eps, [1e-30, 1.0])
    }

    /// All steps, where an epoch has `steps_per_epoch`.
    fn total_steps(&self, steps_per_epoch: u64) -> u64 {
        horizon(self.epochs, self.steps, steps_per_epoch)
    }
}

fn horizon(epochs: Option<f64>, steps: Option<u64>, steps_per_epoch: u64) -> u64 {
    let epochs = epochs.unwrap_or(Optim::DEFAULT_EPOCHS);
    steps.unwrap_or_else(|| to_steps(epochs, steps_per_epoch).max(1))
}

/// Epochs as steps, rounded to the nearest.
pub(crate) fn to_steps(epochs: f64, steps_per_epoch: u64) -> u64 {
    (epochs * steps_per_epoch as f64).round() as u64
}

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Optimizer steps of the whole run.
    pub total_steps: u64,
    /// Steps of one epoch: images divided by the batch size, rounded down.
    pub steps_per_epoch: u64,
}

/// Durations that must not outlast the run, and whether one written by hand is an error then.
const WARMUPS: [(&str, bool); 3] = [
    ("optim.warmup_epochs", true),
    ("objective.teacher_temp_warmup_epochs", true),
    ("optim.freeze_last_layer_epochs", false),
];

impl Config {
    /// The length of the run over `images` images. Warm-ups of a preset (or of the defaults) that
    /// are longer than the run are shortened in `self`, each with a warning, to the part of the run
    /// that they were of the preset's own; so is the time before the first mask.
    ///
    /// # Errors
    /// Fewer images than `optim.batch_size`; a warm-up longer than the run that was written by hand,
    /// or first masks behind its end.
    pub fn fit(&mut self, images: usize) -> Result<(Horizon, Vec<Warning>)> {
        let batch_size = self.optim.batch_size;
        let steps_per_epoch = (images / batch_size.max(1)) as u64;
        if steps_per_epoch == 0 {
            let data = self.data.source.clone();
            return Err(Error::TooFewImages { data, images, batch_size });
        }
        let total_steps = self.optim.total_steps(steps_per_epoch);
        let horizon = Horizon { total_steps, steps_per_epoch };
        let mut warnings = Vec::new();
        for (key, strict) in WARMUPS {
            warnings.extend(self.fit_warmup(key, strict, horizon)?);
        }
        warnings.extend(self.fit_mask_start(horizon)?);
        Ok((horizon, warnings))
    }

    /// Without it a run that ends before its first mask would be iBOT in name only.
    fn fit_mask_start(&mut self, run: Horizon) -> Result<Option<Warning>> {
        let (key, epoch) = ("masking.start_epoch", self.masking.start_epoch);
        let Horizon { total_steps, steps_per_epoch } = run;
        let first_step = epoch.saturating_mul(steps_per_epoch);
        if !self.objective.method.masks() || first_step < total_steps {
            return Ok(None);
        }
        let origin = self.origin(key);
        if origin.by_hand() {
            let (key, epochs) = (key.to_owned(), epoch as f64);
            let warmup_steps = first_step;
            return Err(Error::WarmupTooLong { key, origin, epochs, warmup_steps, total_steps });
        }
        let part = first_step as f64 / self.preset_steps(steps_per_epoch) as f64;
        let fitted = (part.min(1.0) * total_steps as f64) as u64 / steps_per_epoch;
        self.masking.start_epoch = fitted;
        Ok(Some(format!(
            "`{key}` moved from {epoch} to {fitted}, because the run has only {total_steps} steps"
        )))
    }

    /// Steps that the preset's own run has.
    fn preset_steps(&self, steps_per_epoch: u64) -> u64 {
        let (epochs, steps) = self.origins.preset_horizon.unwrap_or((None, None));
        horizon(epochs, steps, steps_per_epoch)
    }

    fn fit_warmup(&mut self, key: &str, strict: bool, run: Horizon) -> Result<Option<Warning>> {
        let Horizon { total_steps, steps_per_epoch } = run;
        let origin = self.origin(key);
        let own_steps = self.preset_steps(steps_per_epoch);
        let field = match key {
            "optim.warmup_epochs" => &mut self.optim.warmup_epochs,
            "optim.freeze_last_layer_epochs" => &mut self.optim.freeze_last_layer_epochs,
            _ => &mut self.objective.teacher_temp_warmup_epochs,
        };
        let epochs = *field;
        let warmup_steps = to_steps(epochs, steps_per_epoch);
        if warmup_steps <= total_steps || (origin.by_hand() && !strict) {
            return Ok(None);
        }
        if origin.by_hand() {
            let key = key.to_owned();
            return Err(Error::WarmupTooLong { key, origin, epochs, warmup_steps, total_steps });
        }
        let part = (warmup_steps as f64 / own_steps as f64).min(1.0);
        let fitted_steps = (part * total_steps as f64).round();
        *field = fitted_steps / steps_per_epoch as f64;
        Ok(Some(format!(
            "`{key}` shortened from {warmup_steps} to {fitted_steps} steps, because the run has only \
             {total_steps}"
        )))
    }
}
