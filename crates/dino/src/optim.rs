//! One optimizer update over all tensors: clipping, freezing, AdamW, and the teacher's step.

use engine::ops::adamw::{self, AdamW, Moments, Segment};
use engine::ops::{ema, grad_norm};
use engine::params::Entry;
use engine::{Params, Role};

use crate::config;
use crate::schedule::StepValues;

/// What the optimizer carries from step to step.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    /// Running means of the gradients.
    pub first: Params,
    /// Running means of their squares.
    pub second: Params,
    /// Updates of each parameter so far. Parameters that were frozen have fewer.
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

/// Whether weight decay applies. As in the reference, not to biases and one-dimensional tensors, and to
/// the prototypes' norms, which PyTorch stores as `[k, 1]`, only with `decay_norms`.
pub fn is_decayed(entry: &Entry, decay_norms: bool) -> bool {
    match entry.role {
        Role::Bias | Role::Norm | Role::LayerScale => false,
        Role::PrototypeNorm => decay_norms,
        // Weight and bias of the patch projection have one role.
        Role::Patch => entry.shape.len() > 1,
        Role::Weight | Role::Token | Role::MaskToken | Role::Positions | Role::Prototype => true,
    }
}

/// Norms of the gradients of all parameters, in the order of the table.
pub fn grad_norms(grads: &Params) -> Vec<f64> {
    grad_norm::norms(grads)
}

/// What an update needs beside weights and gradients.
#[derive(Debug)]
pub struct Update<'a> {
    /// The run's settings.
    pub settings: &'a config::Optim,
    /// The step's learning rate and weight decay.
    pub values: &'a StepValues,
    /// Whether the prototypes' norms are trained at all.
    pub learns_norms: bool,
    /// Norms of the gradients.
    pub norms: &'a [f64],
}

impl Update<'_> {
    /// Clips each parameter's gradient on its own and updates the weights.
    ///
    /// In the frozen epochs the prototypes are neither stepped nor decayed, and their count of updates
    /// stands still: their bias correction starts with their first real update, as in PyTorch. So it is with a
    /// frozen backbone.
    pub fn apply(&self, params: &mut Params, grads: &Params, state: &mut OptimizerState) {
        let Self { settings, values, .. } = *self;
        let table = params.table().clone();
        let (mut backbone, mut heads) = (Vec::new(), Vec::new());
        for (i, entry) in table.entries().iter().enumerate() {
            let is_backbone = entry.name.starts_with("backbone.");
            if self.is_frozen(entry.role) || is_backbone && values.freeze_backbone {
                continue;
            }
            let clips = settings.clip_grad > 0.0;
            let clip = || grad_norm::clip_factor(self.norms[i], settings.clip_grad);
            let decayed = is_decayed(entry, settings.decay_norms);
            state.updates[i] += 1;
            let segments = if is_backbone { &mut backbone } else { &mut heads };
            segments.push(Segment {
                param: entry.param,
                decay: if decayed { values.weight_decay } else { 0.0 },
                gradient_scale: if clips { clip() } else { 1.0 },
                step: state.updates[i],
            });
        }
        let betas = (settings.betas[0], settings.betas[1]);
        for (segments, lr) in [(backbone, values.lr * settings.backbone_lr), (heads, values.lr)] {
            let adamw = AdamW { lr, betas, eps: settings.eps };
            let moments = Moments { first: &mut state.first, second: &mut state.second };
            adamw::update(&adamw, &segments, params, grads, moments);
        }
    }

    fn is_frozen(&self, role: Role) -> bool {
        match role {
            Role::Prototype => self.values.freeze_last_layer,
            Role::PrototypeNorm => self.values.freeze_last_layer || !self.learns_norms,
            _ => false,
        }
    }
}

/// Moves the teacher: one pass over the whole buffer, frozen norms included.
pub fn update_teacher(teacher: &mut Params, student: &Params, momentum: f64) {
    ema::update(teacher, student, momentum);
}
