//! AdamW with decoupled weight decay, in place.
//!
//! ```text
//! w ← w (1 − lr · decay)
//! m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
//! w ← w − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
//! ```
//!
//! Source: Loshchilov and Hutter, arXiv:1711.05101, in the arrangement of `torch.optim.AdamW`.

use rayon::prelude::*;

use crate::profile;
use crate::rows::OneByOne;
use dispatch::kernel;

/// The numbers of one update of one tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Weight decay, multiplied by the learning rate.
    pub decay: f64,
    /// Decay rates β₁, β₂ of the moments.
    pub betas: (f64, f64),
    /// ε.
    pub eps: f64,
    /// Which update of this tensor this is, from 1.
    pub step: u64,
}

/// The moments of a tensor, `m` and `v`.
#[derive(Debug)]
pub struct Moments<'a> {
    /// Running mean of the gradient.
    pub first: &'a mut [f32],
    /// Running mean of its square.
    pub second: &'a mut [f32],
}

const CHUNK: usize = 1 << 14;

/// Updates weights and moments; all slices have one length.
pub fn update(settings: &AdamW, weights: &mut [f32], grads: &[f32], moments: Moments<'_>) {
    let _timer = profile::time("AdamW", 0, 7 * weights.len());
    assert_eq!(weights.len(), grads.len(), "numbers of weights and gradients");
    let numbers = (moments.first.len(), moments.second.len());
    assert_eq!(numbers, (weights.len(), weights.len()), "numbers of weights and moments");
    assert!(settings.step > 0, "updates count from 1");
    let (beta1, beta2) = settings.betas;
    let step = settings.step.min(i32::MAX as u64) as i32;
    let rates = Rates {
        keep: (1.0 - settings.lr * settings.decay) as f32,
        rate: (settings.lr / (1.0 - beta1.powi(step))) as f32,
        root_scale: (1.0 / (1.0 - beta2.powi(step)).sqrt()) as f32,
        first: (beta1 as f32, (1.0 - beta1) as f32),
        second: (beta2 as f32, (1.0 - beta2) as f32),
        eps: settings.eps as f32,
    };
    let chunks = weights.par_chunks_mut(CHUNK).zip(grads.par_chunks(CHUNK));
    let moments = moments.first.par_chunks_mut(CHUNK).zip(moments.second.par_chunks_mut(CHUNK));
    chunks.zip(moments).one_by_one().for_each(|((weights, grads), (first, second))| {
        update_chunk(&rates, weights, grads, first, second);
    });
}

/// The factors of one update, computed in f64 and rounded.
struct Rates {
    keep: f32,          // 1 − lr · decay
    rate: f32,          // lr / (1 − β₁ᵗ)
    root_scale: f32,    // 1 / √(1 − β₂ᵗ)
    first: (f32, f32),  // β₁, 1 − β₁
    second: (f32, f32), // β₂, 1 − β₂
    eps: f32,
}

kernel! {
    fn update_chunk(
        rates: &Rates,
        weights: &mut [f32],
        grads: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let Rates { keep, rate, root_scale, first: (b1, c1), second: (b2, c2), eps } = *rates;
        let moments = first.iter_mut().zip(second);
        for ((w, &g), (m, v)) in weights.iter_mut().zip(grads).zip(moments) {
            *m = b1 * *m + c1 * g;
            *v = b2 * *v + c2 * (g * g);
            let root = v.sqrt() * root_scale + eps;
            *w = *w * keep - rate * *m / root;
        }
    }
}

#[cfg(test)]
mod tests;
