//! Where unit vectors stand in a mixture: their most probable component, how certain it is, and how likely the
//! vectors are under the whole mixture.
//!
//! A network assigns with scores `sₖ = κₖ ⟨μₖ, y⟩ + oₖ`, where `o` are the offsets of its objective. A mixture of
//! von Mises-Fisher densities on the sphere of r dimensions has weights π as well:
//!
//! ```text
//! network   p(k | y) = softmaxₖ sₖ
//! mixture   f(y) = Σₖ πₖ C_r(κₖ) exp(κₖ ⟨μₖ, y⟩)        p(k | y) = πₖ C_r(κₖ) exp(κₖ ⟨μₖ, y⟩) / f(y)
//! ```
//!
//! The two posteriors are the same for all y if and only if `log πₖ + log C_r(κₖ) = oₖ + const`. As weights sum
//! to 1, the constant is known, and so are the weights and the density:
//!
//! ```text
//! log πₖ   = oₖ − log C_r(κₖ) − Z        Z = log Σₖ exp(oₖ − log C_r(κₖ))
//! log f(y) = log Σₖ exp(sₖ) − Z
//! ```
//!
//! So the likelihood needs nothing but the scores, whatever the method. It decides the weights, with the center
//! c and the temperature τ:
//!
//! | norms | centering | offset | weights are proportional to |
//! | --- | --- | --- | --- |
//! | `l2` | of logits | −c / τ | exp(−c / τ), as C_r(κ) is the same for all |
//! | `free` | of logits | −c / τ | exp(−c / τ) / C_r(κₖ): large norms get large weights |
//! | `vmf` | of logits | log C_r(κₖ) − c / τ | exp(−c / τ) |
//! | `vmf` | of probabilities | log C_r(κₖ) − c | exp(−c) |
//! | `l2`, `free` | of probabilities | −c | exp(−c), exp(−c) / C_r(κₖ) |
//! | any | Sinkhorn, or a student | as above with c = 0 | |
//!
//! An objective with few Debye terms has an approximation of log C_r in its offsets. Densities here are exact,
//! and the difference, below 1e-3 nats at r = 256, is in the weights.
//!
//! # Units
//! Nats, for a density over the area of the sphere. The uniform density is `log C_r(0)`; at r = 256 that is 344.
//!
//! # Accuracy
//! Scores are f32: the absolute error is below `3e-7 · (1 + max κ)` (`tests` below, against sums and integrals in
//! f64).
//!
//! # Source
//! Govindarajan et al., *DINO as a von Mises-Fisher mixture model*, arXiv:2405.10939; the weights are derived
//! above.

use engine::matmul::{Mat, MatMut, Product, matmul};
use engine::pool::Buffer;
use rayon::prelude::*;
use vmf::{log_normalizer_at_zero, log_normalizer_ratio};

use super::assignment::{Components, Posterior};

/// Vectors in a block: 16 MiB of scores at 65,536 components.
const ROWS: usize = 64;

/// Where a vector stands in the mixture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Membership {
    /// The most probable component; the lowest of equally probable ones.
    pub component: u32,
    /// The probability of that component, its responsibility for the vector.
    pub responsibility: f64,
    /// Entropy of p(k | y), in nats.
    pub entropy: f64,
    /// log f(y), in nats.
    pub log_likelihood: f64,
    /// The largest cosine of the vector and a mean direction.
    pub cosine: f32,
}

/// Computes memberships, block by block: only one block of vectors times all components is in memory.
#[derive(Debug)]
pub struct Members<'a> {
    components: &'a Components,
    log_total: f64, // Z
    block: Buffer,  // [ROWS, r]
    scores: Buffer, // [ROWS, k]
}

impl<'a> Members<'a> {
    /// Memberships in the mixture of these components.
    ///
    /// # Panics
    /// If directions have fewer than two dimensions.
    pub fn new(components: &'a Components) -> Self {
        let r = components.directions.width;
        let log_weights = components
            .kappas
            .iter()
            .zip(&components.offsets)
            .map(|(kappa, offset)| f64::from(*offset) - log_normalizer_ratio(r, *kappa));
        let log_weights: Vec<f64> = log_weights.collect();
        Self {
            components,
            log_total: log_sum_exp(&log_weights) - log_normalizer_at_zero(r),
            block: Buffer::take(ROWS * r),
            scores: Buffer::take(ROWS * components.len()),
        }
    }

    /// The log density of the uniform distribution on the same sphere, in nats.
    pub fn uniform_log_likelihood(&self) -> f64 {
        log_normalizer_at_zero(self.components.directions.width)
    }

    /// Memberships of unit vectors, `[images, r]`.
    pub fn of(&mut self, y: &[f32]) -> Vec<Membership> {
        let r = self.components.directions.width;
        y.chunks(ROWS * r).flat_map(|block| self.of_block(block)).collect()
    }

    fn of_block(&mut self, y: &[f32]) -> Vec<Membership> {
        let Self { components, log_total, block, scores } = self;
        let (k, r) = (components.len(), components.directions.width);
        // Always a whole block: a row's bits may depend on how many rows a product has.
        block[..y.len()].copy_from_slice(y);
        block[y.len()..].fill(0.0);
        let (to, directions) =
            (MatMut::new(scores, ROWS, k), Mat::new(&components.directions.values, k, r));
        matmul(to, Mat::new(block, ROWS, r), directions.t(), Product::ALL);
        let rows = scores.par_chunks_exact_mut(k).take(y.len() / r).map(|row| {
            let cosine = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let Posterior { component, probability, entropy, log_sum } = components.posterior(row);
            Membership {
                component,
                responsibility: probability,
                entropy,
                log_likelihood: log_sum - *log_total,
                cosine,
            }
        });
        rows.collect()
    }
}

/// `log Σ eˣ`.
fn log_sum_exp(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + values.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
}
