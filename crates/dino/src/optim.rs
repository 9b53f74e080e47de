//! One optimizer update over all tensors: clipping, freezing, AdamW, and the teacher's step.

use engine::ops::adamw::{self, AdamW, Moments};
use engine::ops::{ema, grad_norm};
use engine::{ParamTable, Params};

use crate::config;
use crate::schedule::StepValues;

/// What the optimizer carries from step to step.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    /// Running means of the gradients.
    pub first: Params,
    /// Running means of their squares.
    pub second: Params,
    /// Updates of each tensor so far: tensors that were frozen have fewer.
    pub updates: Vec<u64>,
}

impl OptimizerState {
    /// Before the first step.
    pub fn new(params: &Params) -> Self {
        let table = params.table();
        let zeros = || Params::zeros(table.clone());
        Self { first: zeros(), second: zeros(), updates: vec![0; table.entries().len()] }
    }
}

/// Whether weight decay applies: not to biases and one-dimensional tensors, and to the prototypes'
/// norms, which PyTorch stores as `[k, 1]`, only if asked.
pub fn is_decayed(name: &str, shape: &[usize], decay_norms: bool) -> bool {
    !(name.ends_with(".bias") || shape.len() == 1) && (decay_norms || !name.ends_with("weight_g"))
}

/// Norms of the gradients of all tensors, in the order of the table.
pub fn grad_norms(grads: &Params) -> Vec<f64> {
    let entries = grads.table().entries().iter();
    entries.map(|entry| grad_norm::norm(grads.get(entry.range))).collect()
}

/// Clips each tensor's gradient on its own and updates the weights.
///
/// `learns_norms` says whether the prototypes' norms are trained at all. In the frozen epochs the last
/// layer is neither stepped nor decayed, and its count of updates stands still: its bias correction
/// starts with its first real update, as in PyTorch.
pub fn update(
    settings: &config::Optim,
    values: &StepValues,
    learns_norms: bool,
    norms: &[f64],
    (params, grads, state): (&mut Params, &mut Params, &mut OptimizerState),
) {
    let table: std::sync::Arc<ParamTable> = params.table().clone();
    for (i, entry) in table.entries().iter().enumerate() {
        let frozen = values.freeze_last_layer && entry.name.contains("last_layer");
        if frozen || (!learns_norms && entry.name.ends_with("weight_g")) {
            continue;
        }
        if settings.clip_grad > 0.0 {
            grad_norm::clip(grads.get_mut(entry.range), norms[i], settings.clip_grad);
        }
        state.updates[i] += 1;
        let decayed = is_decayed(&entry.name, &entry.shape, settings.decay_norms);
        let adamw = AdamW {
            lr: values.lr,
            decay: if decayed { values.weight_decay } else { 0.0 },
            betas: (settings.betas[0], settings.betas[1]),
            eps: settings.eps,
            step: state.updates[i],
        };
        let moments = Moments {
            first: state.first.get_mut(entry.range),
            second: state.second.get_mut(entry.range),
        };
        adamw::update(&adamw, params.get_mut(entry.range), grads.get(entry.range), moments);
    }
}

/// Moves the teacher: one pass over the whole buffer, frozen norms included.
pub fn update_teacher(teacher: &mut Params, student: &Params, momentum: f64) {
    ema::update(teacher.all_mut(), student.all(), momentum);
}
