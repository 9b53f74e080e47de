//! The objective of DINO, iBOT and their von Mises-Fisher forms, from bottleneck vectors to loss,
//! gradients and center. iBOT has two terms of this form, each with its center and temperature: \[CLS\]
//! tokens across views, and masked patches against the same patches as the teacher sees them.
//!
//! ```text
//! κₖ = |gₖ| / τ        bₖ(τ) = log C_r(κₖ) − log C_r(0)   (vmf; else 0)
//!
//! student   log P_s = log_softmax(l / τₛ + b(τₛ))
//! teacher   P_t = softmax((l + τₜ b − c) / τₜ)            centering of logits
//!           P_t = softmax(l / τₜ + b(τₜ) − c)             centering of probabilities, Sinkhorn
//! ```
//!
//! `l` are the raw scores of unit vectors and prototypes, `r` is the bottleneck's width. The
//! normalizer enters both networks, each with its own prototypes and temperature, after the division
//! by the temperature; its gradient reaches the student's norms, `∂b/∂g = −A_r(κ) sign(g) / τ`.
//!
//! Source: Caron et al., arXiv:2104.14294; Govindarajan et al., *DINO as a von Mises-Fisher mixture
//! model*, arXiv:2405.10939. The paper leaves open what the center of logits is a mean of for vMF;
//! here it is the mean of `l + τₜ b`.

mod center;

use engine::ops::mixture_cross_entropy::{self as mixture, Gradients, Inputs, Output, Prototypes};
use engine::{Params, Tensor};
use vmf::Normalizer;

pub use center::Center;
pub use engine::ops::mixture_cross_entropy::Pairs;

use crate::config;
use crate::config::{Centering, PrototypeNorm};
use vit::{Prototypes as Components, head};

/// The objective of a run: what its configuration says, ready to compute.
#[derive(Debug, Clone)]
pub struct Objective {
    normalizer: Option<Normalizer>,
    centering: Centering,
    sinkhorn_iterations: usize,
    student_temp: f64,
    gradient_through_normalizer: bool,
    /// Whether the norms of the prototypes are learned.
    pub learns_norms: bool,
}

/// Unit vectors of a micro-batch, and which of them are compared.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// `[student rows, r]`.
    pub student: &'a Tensor,
    /// `[teacher rows, r]`.
    pub teacher: &'a Tensor,
    /// Which rows are compared with which.
    pub pairs: Pairs<'a>,
}

/// Where the loss of a micro-batch adds.
#[derive(Debug)]
pub struct Sums<'a> {
    /// Gradients of the student's parameters.
    pub grads: &'a mut Params,
    /// The center's statistic of the teacher's scores.
    pub center: &'a mut Center,
}

/// Vectors over prototypes that depend on the weights and the center alone: computed once for a step.
#[derive(Debug, Clone)]
pub struct StepVectors {
    student_bias: Vec<f32>,
    student_slope: Vec<f32>, // ∂b/∂g
    teacher_bias: Vec<f32>,
    center: Tensor, // in units of l / τₜ + b
    teacher_temp: f64,
}

/// Largest and mean concentration of the student's prototypes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kappa {
    /// Mean of κ.
    pub mean: f64,
    /// Largest κ.
    pub max: f64,
}

impl Objective {
    /// The objective that a configuration describes, for a bottleneck of this width.
    pub fn new(settings: &config::Objective, bottleneck_dim: usize) -> Self {
        let terms = match settings.debye_terms() {
            config::DebyeTerms::Terms(count) => vmf::DebyeTerms::from_count(count.into()),
            config::DebyeTerms::Exact => None,
        };
        let terms = terms.unwrap_or(vmf::DebyeTerms::Exact);
        let vmf = settings.prototype_norm() == PrototypeNorm::Vmf;
        Self {
            normalizer: vmf.then(|| Normalizer::new(bottleneck_dim, terms)),
            centering: settings.centering(),
            sinkhorn_iterations: settings.sinkhorn_iterations,
            student_temp: settings.student_temp,
            gradient_through_normalizer: settings.gradient_through_normalizer,
            learns_norms: settings.prototype_norm() != PrototypeNorm::L2,
        }
    }

    /// A center before the first step.
    pub fn initial_center(&self, momentum: f64, prototypes: usize) -> Center {
        Center::new(self.centering, momentum, prototypes)
    }

