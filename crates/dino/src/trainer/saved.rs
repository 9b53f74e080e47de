//! The state of a run goes into a checkpoint, and comes back from it.
//!
//! `checkpoint/contents.rs` lists the tensors. `state.json` has the number of updates of each tensor, and
//! the settings and images that the run belongs to. The position in the data and all schedules follow from
//! the step.

use std::path::{Path, PathBuf};

use engine::Params;

use super::step::{State, Training};
use crate::checkpoint::{self, Loaded, ParamSet, Retention, Tensor};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::monitor::remedy;
use crate::run_folder::{Images, sign};

/// Writes a checkpoint of the run in `run` and removes those that are no longer kept.
///
/// # Errors
/// If a value is not finite, which nothing could be computed with, or if it cannot be written.
pub(super) fn save(
    run: &Path,
    (training, images): (&Training, &Images),
    state: &State,
    retention: Retention,
) -> Result<PathBuf> {
    let tensors = tensors_of(state);
    require_finite(&tensors, state.step, &training.config)?;
    let config = training.config.fingerprint();
    let mut record = checkpoint::State::new(state.step, training.config.seed, config);
    sign(&mut record, &training.config, images);
    let entries = state.student.table().entries().iter();
    record.optimizer_steps = entries
        .zip(&state.optimizer.updates)
        .map(|(entry, &updates)| (entry.name.clone(), updates))
        .collect();
    Ok(checkpoint::save(run, &tensors, &record, retention)?)
}

fn tensors_of(state: &State) -> Vec<Tensor<'_>> {
    let sets = [
        (ParamSet::Student, &state.student),
        (ParamSet::Teacher, &state.teacher),
        (ParamSet::FirstMoment, &state.optimizer.first),
        (ParamSet::SecondMoment, &state.optimizer.second),
    ];
    let mut tensors: Vec<_> = sets.iter().flat_map(|(set, params)| set.tensors(params)).collect();
    let states = state.terms.iter().flat_map(|term| term.state());
    tensors.extend(states.map(|(name, values)| Tensor {
        name: name.to_owned(),
        shape: values.shape().to_vec(),
        values: values.host(),
    }));
    tensors
}

fn require_finite(tensors: &[Tensor<'_>], step: u64, config: &Config) -> Result<()> {
    for tensor in tensors {
        if let Some(&value) = tensor.values.iter().find(|value| !value.is_finite()) {
            let (name, remedy) = (tensor.name.clone(), remedy::of_divergence(config));
            return Err(Error::NotFinite { name, value, step, remedy });
        }
    }
    Ok(())
}

/// The state that a checkpoint holds.
pub(super) fn restore(training: &Training, loaded: &Loaded) -> Result<State> {
    let mut state = training.state_from(Params::zeros(training.network.table().clone()));
    state.step = loaded.state.step;
    let tensors = &loaded.tensors;
    ParamSet::Student.read(tensors, &mut state.student)?;
    ParamSet::Teacher.read(tensors, &mut state.teacher)?;
    ParamSet::FirstMoment.read(tensors, &mut state.optimizer.first)?;
    ParamSet::SecondMoment.read(tensors, &mut state.optimizer.second)?;
    for term in &mut state.terms {
        let states = term.state().into_iter().map(|(name, values)| (name, values.shape().to_vec()));
        for (name, shape) in states.collect::<Vec<_>>() {
            term.restore(name, &tensors.get(name, &shape)?);
        }
    }
    let entries = training.network.table().entries().iter();
    for (entry, updates) in entries.zip(&mut state.optimizer.updates) {
        *updates = loaded.state.optimizer_steps.get(&entry.name).copied().unwrap_or(0);
    }
    Ok(state)
}
