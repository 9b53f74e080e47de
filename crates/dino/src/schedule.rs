//! [`Schedules`] give learning rate, weight decay, momentum and temperatures as pure functions of the step.

mod extension;

use std::f64::consts::PI;

pub use extension::{Extended, Extension};

use crate::config::{Config, Horizon, to_steps};

/// Linear warm-up from `start` to `peak`, then half a cosine from `peak` towards `end`.
///
/// ```text
/// v(t) = start + (peak − start) · t / (W − 1)                      t < W
/// v(t) = end + ½ (peak − end) (1 + cos(π (t − W) / (T − W)))       W ≤ t < T
/// v(t) = end                                                       t ≥ T
/// ```
///
/// with `W = warmup_steps`, `T = total_steps`. Serves the learning rate, and with `W = 0` the weight
/// decay and the teacher's momentum.
///
/// # Accuracy
/// 1e-15 + 1e-14 · |v| of numpy's (`tests/all/golden_schedules.rs`).
///
/// # Source
/// `cosine_scheduler` of DINO, value for value below `T`; like it, this holds the peak for two
/// steps, `W − 1` and `W`, and reaches `end` in no step of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmupCosine {
    /// Value at step 0 if there is a warm-up.
    pub start: f64,
    /// Value at the end of the warm-up.
    pub peak: f64,
    /// Value that the cosine approaches.
    pub end: f64,
    /// Steps of the warm-up, `W`.
    pub warmup_steps: u64,
    /// Steps of the run, `T`.
    pub total_steps: u64,
}

impl WarmupCosine {
    /// The value at `step`, from 0.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            linspace(self.start, self.peak, self.warmup_steps, step)
        } else if step < self.total_steps {
            let decay_steps = self.total_steps - self.warmup_steps;
            let angle = PI * (step - self.warmup_steps) as f64 / decay_steps as f64;
            self.end + 0.5 * (self.peak - self.end) * (1.0 + angle.cos())
        } else {
            self.end
        }
    }
}

/// A constant, a ramp over whole epochs that includes both ends, then a constant.
///
/// ```text
/// v(e) = start                                       e < D
/// v(e) = start + (end − start) · (e − D) / (W − 1)   D ≤ e < D + W
/// v(e) = end                                         e ≥ D + W
/// ```
///
/// Source: the teacher's temperatures in DINO and iBOT, `ones`, `linspace` and `ones`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochRamp {
    /// Value before the warm-up and in its first epoch.
    pub start: f64,
    /// Value after the warm-up.
    pub end: f64,
    /// Epochs before the warm-up, `D`.
    pub delay_epochs: u64,
    /// Epochs of the warm-up, `W`.
    pub warmup_epochs: u64,
}

impl EpochRamp {
    /// The value in `epoch`, from 0.
    pub fn at(&self, epoch: u64) -> f64 {
        match epoch.checked_sub(self.delay_epochs) {
            None => self.start,
            Some(epoch) if epoch < self.warmup_epochs => {
                linspace(self.start, self.end, self.warmup_epochs, epoch)
            }
            Some(_) => self.end,
        }
    }
}

/// Element `i` of `count` evenly spaced values, both ends included; a single one is `start`.
fn linspace(start: f64, end: f64, count: u64, i: u64) -> f64 {
    match count {
        0 | 1 => start,
        _ if i + 1 == count => end,
        _ => start + i as f64 * ((end - start) / (count - 1) as f64),
    }
}

/// All schedules of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedules {
    /// Learning rate; the peak is `optim.lr · batch_size / 256`.
    pub lr: WarmupCosine,
    /// Weight decay.
    pub weight_decay: WarmupCosine,
    /// The teacher's momentum.
    pub momentum: WarmupCosine,
    /// The teacher's temperature.
    pub teacher_temp: EpochRamp,
    /// The teacher's temperature for masked patches; it starts to rise with the first masks.
    pub patch_temp: EpochRamp,
    /// Steps at the start in which the prototypes stay fixed.
    pub frozen_steps: u64,
    /// Steps at the start in which the backbone stays fixed.
    pub frozen_backbone_steps: u64,
    /// Length of the run.
    pub horizon: Horizon,
    /// How the schedules go on from those of a shorter run; `None` for a run that has its first length.
    pub extension: Option<Box<Extension>>,
}

