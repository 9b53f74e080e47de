//! The objective of DINO, iBOT and their von Mises-Fisher forms, from bottleneck vectors to loss,
//! gradients and center. iBOT has two terms of this form, \[CLS\] tokens across views and masked
//! patches against the same patches as the teacher sees them, each with its center and temperature.
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

use engine::ops::mixture_cross_entropy::{
    self as mixture, Gradients, Inputs, Outcome, Prototypes, sinkhorn,
};
use engine::{Params, Tensor};
use vmf::Normalizer;

pub use center::Center;
pub use engine::ops::mixture_cross_entropy::Pairs;

use crate::config;
use crate::config::{Centering, PrototypeNorm};
use crate::model::head;

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

/// Unit vectors of a batch, and which of them are compared.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// `[student rows, r]`.
    pub student: &'a Tensor,
    /// `[teacher rows, r]`.
    pub teacher: &'a Tensor,
    /// Who is compared with whom.
    pub pairs: Pairs<'a>,
}

/// What depends on the weights alone and is computed once for a step: vectors over prototypes.
#[derive(Debug)]
pub struct Terms {
    student_bias: Vec<f32>,
    student_slope: Vec<f32>, // ∂b/∂g
    teacher_bias: Vec<f32>,
    center: Vec<f32>, // in units of l / τₜ + b
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
    pub fn terms(&self, networks: &Networks<'_>, center: &Center, teacher_temp: f64) -> Terms {
        let Networks { prototypes, student, teacher } = networks;
        let (student_bias, mut student_slope) =
            self.bias(student.get(prototypes.g), self.student_temp);
        let (teacher_bias, _) = self.bias(teacher.get(prototypes.g), teacher_temp);
        if !self.gradient_through_normalizer {
            student_slope.fill(0.0);
        }
        let center = center.in_units_of_scores(teacher_temp);
        Terms { student_bias, student_slope, teacher_bias, center, teacher_temp }
    }

    /// What is added to `l / τ` for prototypes of norms `g`, `[k]`: `b − c`, and `b` without a center.
    pub fn offsets(&self, g: &[f32], center: Option<&Center>, temperature: f64) -> Vec<f32> {
        let (mut offsets, _) = self.bias(g, temperature);
        if let Some(center) = center {
            let center = center.in_units_of_scores(temperature);
            offsets.iter_mut().zip(&center).for_each(|(offset, c)| *offset -= c);
        }
        offsets
    }

    /// `b` and `∂b/∂g`.
    fn bias(&self, g: &[f32], temperature: f64) -> (Vec<f32>, Vec<f32>) {
        let (mut bias, mut slope) = (vec![0.0; g.len()], vec![0.0; g.len()]);
        if let Some(normalizer) = &self.normalizer {
            let kappas: Vec<f64> = g.iter().map(|&g| f64::from(g).abs() / temperature).collect();
            normalizer.fill(&kappas, &mut bias, &mut slope);
            for (slope, g) in slope.iter_mut().zip(g) {
                *slope *= (f64::from(g.signum()) / temperature) as f32;
            }
        }
        (bias, slope)
    }

    /// Concentrations of prototypes of norms `g`.
    pub fn kappa(&self, g: &[f32]) -> Kappa {
        let sum: f64 = g.iter().map(|g| f64::from(g.abs())).sum();
        let max = g.iter().fold(0.0f64, |max, g| max.max(f64::from(g.abs())));
        let mean = sum / g.len().max(1) as f64;
        Kappa { mean: mean / self.student_temp, max: max / self.student_temp }
    }

    fn inputs<'a>(&self, networks: &Networks<'a>, rows: &Rows<'a>, terms: &'a Terms) -> Inputs<'a> {
        let Networks { prototypes: place, student, teacher } = *networks;
        let prototypes = |params: &'a Params, bias, temperature: f64| Prototypes {
            g: params.get(place.g),
            v: params.get(place.v),
            bias,
            temperature: temperature as f32,
        };
        Inputs {
            student_y: rows.student,
            student: prototypes(student, &terms.student_bias, self.student_temp),
            teacher_y: rows.teacher,
            teacher: prototypes(teacher, &terms.teacher_bias, terms.teacher_temp),
            center: &terms.center,
            pairs: rows.pairs,
        }
    }

    /// The loss, and the gradient of `scale · loss` with respect to the student's unit vectors. Adds
    /// to the gradients of the prototypes and to what the center has seen. `None` for the gradient,
    /// and nothing added, where the loss is not finite.
    pub fn forward_backward(
        &self,
        networks: &Networks<'_>,
        rows: &Rows<'_>,
        terms: &Terms,
        scale: f64,
        (grads, center): (&mut Params, &mut Center),
    ) -> (Outcome, Option<Tensor>) {
        let mut inputs = self.inputs(networks, rows, terms);
        let balanced;
        if self.centering == Centering::Sinkhorn {
            balanced = sinkhorn::center(rows.teacher, &inputs.teacher, self.sinkhorn_iterations);
            inputs.center = &balanced;
        }
        let (outcome, saved) = mixture::forward(&inputs);
        if !outcome.loss.is_finite() {
            return (outcome, None);
        }
        let (g, v) = grads.pair_mut(networks.prototypes.g, networks.prototypes.v);
        let statistic = center.statistic();
        let gradients = Gradients {
            g: self.learns_norms.then_some(g),
            v,
            bias_slope: &terms.student_slope,
            statistic: center.see(rows.teacher.rows()),
        };
        let dy = mixture::backward(saved, &inputs, scale as f32, statistic, gradients);
        (outcome, Some(dy))
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
