//! What of a run lies in a checkpoint, and how it comes back.
//!
//! | tensors | |
//! | --- | --- |
//! | `student.*`, `teacher.*` | weights under PyTorch's names, `student.backbone.cls_token` |
//! | `exp_avg.*`, `exp_avg_sq.*` | the moments of AdamW, under the same names |
//! | `center` | `[k]` |
//! | `center_patch` | `[k]`, for methods that mask |
//!
//! The position in the data and all schedules follow from the step; the number of updates of each
//! tensor lies in `state.json`, with the settings and images that the run belongs to.

use std::path::{Path, PathBuf};

use engine::Params;

use super::step::{State, Step};
use crate::checkpoint::{self, Loaded, Retention, Tensor};
use crate::error::{Error, Result};
use crate::eval::features::read_params;
use crate::objective::Center;
use crate::run_folder::{Images, sign};

/// Writes a checkpoint of the run in `run` and removes those that are no longer kept.
///
/// # Errors
/// If a value is not finite, which nothing could be computed with, or if it cannot be written.
pub(super) fn save(
    run: &Path,
    (step, images): (&Step, &Images),
    state: &State,
    retention: Retention,
) -> Result<PathBuf> {
    let tensors = tensors_of(state);
    require_finite(&tensors, state.step)?;
    let config = step.config.fingerprint();
    let mut record = checkpoint::State::new(state.step, step.config.seed, config);
    sign(&mut record, &step.config, images);
    let entries = state.student.table().entries().iter();
    record.optimizer_steps = entries
        .zip(&state.optimizer.updates)
        .map(|(entry, &updates)| (entry.name.clone(), updates))
        .collect();
    Ok(checkpoint::save(run, &tensors, &record, retention)?)
}

fn tensors_of(state: &State) -> Vec<Tensor<'_>> {
    let mut tensors = Vec::new();
    let buffers = [
        ("student.", &state.student),
        ("teacher.", &state.teacher),
        ("exp_avg.", &state.optimizer.first),
        ("exp_avg_sq.", &state.optimizer.second),
    ];
    for (prefix, params) in buffers {
        tensors.extend(params.table().entries().iter().map(|entry| Tensor {
            name: format!("{prefix}{}", entry.name),
            shape: entry.shape.clone(),
            values: params.view(entry.param).host(),
        }));
    }
    let centers = [("center", Some(&state.center)), ("center_patch", state.patch_center.as_ref())];
    for (name, center) in centers {
        tensors.extend(center.map(|center| Tensor {
            name: name.to_owned(),
            shape: vec![center.values().len()],
            values: center.values().host(),
        }));
    }
    tensors
}

fn require_finite(tensors: &[Tensor<'_>], step: u64) -> Result<()> {
    for tensor in tensors {
        if let Some(&value) = tensor.values.iter().find(|value| !value.is_finite()) {
            return Err(Error::NotFinite { name: tensor.name.clone(), value, step });
        }
    }
    Ok(())
}

/// The state that a checkpoint holds.
pub(super) fn restore(step: &Step, loaded: &Loaded) -> Result<State> {
    let mut state = step.state_from(Params::zeros(step.network.table().clone()));
    state.step = loaded.state.step;
    let tensors = &loaded.tensors;
    read_params(tensors, "student.", &mut state.student)?;
    read_params(tensors, "teacher.", &mut state.teacher)?;
    read_params(tensors, "exp_avg.", &mut state.optimizer.first)?;
    read_params(tensors, "exp_avg_sq.", &mut state.optimizer.second)?;
    let read = |name: &str, center: &mut Center| -> Result<()> {
        center.set_values(&tensors.get(name, &[center.values().len()])?);
        Ok(())
    };
    read("center", &mut state.center)?;
    if let Some(center) = &mut state.patch_center {
        read("center_patch", center)?;
    }
    let entries = step.network.table().entries().iter();
    for (entry, updates) in entries.zip(&mut state.optimizer.updates) {
        *updates = loaded.state.optimizer_steps.get(&entry.name).copied().unwrap_or(0);
    }
    Ok(state)
}
