//! The center of the teacher's scores: what keeps all images from one prototype.
//!
//! ```text
//! logit    c ← m c + (1 − m) mean(l + τₜ b)
//! prob-a   c ← m c + (1 − m) log mean softmax(l / τₜ + b)             a mean of logarithms
//! prob-b   c ← log(m eᶜ + (1 − m) mean softmax(l / τₜ + b))           the logarithm of a mean
//! sinkhorn nothing: the center of a batch is its own ([`engine::ops::mixture_cross_entropy::sinkhorn`])
//! ```
//!
//! Means run over all global crops of all images of a step; a step uses the center that the previous
//! one left. `c` starts at 0, for `prob-b` at `log 1/k`. Everything stays in log space: with 65,536
//! prototypes the mean of a probability underflows.

use engine::ops::mixture_cross_entropy::Statistic;

use crate::config::Centering;

/// The center and what it has seen since its last update.
#[derive(Debug, Clone, PartialEq)]
pub struct Center {
    centering: Centering,
    momentum: f64,
    values: Vec<f32>,
    seen: Vec<f32>,
    rows: usize,
}

impl Center {
    /// Before the first step.
    pub fn new(centering: Centering, momentum: f64, prototypes: usize) -> Self {
        let start = match centering {
            Centering::Logit | Centering::ProbA | Centering::Sinkhorn => 0.0,
            Centering::ProbB => -(prototypes as f64).ln(),
        };
        let (values, seen) = (vec![start as f32; prototypes], vec![0.0; prototypes]);
        let mut center = Self { centering, momentum, values, seen, rows: 0 };
        center.forget();
        center
    }

    /// The same center with other values, from a checkpoint.
    ///
    /// # Panics
    /// If they are not as many.
    pub fn set_values(&mut self, values: &[f32]) {
        self.values.copy_from_slice(values);
        self.forget();
    }

    /// `c`, `[k]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Drops what was seen since the last update: a step that is not taken.
    pub fn forget(&mut self) {
        let empty = self.statistic().empty();
        self.seen.fill(empty);
        self.rows = 0;
    }

    pub(super) fn statistic(&self) -> Statistic {
        match self.centering {
            Centering::Logit | Centering::Sinkhorn => Statistic::SumOfScores,
            Centering::ProbA | Centering::ProbB => Statistic::LogSumOfProbs,
        }
    }

    /// Where the statistic of `rows` more rows is added.
    pub(super) fn see(&mut self, rows: usize) -> &mut [f32] {
        self.rows += rows;
        &mut self.seen
    }

    /// `c` in units of `l / τₜ + b`.
    pub(super) fn in_units_of_scores(&self, teacher_temp: f64) -> Vec<f32> {
        match self.centering {
            Centering::Logit => {
                self.values.iter().map(|&c| (f64::from(c) / teacher_temp) as f32).collect()
            }
            Centering::ProbA | Centering::ProbB | Centering::Sinkhorn => self.values.clone(),
        }
    }

    /// Moves by what was seen since the last update; stays where it is if that was nothing.
    pub fn update(&mut self, teacher_temp: f64) {
        if self.rows == 0 {
            return;
        }
        let (momentum, rows) = (self.momentum, self.rows as f64);
        for (c, &seen) in self.values.iter_mut().zip(&self.seen) {
            let (old, seen) = (f64::from(*c), f64::from(seen));
            let new = match self.centering {
                Centering::Logit => momentum * old + (1.0 - momentum) * teacher_temp * seen / rows,
                Centering::ProbA => momentum * old + (1.0 - momentum) * (seen - rows.ln()),
                Centering::Sinkhorn => old,
                Centering::ProbB => {
                    log_add(old + momentum.ln(), seen - rows.ln() + (-momentum).ln_1p())
                }
            };
            *c = new as f32;
        }
        self.forget();
    }
}

/// `log(eᵃ + eᵇ)`.
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_a_and_b_agree_without_memory() {
        let seen = [-3.0f32, -700.0, -0.5];
        let after = |centering| {
            let mut center = Center::new(centering, 0.0, 3);
            center.see(4).copy_from_slice(&seen);
            center.update(0.04);
            center.values().to_vec()
        };
        assert_eq!(after(Centering::ProbA), after(Centering::ProbB));
    }
}
