//! The running center of the teacher's scores.
//!
//! ```text
//! mean of scores     c ← m c + (1 − m) τ Σ u / n                        a mean of logits
//! mean of logs       c ← m c + (1 − m) (log Σ p − log n)                a mean of logarithms
//! log of means       c ← log(m eᶜ + (1 − m) Σ p / n)                    the logarithm of a mean
//! ```
//!
//! for every prototype, with `Σ u` or `log Σ p` the [`Statistic`] over `n` rows of a step. The center stays
//! in log space: with 65,536 prototypes the mean of a probability underflows. Each update is computed in
//! f64 and rounded.
//!
//! [`Statistic`]: super::mixture_cross_entropy::Statistic

mod cpu;

use crate::tensor::Tensor;

/// How the statistic of a step moves the center.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Mean of scores, times this temperature τ.
    MeanOfScores(f64),
    /// Mean of logs.
    MeanOfLogs,
    /// Log of means.
    LogOfMeans,
}

/// Moves the center `c`, `[k]`. `statistic`, `[k]`, is summed over `rows` rows; `momentum` is `m`.
pub fn update(center: &mut Tensor, statistic: &Tensor, rows: usize, momentum: f64, rule: Rule) {
    assert_eq!(center.len(), statistic.len(), "prototypes of a center");
    let statistic = statistic.on_host();
    center.on_host_mut(|center| cpu::update(center, &statistic, rows, momentum, rule));
}

/// `c / τ`: a center of logits in units of scores.
pub fn divided(center: &Tensor, temperature: f64) -> Tensor {
    cpu::divided(&center.on_host(), temperature).to(&center.device())
}

#[cfg(test)]
mod tests;
