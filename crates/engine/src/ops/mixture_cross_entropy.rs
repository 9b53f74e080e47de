//! Cross-entropy between teacher and student assignments to prototypes, without ever holding a
//! `[rows, k]` matrix.
//!
//! ```text
//! lᵢₖ = gₖ ⟨vₖ, yᵢ⟩ / ‖vₖ‖                                     raw scores
//! sᵢₖ = lᵢₖ / τₛ + bₖ                P_s = softmax(s)              student
//! uⱼₖ = lⱼₖ / τₜ + bₖ,  zⱼₖ = uⱼₖ − cₖ,  P_t = softmax(z)              teacher, own g, v, b
//!
//! loss = Σᵢ wᵢ Σ_{j ∈ targets(i)} (− Σₖ P_t[j, k] log P_s[i, k])
//!
//! ∂loss/∂sᵢₖ = wᵢ · (n P_s[i, k] − Σ_{j ∈ targets(i)} P_t[j, k]),   n = number of targets
//! dgₖ += Σᵢ dsᵢₖ (cosᵢₖ / τₛ + ∂bₖ/∂gₖ)
//! dvₖ += gₖ / (τₛ ‖vₖ‖) · Σᵢ dsᵢₖ (yᵢ − cosᵢₖ vₖ / ‖vₖ‖)
//! dyᵢ  = Σₖ dsᵢₖ gₖ / (τₛ ‖vₖ‖) · vₖ
//! ```
//!
//! with `cosᵢₖ = ⟨vₖ, yᵢ⟩ / ‖vₖ‖`. [`Pairs`] says which rows are compared: all other views of an image
//! for \[CLS\] tokens, the same token for masked patches. The vectors `b` (log-normalizer), its slope
//! and `c` (center) are arguments: this module knows no distribution.
//!
//! Forward goes once over tiles of prototypes with online log-sum-exps. Backward goes over them again,
//! recomputes the scores, and also sums the [`Statistic`] of the teacher's scores, which the next center
//! is made of: both need the scores with the log-sum-exps known. A fixed number of lanes shares the
//! tiles, so memory is O(rows × tile) and results do not depend on the number of threads.
//!
//! Source: the losses of DINO's `main_dino.py` and of Zhou et al., *iBOT*, arXiv:2111.07832; the logits
//! of Govindarajan et al., arXiv:2405.10939.

mod cpu;
mod pairs;

use std::borrow::Cow;

pub use pairs::Pairs;

use crate::params::{Param, Params};
use crate::profile;
use crate::tensor::{Tensor, View};

/// Prototypes of one network at one temperature.
#[derive(Debug, Clone, Copy)]
pub struct Prototypes<'a> {
    /// Signed norms `g`, `[k]` or `[k, 1]`.
    pub g: View<'a>,
    /// Directions `v`, not normalized, `[k, r]`.
    pub v: View<'a>,
    /// `b`, added to the scores after the division by the temperature, `[k]`.
    pub bias: &'a [f32],
    /// τ.
    pub temperature: f32,
}

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Student's unit vectors, `[rows, r]`.
    pub student_y: &'a Tensor,
    /// Student's prototypes.
    pub student: Prototypes<'a>,
    /// Teacher's unit vectors, `[teacher rows, r]`.
    pub teacher_y: &'a Tensor,
    /// Teacher's prototypes.
    pub teacher: Prototypes<'a>,
    /// `c`, in units of `u`, `[k]`.
    pub center: &'a Tensor,
    /// Which rows are compared, and what a comparison weighs.
    pub pairs: Pairs<'a>,
}

impl Inputs<'_> {
    /// Measures matmuls of all prototypes: `student` with the student's rows, `teacher` with the teacher's.
    fn timer(&self, name: &'static str, [student, teacher]: [usize; 2]) -> profile::Timer {
        let (rows, k) = (self.student_y.rows() * student, self.student.g.len());
        let products = (rows + self.teacher_y.rows() * teacher) * self.student_y.width();
        profile::time(name, 2 * products * k, self.student.v.len() * (student + teacher))
    }

    /// # Panics
    /// If shapes do not fit: a caller's mistake.
    fn check(&self) {
        let (k, r) = (self.student.g.len(), self.student_y.width());
        assert_eq!(self.teacher_y.width(), r, "bottleneck widths of student and teacher");
        for prototypes in [&self.student, &self.teacher] {
            assert_eq!(prototypes.v.len(), k * r, "prototype directions");
            assert_eq!((prototypes.g.len(), prototypes.bias.len()), (k, k), "prototype vectors");
        }
        assert_eq!(self.center.len(), k, "center");
        self.pairs.check(self.student_y.rows(), self.teacher_y.rows());
    }
}

/// The results of forward.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The loss, in nats.
    pub loss: f64,
    /// Mean entropy of the teacher's assignments, in nats.
    pub teacher_entropy: f64,
    /// The prototype that each teacher row prefers.
    pub assigned: Vec<u32>,
}

/// The log-sum-exps that backward needs: one or two values for each row.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    student_log_sums: Vec<f32>,   // of s, [student rows]
    teacher_log_sums: Vec<f32>,   // of z, [teacher rows]
    teacher_log_totals: Vec<f32>, // of u, [teacher rows]
}

/// Which statistic of the teacher's scores the center is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// `Σⱼ uⱼₖ`, for centering logits.
    SumOfScores,
    /// `log Σⱼ softmax(uⱼ)ₖ`, for centering probabilities, entirely in log space.
    LogSumOfProbs,
}

impl Statistic {
    /// The value over no rows.
    pub fn empty(self) -> f32 {
        match self {
            Self::SumOfScores => 0.0,
            Self::LogSumOfProbs => f32::NEG_INFINITY,
        }
    }
}