/// The values of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepValues {
    /// Learning rate.
    pub lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// The teacher's momentum.
    pub momentum: f64,
    /// The teacher's temperature.
    pub teacher_temp: f64,
    /// The teacher's temperature for masked patches.
    pub patch_temp: f64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// Whether the prototypes stay fixed.
    pub freeze_last_layer: bool,
    /// Whether the backbone stays fixed.
    pub freeze_backbone: bool,
}

impl Schedules {
    /// Schedules of a run of length `horizon`, for example that of a [`Plan`](crate::plan::Plan). The run
    /// may have been shorter before, which `optim.extended` says.
    pub fn new(config: &Config, horizon: Horizon) -> Self {
        let whole = |total_steps| Self::of_length(config, Horizon { total_steps, ..horizon });
        let extended = &config.optim.extended;
        let mut schedules =
            whole(extended.first().map_or(horizon.total_steps, |[_, length]| *length));
        for (i, &[at, _]) in extended.iter().enumerate() {
            let next = extended.get(i + 1).map_or(horizon.total_steps, |[_, length]| *length);
            let mut longer = whole(next);
            longer.extension = Some(Box::new(Extension::new(at, schedules, &longer)));
            schedules = longer;
        }
        schedules
    }

    fn of_length(config: &Config, horizon: Horizon) -> Self {
        let (optim, objective) = (&config.optim, &config.objective);
        let Horizon { total_steps, steps_per_epoch } = horizon;
        let cosine =
            |peak, end| WarmupCosine { start: 0.0, peak, end, warmup_steps: 0, total_steps };
        let warmup_steps = to_steps(optim.warmup_epochs, steps_per_epoch).min(total_steps);
        // A part of an epoch counts as a whole one, because temperatures change between epochs only.
        // Without the 1e-9, 3.0000000000000004 would become 4.
        let temp_epochs = (objective.teacher_temp_warmup_epochs - 1e-9).ceil().max(0.0) as u64;
        let ramp = |start, end, delay_epochs| EpochRamp {
            start,
            end,
            delay_epochs,
            warmup_epochs: temp_epochs,
        };
        let first_masks = config.masking.start_epoch;
        Self {
            lr: WarmupCosine { warmup_steps, ..cosine(optim.peak_lr(), optim.min_lr) },
            weight_decay: cosine(optim.weight_decay, optim.weight_decay_end),
            momentum: cosine(optim.teacher_momentum, optim.teacher_momentum_end),
            teacher_temp: ramp(objective.teacher_temp_start, objective.teacher_temp, 0),
            patch_temp: ramp(objective.patch_temp_start, objective.patch_temp, first_masks),
            frozen_steps: to_steps(optim.freeze_last_layer_epochs, steps_per_epoch),
            frozen_backbone_steps: to_steps(optim.freeze_backbone_epochs, steps_per_epoch),
            horizon,
            extension: None,
        }
    }

    /// The values at `step`, from 0.
    pub fn at(&self, step: u64) -> StepValues {
        let epoch = step / self.horizon.steps_per_epoch.max(1);
        let values = StepValues {
            lr: self.lr.at(step),
            weight_decay: self.weight_decay.at(step),
            momentum: self.momentum.at(step),
            teacher_temp: self.teacher_temp.at(epoch),
            patch_temp: self.patch_temp.at(epoch),
            epoch,
            freeze_last_layer: step < self.frozen_steps,
            freeze_backbone: step < self.frozen_backbone_steps,
        };
        self.extension.as_ref().map_or(values, |extension| extension.join(step, values))
    }
}
