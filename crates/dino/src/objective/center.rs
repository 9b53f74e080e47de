//! The center of the teacher's scores: what keeps all images from one prototype.
//!
//! ```text
//! logit    c ← m c + (1 − m) mean(l + τₜ b)
//! prob-a   c ← m c + (1 − m) log mean softmax(l / τₜ + b)             a mean of logarithms
//! prob-b   c ← log(m eᶜ + (1 − m) mean softmax(l / τₜ + b))           the logarithm of a mean
//! sinkhorn nothing: each batch has a center of its own ([`sinkhorn_center`](engine::ops::mixture_cross_entropy::sinkhorn_center))
//! ```
//!
//! Means run over all global crops of all images of a step. A step uses the center that the previous
//! step computed. `c` starts at 0, for `prob-b` at `log 1/k`. The arithmetic is in
//! [`engine::ops::center`].

use engine::Tensor;
use engine::ops::center::{self, Rule};
use engine::ops::mixture_cross_entropy::Statistic;

use crate::config::Centering;

/// The center, and the statistic of the scores since its last update.
#[derive(Debug, Clone)]
pub struct Center {
    centering: Centering,
    momentum: f64,
    values: Tensor,    // [k]
    statistic: Tensor, // [k]
    rows: usize,       // that the statistic is summed over
}

impl Center {
    /// Before the first step.
    pub fn new(centering: Centering, momentum: f64, prototypes: usize) -> Self {
        let start = match centering {
            Centering::Logit | Centering::ProbA | Centering::Sinkhorn => 0.0,
            Centering::ProbB => -(prototypes as f64).ln(),
        };
        let values = Tensor::from_slice(&[prototypes], &vec![start as f32; prototypes]);
        let statistic = Tensor::zeros(&[prototypes]);
        let mut center = Self { centering, momentum, values, statistic, rows: 0 };
        center.discard_statistic();
        center
    }

    /// The same center with other values, from a checkpoint.
    ///
    /// # Panics
    /// If their number is another.
    pub fn set_values(&mut self, values: &[f32]) {
        self.values = Tensor::from_slice(self.values.shape(), values).to(&self.values.device());
        self.discard_statistic();
    }

    /// `c`, `[k]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// Discards the statistic since the last update: for a step that is not taken.
    pub fn discard_statistic(&mut self) {
        let empty = vec![self.kind().empty(); self.values.len()];
        self.statistic = Tensor::from_slice(&[empty.len()], &empty).to(&self.values.device());
        self.rows = 0;
    }

    /// Which statistic the center is made of.
    pub(super) fn kind(&self) -> Statistic {
        match self.centering {
            Centering::Logit | Centering::Sinkhorn => Statistic::SumOfScores,
            Centering::ProbA | Centering::ProbB => Statistic::LogSumOfProbs,
        }
    }

    /// The statistic, to which the scores of `rows` more rows are about to be added.
    pub(super) fn statistic_for(&mut self, rows: usize) -> &mut Tensor {
        self.rows += rows;
        &mut self.statistic
    }

    /// `c` in units of `l / τₜ + b`.
    pub(super) fn in_units_of_scores(&self, teacher_temp: f64) -> Tensor {
        match self.centering {
            Centering::Logit => center::divided(&self.values, teacher_temp),
            Centering::ProbA | Centering::ProbB | Centering::Sinkhorn => self.values.clone(),
        }
    }

    /// Moves by the statistic since the last update, if there is any.
    pub fn update(&mut self, teacher_temp: f64) {
        if self.rows == 0 {
            return;
        }
        let rule = match self.centering {
            Centering::Logit => Some(Rule::MeanOfScores(teacher_temp)),
            Centering::ProbA => Some(Rule::MeanOfLogs),
            Centering::ProbB => Some(Rule::LogOfMeans),
            Centering::Sinkhorn => None,
        };
        if let Some(rule) = rule {
            center::update(&mut self.values, &self.statistic, self.rows, self.momentum, rule);
        }
        self.discard_statistic();
    }
}
