//! Cross-entropy between teacher and student assignments to prototypes, without ever holding a
//! `[rows, k]` matrix.
//!
//! ```text
//! lᵢₖ = gₖ ⟨vₖ, yᵢ⟩ / ‖vₖ‖                                     raw scores
//! sᵢₖ = lᵢₖ / τₛ + bₖ                P_s = softmax(s)              student
//! uⱼₖ = lⱼₖ / τₜ + bₖ,  zⱼₖ = uⱼₖ − cₖ,  P_t = softmax(z)              teacher, own g, v, b
//!
//! loss = 1 / (B Q (V − 1)) · Σ_{b, q, v ≠ q} (− Σₖ P_t[q b, k] log P_s[v b, k])
//!
//! ∂loss/∂sᵢₖ = weight · (n P_s[i, k] − Σ_{q ≠ v} P_t[q b, k]),   n = targets of row i
//! dgₖ += Σᵢ dsᵢₖ (cosᵢₖ / τₛ + ∂bₖ/∂gₖ)
//! dvₖ += gₖ / (τₛ ‖vₖ‖) · Σᵢ dsᵢₖ (yᵢ − cosᵢₖ vₖ / ‖vₖ‖)
//! dyᵢ  = Σₖ dsᵢₖ gₖ / (τₛ ‖vₖ‖) · vₖ
//! ```
//!
//! with `cosᵢₖ = ⟨vₖ, yᵢ⟩ / ‖vₖ‖`. Student rows are `V` crops × `B` images, crop-major; teacher rows
//! are the first `Q` of these crops. The vectors `b` (log-normalizer), its slope and `c` (center) come
//! from outside: this module knows no distribution.
//!
//! Forward walks once over tiles of prototypes with online log-sum-exps; backward walks once more and
//! recomputes the scores. Both divide the tiles among a fixed number of lanes, so memory is
//! O(rows × tile) and results do not depend on the number of threads.
//!
//! Source: the loss of DINO's `main_dino.py`; the logits of Govindarajan et al., arXiv:2405.10939.

mod backward;
mod forward;
mod tile;

#[cfg(test)]
mod tests;

pub use backward::{Gradients, backward};
pub use forward::forward;

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
    /// Student's unit vectors, `[V · B, r]`, crop-major.
    pub student_y: &'a Tensor,
    /// Student's prototypes.
    pub student: Prototypes<'a>,
    /// Teacher's unit vectors, `[Q · B, r]`: the first `Q` crops.
    pub teacher_y: &'a Tensor,
    /// Teacher's prototypes.
    pub teacher: Prototypes<'a>,
    /// `c`, in units of `u`, `[k]`.
    pub center: &'a [f32],
    /// `Q`.
    pub teacher_crops: usize,
    /// `V`.
    pub student_crops: usize,
}

impl Inputs<'_> {
    fn images(&self) -> usize {
        self.teacher_y.rows() / self.teacher_crops
    }

    /// `1 / (B Q (V − 1))`.
    fn weight(&self) -> f64 {
        let pairs = self.teacher_crops * (self.student_crops - 1) * self.images();
        1.0 / pairs.max(1) as f64
    }

    /// The teacher rows that student row `i` is compared with: those of the other crops.
    fn targets(&self, i: usize) -> impl Iterator<Item = usize> + use<> {
        let images = self.images();
        let (crop, image) = (i / images, i % images);
        (0..self.teacher_crops).filter(move |&q| q != crop).map(move |q| q * images + image)
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
        let images = self.images();
        assert_eq!(self.teacher_y.rows(), self.teacher_crops * images, "teacher rows");
        assert_eq!(self.student_y.rows(), self.student_crops * images, "student rows");
        assert!(self.teacher_crops <= self.student_crops, "the teacher's crops are the student's");
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
    student_log_sums: Vec<f32>,   // of s, [V · B]
    teacher_log_sums: Vec<f32>,   // of z, [Q · B]
    teacher_log_totals: Vec<f32>, // of u, [Q · B]
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
