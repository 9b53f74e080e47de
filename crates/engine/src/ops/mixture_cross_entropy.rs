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
//! with `cosᵢₖ = ⟨vₖ, yᵢ⟩ / ‖vₖ‖`. Which rows meet is said by [`Pairs`]: all other views of an image
//! for \[CLS\] tokens, the same token for masked patches. The vectors `b` (log-normalizer), its slope
//! and `c` (center) come from outside: this module knows no distribution.
//!
//! Forward walks once over tiles of prototypes with online log-sum-exps; backward walks once more and
//! recomputes the scores. Both divide the tiles among a fixed number of lanes, so memory is
//! O(rows × tile) and results do not depend on the number of threads.
//!
//! Source: the losses of DINO's `main_dino.py` and of Zhou et al., *iBOT*, arXiv:2111.07832; the logits
//! of Govindarajan et al., arXiv:2405.10939.

mod backward;
mod forward;
mod pairs;
pub mod sinkhorn;
mod tile;

#[cfg(test)]
mod tests;

pub use backward::{Gradients, backward};
pub use forward::forward;
pub use pairs::Pairs;

use crate::profile;
use crate::tensor::Tensor;

/// Prototypes of one network at one temperature.
#[derive(Debug, Clone, Copy)]
pub struct Prototypes<'a> {
    /// Signed lengths `g`, `[k]`.
    pub g: &'a [f32],
    /// Directions `v`, not normalized, `[k, r]`.
    pub v: &'a [f32],
    /// `b`, added to the scores after the division by the temperature, `[k]`.
    pub bias: &'a [f32],
    /// τ.
    pub temperature: f32,
}

/// What the two networks say about a batch.
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
    pub center: &'a [f32],
    /// Which rows are compared, and what a comparison weighs.
    pub pairs: Pairs<'a>,
}

impl Inputs<'_> {
    /// Measures so many products of all prototypes with the student's and the teacher's rows.
    fn timer(&self, name: &'static str, [student, teacher]: [usize; 2]) -> profile::Timer {
        let (rows, k) = (self.student_y.rows() * student, self.student.g.len());
        let products = (rows + self.teacher_y.rows() * teacher) * self.student_y.width();
        profile::time(name, 2 * products * k, self.student.v.len() * (student + teacher))
    }

    /// # Panics
    /// If extents do not fit: a caller's mistake.
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

/// What forward found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The loss, in nats.
    pub loss: f64,
    /// Mean entropy of the teacher's assignments, in nats.
    pub teacher_entropy: f64,
    /// The prototype each teacher row prefers.
    pub assigned: Vec<u32>,
}

/// The log-sum-exps that backward needs: one or two numbers for each row, one for each prototype.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    student_log_sums: Vec<f32>,   // of s, [student rows]
    teacher_log_sums: Vec<f32>,   // of z, [teacher rows]
    teacher_log_totals: Vec<f32>, // of u, [teacher rows]
}

impl Saved {
    /// Rows of the student and of the teacher.
    fn rows(&self) -> (usize, usize) {
        (self.student_log_sums.len(), self.teacher_log_sums.len())
    }
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
