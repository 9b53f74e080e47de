//! How much the vMF normalizer changes assignments to the student's prototypes, whether the method adds it
//! or not.
//!
//! The rows uᵢ are unit vectors of a batch, μₖ directions of prototypes, κₖ their concentrations, p the width:
//!
//! ```text
//! sᵢₖ = κₖ μₖᵀuᵢ                        logits without the normalizer
//! bₖ  = log C_p(κₖ)                     what it adds
//! Pᵢ  = softmaxₖ(sᵢₖ + bₖ),  Qᵢ = softmaxₖ(sᵢₖ)
//!
//! kl              meanᵢ KL(Pᵢ ‖ Qᵢ)
//! spread          sdₖ(bₖ) / meanᵢ sdₖ(sᵢₖ)
//! log_kappa_sd    sdₖ(log κₖ)
//! ```
//!
//! All are zero where all prototypes have the same norm. Below about 0.05 nats of KL, a run says nothing about
//! the normalizer.

use engine::reduce::dot;
use probe::Matrix;
use rayon::prelude::*;
use serde::Serialize;
use vmf::log_normalizer_ratio;

/// What the normalizer changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NormalizerEffect {
    /// Mean KL divergence, in nats, between assignments with the normalizer and without it.
    pub kl: f64,
    /// Standard deviation of the normalizer over the prototypes, divided by that of the logits.
    pub spread: f64,
    /// Standard deviation of the logarithms of κ.
    pub log_kappa_sd: f64,
}

impl NormalizerEffect {
    /// Measures it for unit vectors `[rows, p]`, directions `[k, p]` and as many concentrations. Nothing without
    /// rows, with `p` below 2, or if a concentration is zero or not finite.
    pub(super) fn measure(vectors: &Matrix, directions: &[f32], kappas: &[f64]) -> Option<Self> {
        let p = vectors.width;
        let usable = kappas.iter().all(|kappa| kappa.is_finite() && *kappa > 0.0);
        if vectors.is_empty() || p < 2 || !usable {
            return None;
        }
        let bias: Vec<f64> = kappas.iter().map(|kappa| log_normalizer_ratio(p, *kappa)).collect();
        let of_rows: Vec<(f64, f64)> = vectors
            .values
            .par_chunks_exact(p)
            .map(|u| {
                let rows = directions.chunks_exact(p).zip(kappas);
                let logits: Vec<f64> =
                    rows.map(|(mu, kappa)| kappa * f64::from(dot(mu, u))).collect();
                (divergence(&logits, &bias), deviation(&logits))
            })
            .collect();
        let rows = of_rows.len() as f64;
        let kl = of_rows.iter().map(|(kl, _)| kl).sum::<f64>() / rows;
        let logits = of_rows.iter().map(|(_, sd)| sd).sum::<f64>() / rows;
        let log_kappas: Vec<f64> = kappas.iter().map(|kappa| kappa.ln()).collect();
        Some(Self {
            kl,
            spread: deviation(&bias) / logits.max(f64::MIN_POSITIVE),
            log_kappa_sd: deviation(&log_kappas),
        })
    }
}

/// KL divergence of softmax(logits + bias) from softmax(logits).
fn divergence(logits: &[f64], bias: &[f64]) -> f64 {
    let biased: Vec<f64> = logits.iter().zip(bias).map(|(s, b)| s + b).collect();
    let (with, without) = (log_sum_exp(&biased), log_sum_exp(logits));
    let ratio = |k: usize| biased[k] - with - (logits[k] - without); // log Pₖ − log Qₖ
    (0..logits.len()).map(|k| (biased[k] - with).exp() * ratio(k)).sum()
}

fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + values.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// Standard deviation of values.
fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows and three prototypes of width 2.
    fn effect(kappas: &[f64]) -> Option<NormalizerEffect> {
        let vectors = Matrix::new(vec![1.0, 0.0, 0.6, 0.8], 2);
        NormalizerEffect::measure(&vectors, &[1.0, 0.0, 0.0, 1.0, -1.0, 0.0], kappas)
    }

    #[test]
    fn the_effect_is_that_of_its_formulas() {
        let kappas = [2.0, 8.0, 4.0];
        let found = effect(&kappas).unwrap();
        // log I₀(κ) by its power series; C_2(κ) = 1 / (2π I₀(κ)).
        let bias = kappas.map(|kappa: f64| {
            let terms = (0..60).scan(1.0, |term, m| {
                let now = *term;
                *term *= kappa * kappa / 4.0 / f64::from((m + 1) * (m + 1));
                Some(now)
            });
            -terms.sum::<f64>().ln()
        });
        let softmax = |logits: [f64; 3]| {
            let sum: f64 = logits.iter().map(|s| s.exp()).sum();
            logits.map(|s| s.exp() / sum)
        };
        let kl_of = |s: [f64; 3]| {
            let (p, q) = (softmax([0, 1, 2].map(|k| s[k] + bias[k])), softmax(s));
            (0..3).map(|k| p[k] * (p[k] / q[k]).ln()).sum::<f64>()
        };
        let logits = [[2.0, 0.0, -4.0], [1.2, 6.4, -2.4]];
        let kl = logits.map(kl_of).iter().sum::<f64>() / 2.0;
        assert!((found.kl - kl).abs() < 1e-6, "{} is not {kl}", found.kl);
        let sd = logits.map(|s| deviation(&s)).iter().sum::<f64>() / 2.0;
        assert!((found.spread - deviation(&bias) / sd).abs() < 1e-6);
        let log_kappa_sd = deviation(&kappas.map(f64::ln));
        assert!((found.log_kappa_sd - log_kappa_sd).abs() < 1e-12);
    }

    #[test]
    fn equal_norms_leave_nothing_to_change() {
        let found = effect(&[3.0, 3.0, 3.0]).unwrap();
        assert!(found.kl.abs() < 1e-12 && found.spread < 1e-12 && found.log_kappa_sd < 1e-12);
    }

    #[test]
    fn weights_that_are_not_finite_have_no_effect_to_measure() {
        assert_eq!(effect(&[3.0, f64::NAN, 3.0]), None);
        assert_eq!(effect(&[3.0, 0.0, 3.0]), None);
    }
}
