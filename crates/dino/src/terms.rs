//! A [`Term`] is one part of the loss. A method is a list of terms, and the loss of a step is their sum.
//!
//! ```text
//! loss = λ_cls · views + λ_patch · patches + λ_koleo · KoLeo of the prototypes
//! ```
//!
//! | term | compares | methods |
//! | --- | --- | --- |
//! | [`views`] | \[CLS\] tokens of different crops of an image | all |
//! | [`patches`] | masked patches with the same patches as the teacher sees them | iBOT, iBOT-vMF |
//! | [`koleo_prototypes`] | prototypes with their nearest neighbors | with `objective.lambda_koleo` |
//!
//! To add a term, write a file beside these and one line in [`of_method`]. The trainer calls each term in
//! this order:
//!
//! ```text
//! start_step                                      the weights and the schedules of the step
//! for each micro-batch     of_outputs             loss and gradients of the network's outputs
//! of_weights                                      loss and gradients of weights alone
//! end_step, or discard_step if the step is not taken
//! ```
//!
//! Terms are called in the order of the list, and each adds to the same sums, so the order is part of a
//! result's last bits.

pub mod koleo_prototypes;
pub mod mixture_loss;
pub mod patches;
pub mod views;

use std::fmt::Debug;

use engine::ops::tokens::scatter_add;
use engine::{Layout, Params, Tensor};
use report::Metrics;

use crate::config::Config;
use crate::monitor::observations::Observations;
use crate::objective::Objective;
use crate::schedule::StepValues;
use vit::{Head, Outputs};

use koleo_prototypes::KoleoPrototypes;
use patches::MaskedPatches;
use views::Views;

/// One part of the loss.
pub trait Term: Debug + Send + Sync {
    /// Its name in messages: `views`.
    fn name(&self) -> &'static str;

    /// A copy with its state.
    fn boxed_clone(&self) -> Box<dyn Term>;

    /// Computes once for a step what depends on the weights and the schedules alone.
    fn start_step(&mut self, _weights: Weights<'_>, _values: &StepValues) {}

    /// Adds the loss of a micro-batch and its metrics to `report`, and its gradients to `gradients`.
    ///
    /// # Errors
    /// If the loss is not finite. Nothing is added to `gradients` then.
    fn of_outputs(
        &mut self,
        _inputs: &Inputs<'_>,
        _gradients: &mut Gradients<'_>,
        _report: &mut TermReport<'_>,
    ) -> Result<(), NotFinite> {
        Ok(())
    }

    /// Adds the loss of the weights alone to `metrics` and its gradient to `grads`: once in a step.
    fn of_weights(&mut self, _weights: Weights<'_>, _grads: &mut Params, _metrics: &mut Metrics) {}

    /// Moves the state once the step is taken.
    fn end_step(&mut self, _values: &StepValues) {}

    /// Discards what the step added to the state, because the step is not taken.
    fn discard_step(&mut self) {}

    /// The state that a checkpoint stores, by the names of its tensors.
    fn state(&self) -> Vec<(&'static str, &Tensor)> {
        Vec::new()
    }

    /// Replaces one tensor of the [`state`](Self::state), from a checkpoint.
    ///
    /// # Panics
    /// If there is no such tensor, or it has another number of values.
    fn restore(&mut self, name: &str, _values: &[f32]) {
        panic!("term `{}` has no state `{name}`", self.name());
    }
}

impl Clone for Box<dyn Term> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}

/// A loss that is infinite or NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFinite;

/// The weights of both networks.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// The student's.
    pub student: &'a Params,
    /// The teacher's.
    pub teacher: &'a Params,
}

/// What a term reads of a micro-batch.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The weights of both networks.
    pub weights: Weights<'a>,
    /// The student's outputs.
    pub student: &'a Outputs,
    /// The teacher's outputs.
    pub teacher: &'a Outputs,
    /// Which patches of the global crops are hidden from the student, `[crop, image, patches]`; empty for
    /// methods that do not mask.
    pub masks: &'a [bool],
    /// Number of images.
    pub images: usize,
    /// Share of these images in those of the step. It multiplies every loss and gradient.
    pub share: f64,
}

/// Where a term adds its gradients.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Of the student's parameters.
    pub params: &'a mut Params,
    /// Of the student's outputs.
    pub outputs: &'a mut OutputGradients,
}

/// Gradients of the student's outputs: the sum over all terms.
#[derive(Debug, Default)]
pub struct OutputGradients {
    cls: Option<Tensor>,
    patches: Option<Tensor>,
}

impl OutputGradients {
    /// Adds to the gradient of the \[CLS\] tokens' vectors.
    pub fn add_cls(&mut self, dy: Tensor) {
        add(&mut self.cls, dy);
    }

    /// Adds to the gradient of the patches' vectors.
    pub fn add_patches(&mut self, dy: Tensor) {
        add(&mut self.patches, dy);
    }

    /// The gradients of these outputs; zeros where no term added any.
    pub fn of(self, outputs: &Outputs) -> Outputs {
        let zeros = |y: &Tensor| Tensor::zeros(y.shape()).to(&y.device());
        Outputs {
            cls: self.cls.unwrap_or_else(|| zeros(&outputs.cls)),
            patches: self.patches.unwrap_or_else(|| zeros(&outputs.patches)),
        }
    }
}

fn add(sum: &mut Option<Tensor>, dy: Tensor) {
    match sum {
        None => *sum = Some(dy),
        Some(sum) => scatter_add(&dy, &Layout::packed(&[(1, dy.rows())]), sum),
    }
}

/// Where a term reports the results of a micro-batch.
#[derive(Debug)]
pub struct TermReport<'a> {
    /// Scalar results.
    pub metrics: &'a mut Metrics,
    /// The teacher's outputs that are kept for measures of the whole batch.
    pub observations: &'a mut Observations,
}

/// The terms of a configuration's method.
pub fn of_method(config: &Config, head: &Head, objective: &Objective) -> Vec<Box<dyn Term>> {
    let settings = &config.objective;
    let mut terms: Vec<Box<dyn Term>> = vec![Box::new(Views::new(config, head, objective))];
    if settings.method.masks() {
        terms.push(Box::new(MaskedPatches::new(settings, head, objective)));
    }
    if settings.lambda_koleo != 0.0 {
        terms.push(Box::new(KoleoPrototypes::new(settings.lambda_koleo, head)));
    }
    terms
}
