//! The cross-entropy between teacher's and student's assignments to one set of prototypes, with the center
//! of the teacher's scores. The terms of \[CLS\] tokens and of patches each have one.
//!
//! The formulas: [`crate::objective`], [`engine::ops::mixture_cross_entropy`].

use engine::ops::mixture_cross_entropy::Output;
use engine::{Params, Tensor};

use super::{Inputs, NotFinite, Weights};
use crate::objective::{Center, Compared, Networks, Objective, StepVectors, Sums};
use vit::head::Prototypes;

/// A loss over one set of prototypes.
#[derive(Debug, Clone)]
pub(super) struct MixtureLoss {
    /// Multiplies the loss.
    pub(super) lambda: f64,
    /// The center of the teacher's scores.
    pub(super) center: Center,
    prototypes: Prototypes,
    objective: Objective,
    vectors: Option<StepVectors>, // of the step that goes on
}

impl MixtureLoss {
    pub(super) fn new(
        objective: &Objective,
        prototypes: Prototypes,
        lambda: f64,
        center_momentum: f64,
    ) -> Self {
        let center = objective.initial_center(center_momentum, prototypes.count);
        Self { lambda, center, prototypes, objective: objective.clone(), vectors: None }
    }

    /// Computes the normalizers and the center in units of scores, for a step.
    pub(super) fn start_step(&mut self, weights: Weights<'_>, teacher_temp: f64) {
        let networks = self.networks(weights);
        self.vectors = Some(self.objective.step_vectors(&networks, &self.center, teacher_temp));
    }

    /// The loss without λ, and its gradient with λ and the share of the images. Adds to the gradients of
    /// the prototypes and to the center's statistic.
    pub(super) fn forward_backward(
        &mut self,
        compared: &Compared<'_>,
        inputs: &Inputs<'_>,
        grads: &mut Params,
    ) -> (Output, Result<Tensor, NotFinite>) {
        let (networks, scale) = (self.networks(inputs.weights), inputs.share * self.lambda);
        let Self { objective, center, vectors, .. } = self;
        let vectors = vectors.as_ref().expect("`start_step` comes before the micro-batches");
        let sums = Sums { grads, center };
        let (output, dy) = objective.forward_backward(&networks, compared, vectors, scale, sums);
        (output, dy.ok_or(NotFinite))
    }

    fn networks<'a>(&self, weights: Weights<'a>) -> Networks<'a> {
        let Weights { student, teacher } = weights;
        Networks { prototypes: self.prototypes, student, teacher }
    }
}
