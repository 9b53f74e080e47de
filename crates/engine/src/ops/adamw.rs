//! AdamW with decoupled weight decay, in place.
//!
//! ```text
//! g ← s g                                  s ≤ 1 clips the gradient
//! w ← w (1 − lr · decay)
//! m ← β₁ m + (1 − β₁) g        v ← β₂ v + (1 − β₂) g²
//! w ← w − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
//! ```
//!
//! Source: Loshchilov and Hutter, arXiv:1711.05101, in the arrangement of `torch.optim.AdamW`.

mod cpu;

use crate::params::{Param, Params};
use crate::profile;

/// What all parameters have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Decay rates β₁, β₂ of the moments.
    pub betas: (f64, f64),
    /// ε.
    pub eps: f64,
}

/// The update of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// The parameter.
    pub param: Param,
    /// Weight decay, multiplied by the learning rate.
    pub decay: f64,
    /// `s`, multiplies the gradient.
    pub gradient_scale: f32,
    /// `t`: which update of this parameter this is, from 1.
    pub step: u64,
}

/// The moments of all parameters.
#[derive(Debug)]
pub struct Moments<'a> {
    /// `m`, running means of the gradients.
    pub first: &'a mut Params,
    /// `v`, running means of their squares.
    pub second: &'a mut Params,
}

/// Updates weights and moments of the parameters in `segments`, which are in the table's order. Other
/// parameters stay as they are.
pub fn update(
    settings: &AdamW,
    segments: &[Segment],
    weights: &mut Params,
    grads: &Params,
    moments: Moments<'_>,
) {
    let updated: usize = segments.iter().map(|segment| segment.param.range().len()).sum();
    let _timer = profile::time("AdamW", 0, 7 * updated);
    let len = weights.table().len();
    assert_eq!(len, grads.table().len(), "values of weights and gradients");
    let lens = (moments.first.table().len(), moments.second.table().len());
    assert_eq!(lens, (len, len), "values of weights and moments");
    assert!(segments.iter().all(|segment| segment.step > 0), "updates count from 1");
    let grads = grads.on_host();
    weights.on_host_mut(|weights| {
        moments.first.on_host_mut(|first| {
            moments.second.on_host_mut(|second| {
                let moments = cpu::Moments {
                    first: first.whole_mut().host_mut(),
                    second: second.whole_mut().host_mut(),
                };
                let weights = weights.whole_mut().host_mut();
                cpu::update(settings, segments, weights, grads.whole().host(), moments);
            });
        });
    });
}

#[cfg(test)]
mod tests;
