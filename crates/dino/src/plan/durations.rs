//! The length of a run, and durations that must not outlast it.

use crate::config::{self, Config, Horizon, Warning, to_steps, total_steps};
use crate::error::{Error, Result};

/// A duration in epochs, and whether it is an error if a person set it longer than the run.
struct Duration {
    key: &'static str,
    is_strict: bool,
    field: fn(&mut Config) -> &mut f64,
}

const DURATIONS: [Duration; 4] = [
    Duration {
        key: "optim.warmup_epochs",
        is_strict: true,
        field: |config| &mut config.optim.warmup_epochs,
    },
    Duration {
        key: "objective.teacher_temp_warmup_epochs",
        is_strict: true,
        field: |config| &mut config.objective.teacher_temp_warmup_epochs,
    },
    Duration {
        key: "optim.freeze_last_layer_epochs",
        is_strict: false,
        field: |config| &mut config.optim.freeze_last_layer_epochs,
    },
    Duration {
        key: "optim.freeze_backbone_epochs",
        is_strict: false,
        field: |config| &mut config.optim.freeze_backbone_epochs,
    },
];

/// The settings with durations that fit a run over `images` images, and the length of that run.
///
/// A duration of a preset (or of the defaults) that is longer than the run shrinks, with a warning, to the
/// part of the run that it was of the preset's own; so does the time before the first mask.
///
/// # Errors
/// Fewer images than `optim.batch_size`; a duration that a person set and that is longer than the run.
pub(super) fn fit(mut config: Config, images: usize) -> Result<(Config, Horizon, Vec<Warning>)> {
    let horizon = config.optim.horizon(images).ok_or_else(|| Error::TooFewImages {
        data: config.data.source.clone(),
        images,
        batch_size: config.optim.batch_size,
    })?;
    let mut warnings = Vec::new();
    for duration in &DURATIONS {
        warnings.extend(fit_duration(&mut config, duration, horizon)?);
    }
    warnings.extend(fit_first_mask(&mut config, horizon)?);
    Ok((config, horizon, warnings))
}

fn fit_duration(
    config: &mut Config,
    duration: &Duration,
    horizon: Horizon,
) -> Result<Option<Warning>> {
    let Horizon { total_steps, steps_per_epoch } = horizon;
    let key = duration.key;
    let by_hand = config.origin(key).by_hand();
    let epochs = *(duration.field)(config);
    let steps = to_steps(epochs, steps_per_epoch);
    if steps <= total_steps || (by_hand && !duration.is_strict) {
        return Ok(None);
    }
    if by_hand {
        return Err(too_long(config, key, epochs, steps, horizon));
    }
    let part = (steps as f64 / preset_steps(config, steps_per_epoch) as f64).min(1.0);
    let fitted_steps = (part * total_steps as f64).round();
    *(duration.field)(config) = fitted_steps / steps_per_epoch as f64;
    Ok(Some(format!(
        "`{key}` shortened from {steps} to {fitted_steps} steps, because the run has only {total_steps}"
    )))
}

/// Without it, a run that ends before its first mask would be iBOT in name only.
fn fit_first_mask(config: &mut Config, horizon: Horizon) -> Result<Option<Warning>> {
    let (key, epoch) = ("masking.start_epoch", config.masking.start_epoch);
    let Horizon { total_steps, steps_per_epoch } = horizon;
    let first_step = epoch.saturating_mul(steps_per_epoch);
    if !config.objective.method.masks() || first_step < total_steps {
        return Ok(None);
    }
    if config.origin(key).by_hand() {
        return Err(too_long(config, key, epoch as f64, first_step, horizon));
    }
    let part = first_step as f64 / preset_steps(config, steps_per_epoch) as f64;
    let fitted = (part.min(1.0) * total_steps as f64) as u64 / steps_per_epoch;
    config.masking.start_epoch = fitted;
    Ok(Some(format!(
        "`{key}` moved from {epoch} to {fitted}, because the run has only {total_steps} steps"
    )))
}

/// Steps of the preset's own run.
fn preset_steps(config: &Config, steps_per_epoch: u64) -> u64 {
    let (epochs, steps) = config.preset_length();
    total_steps(epochs, steps, steps_per_epoch)
}

fn too_long(config: &Config, key: &str, epochs: f64, steps: u64, horizon: Horizon) -> Error {
    let (origin, total_steps) = (config.origin(key), horizon.total_steps);
    let (key, warmup_steps) = (key.to_owned(), steps);
    config::Error::WarmupTooLong { key, origin, epochs, warmup_steps, total_steps }.into()
}