    /// The vectors of a step.
    pub fn step_vectors(
        &self,
        networks: &Networks<'_>,
        center: &Center,
        teacher_temp: f64,
    ) -> StepVectors {
        let Networks { prototypes, student, teacher } = networks;
        let (student_bias, mut student_slope) =
            self.bias(&student.view(prototypes.g).on_host(), self.student_temp);
        let (teacher_bias, _) = self.bias(&teacher.view(prototypes.g).on_host(), teacher_temp);
        if !self.gradient_through_normalizer {
            student_slope.fill(0.0);
        }
        let center = center.in_units_of_scores(teacher_temp);
        StepVectors { student_bias, student_slope, teacher_bias, center, teacher_temp }
    }

    /// What is added to `l / τ` for prototypes of norms `g`, `[k]`: `b − c`, and `b` without a center.
    pub fn offsets(&self, g: &[f32], center: Option<&Center>, temperature: f64) -> Vec<f32> {
        let (mut offsets, _) = self.bias(g, temperature);
        if let Some(center) = center {
            let center = center.in_units_of_scores(temperature);
            offsets.iter_mut().zip(center.on_host().host()).for_each(|(offset, c)| *offset -= c);
        }
        offsets
    }

    /// `b` and `∂b/∂g`.
    fn bias(&self, g: &[f32], temperature: f64) -> (Vec<f32>, Vec<f32>) {
        let (mut bias, mut slope) = (vec![0.0; g.len()], vec![0.0; g.len()]);
        if let Some(normalizer) = &self.normalizer {
            let kappas: Vec<f64> = Components::kappas(g, temperature).collect();
            normalizer.fill(&kappas, &mut bias, &mut slope);
            for (slope, g) in slope.iter_mut().zip(g) {
                *slope *= (f64::from(g.signum()) / temperature) as f32;
            }
        }
        (bias, slope)
    }

    /// Mean and largest concentration of the student's prototypes, of norms `g`.
    pub fn kappa(&self, g: &[f32]) -> Kappa {
        // Divided by the temperature last: one rounding for all instead of one for each.
        let norms = || Components::kappas(g, 1.0);
        let mean = norms().sum::<f64>() / g.len().max(1) as f64;
        let max = norms().fold(0.0, f64::max);
        Kappa { mean: mean / self.student_temp, max: max / self.student_temp }
    }

    fn inputs<'a>(
        &self,
        networks: &Networks<'a>,
        compared: &Compared<'a>,
        vectors: &'a StepVectors,
    ) -> Inputs<'a> {
        let Networks { prototypes: place, student, teacher } = *networks;
        let prototypes = |params: &'a Params, bias, temperature: f64| Prototypes {
            g: params.view(place.g),
            v: params.view(place.v),
            bias,
            temperature: temperature as f32,
        };
        Inputs {
            student_y: compared.student,
            student: prototypes(student, &vectors.student_bias, self.student_temp),
            teacher_y: compared.teacher,
            teacher: prototypes(teacher, &vectors.teacher_bias, vectors.teacher_temp),
            center: &vectors.center,
            pairs: compared.pairs,
        }
    }

    /// The loss, and the gradient of `scale · loss` with respect to the student's unit vectors. Adds
    /// to the gradients of the prototypes and to the center's statistic. `None` for the gradient, and
    /// nothing added, if the loss is not finite.
    pub fn forward_backward(
        &self,
        networks: &Networks<'_>,
        compared: &Compared<'_>,
        vectors: &StepVectors,
        scale: f64,
        sums: Sums<'_>,
    ) -> (Output, Option<Tensor>) {
        let Sums { grads, center } = sums;
        let mut inputs = self.inputs(networks, compared, vectors);
        let balanced;
        if self.centering == Centering::Sinkhorn {
            let iterations = self.sinkhorn_iterations;
            balanced = mixture::sinkhorn_center(compared.teacher, &inputs.teacher, iterations);
            inputs.center = &balanced;
        }
        let (output, saved) = mixture::forward(&inputs);
        if !output.loss.is_finite() {
            return (output, None);
        }
        let head::Prototypes { g, v, .. } = networks.prototypes;
        let gradients = Gradients {
            grads,
            g: self.learns_norms.then_some(g),
            v,
            bias_slope: &vectors.student_slope,
            kind: center.kind(),
            statistic: center.statistic_for(compared.teacher.rows()),
        };
        let dy = mixture::backward(saved, &inputs, scale as f32, gradients);
        (output, Some(dy))
    }
}

/// The two networks whose prototypes are compared.
#[derive(Debug, Clone, Copy)]
pub struct Networks<'a> {
    /// Where the prototypes lie.
    pub prototypes: head::Prototypes,
    /// The student's weights.
    pub student: &'a Params,
    /// The teacher's.
    pub teacher: &'a Params,
}
