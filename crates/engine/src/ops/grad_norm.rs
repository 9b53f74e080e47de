//! The Euclidean norms of gradients, and their clipping.
//!
//! ```text
//! g ← g · min(1, limit / (‖g‖ + 1e-6))
//! ```
//!
//! for each parameter on its own, as `clip_gradients` of DINO's `utils.py`. [`adamw`](super::adamw)
//! multiplies by the factor.

mod cpu;

use crate::params::Params;
use crate::profile;

/// `‖g‖` of each parameter, in the table's order. Infinite or NaN if a value is.
pub fn norms(grads: &Params) -> Vec<f64> {
    let _timer = profile::time("gradient norms", 0, grads.table().len());
    cpu::norms(&grads.on_host())
}

/// The factor that shortens a gradient of this norm to `limit`; 1 if it is not longer.
pub fn clip_factor(norm: f64, limit: f64) -> f32 {
    (limit / (norm + 1e-6)).min(1.0) as f32
}

#[cfg(test)]
mod tests;