/// Where backward adds.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Gradients of the student's parameters.
    pub grads: &'a mut Params,
    /// The student's `g` among them; none if `g` is frozen.
    pub g: Option<Param>,
    /// The student's `v`.
    pub v: Param,
    /// `∂bₖ/∂gₖ` of the student, `[k]`.
    pub bias_slope: &'a [f32],
    /// Which statistic of the teacher's scores is summed.
    pub kind: Statistic,
    /// That statistic over all rows so far, `[k]`: starts at [`Statistic::empty`].
    pub statistic: &'a mut Tensor,
}

/// The loss, and what backward needs.
pub fn forward(inputs: &Inputs<'_>) -> (Output, Saved) {
    inputs.check();
    let _timer = inputs.timer("objective", [1, 1]);
    OnHost::of(inputs).run(cpu::forward)
}

/// The gradient of `scale · loss` with respect to the student's unit vectors; adds to the gradients of
/// the prototypes and to the statistic.
pub fn backward(saved: Saved, inputs: &Inputs<'_>, scale: f32, gradients: Gradients<'_>) -> Tensor {
    inputs.check();
    let _timer = inputs.timer("objective, backward", [3, 1]);
    let rows = (saved.student_log_sums.len(), saved.teacher_log_sums.len());
    assert_eq!(rows, (inputs.student_y.rows(), inputs.teacher_y.rows()), "rows of forward");
    let Gradients { grads, g, v, bias_slope, kind, statistic } = gradients;
    let k = inputs.student.g.len();
    assert_eq!((bias_slope.len(), statistic.len()), (k, k), "vectors over prototypes");
    let dy = OnHost::of(inputs).run(|inputs| {
        let walk = cpu::Backward { inputs, saved: &saved, scale, bias_slope, kind };
        statistic.on_host_mut(|statistic| {
            grads.on_host_mut(|grads| {
                let (dg, dv) = views(grads, g, v);
                walk.run(dg, dv, statistic.host_mut())
            })
        })
    });
    dy.to(&inputs.student_y.device())
}

/// The gradients of `g`, if it is trained, and of `v`.
fn views(grads: &mut Params, g: Option<Param>, v: Param) -> (Option<&mut [f32]>, &mut [f32]) {
    match g {
        None => (None, grads.view_mut(v).into_host_mut()),
        Some(g) => {
            let [g, v] = grads.views_mut([g, v]);
            (Some(g.into_host_mut()), v.into_host_mut())
        }
    }
}

/// A center that gives every prototype the same share of the teacher's rows, `[k]`: Sinkhorn's
/// iteration, `iterations` times.
///
/// ```text
/// f_j ← 0
/// repeat   c_k ← log Σ_j exp(u_jk − f_j)      every prototype has a mass of 1 over the rows
///          f_j ← log Σ_k exp(u_jk − c_k)      every row has a mass of 1 over the prototypes
/// P_t[j, k] = exp(u_jk − c_k − f_j) = softmax_k(u_j − c)
/// ```
///
/// The iteration of Sinkhorn and Knopp, in log space. It ends with the rows, so its result is a softmax
/// with a center `c` that comes from the batch itself. Everything that takes a center can use it.
///
/// Source: Cuturi, *Sinkhorn distances*, NeurIPS 2013; on prototypes: Caron et al., *SwAV*,
/// arXiv:2006.09882.
pub fn sinkhorn_center(y: &Tensor, teacher: &Prototypes<'_>, iterations: usize) -> Tensor {
    let (g, v) = (teacher.g.on_host(), teacher.v.on_host());
    let teacher = cpu::Prototypes::new(teacher, &g, &v);
    cpu::sinkhorn::center(&y.on_host(), &teacher, iterations).to(&y.device())
}

/// Raw scores `l` of unit vectors `y`, `[rows, k]`: the whole matrix, for inspection and tests.
pub fn scores(y: &Tensor, g: View<'_>, v: View<'_>) -> Tensor {
    assert_eq!(v.len(), g.len() * y.width(), "prototype directions");
    cpu::scores(&y.on_host(), &g.on_host(), &v.on_host()).to(&y.device())
}

/// The inputs in host memory.
struct OnHost<'a> {
    inputs: &'a Inputs<'a>,
    ys: [Cow<'a, Tensor>; 2],
    center: Cow<'a, Tensor>,
    student: [Cow<'a, [f32]>; 2], // g, v
    teacher: [Cow<'a, [f32]>; 2],
}

impl<'a> OnHost<'a> {
    fn of(inputs: &'a Inputs<'a>) -> Self {
        let prototypes = |p: &Prototypes<'a>| [p.g.on_host(), p.v.on_host()];
        Self {
            inputs,
            ys: [inputs.student_y.on_host(), inputs.teacher_y.on_host()],
            center: inputs.center.on_host(),
            student: prototypes(&inputs.student),
            teacher: prototypes(&inputs.teacher),
        }
    }

    fn run<R>(&self, f: impl FnOnce(&cpu::Inputs<'_>) -> R) -> R {
        let [student_g, student_v] = &self.student;
        let [teacher_g, teacher_v] = &self.teacher;
        f(&cpu::Inputs {
            student_y: &self.ys[0],
            student: cpu::Prototypes::new(&self.inputs.student, student_g, student_v),
            teacher_y: &self.ys[1],
            teacher: cpu::Prototypes::new(&self.inputs.teacher, teacher_g, teacher_v),
            center: self.center.host(),
            pairs: self.inputs.pairs,
        })
    }
}

#[cfg(test)]
mod tests;
