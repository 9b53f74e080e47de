//! The Euclidean norm of a gradient, and its clipping.
//!
//! ```text
//! g ← g · min(1, limit / (‖g‖ + 1e-6))
//! ```
//!
//! for each tensor on its own, as `clip_gradients` of DINO's `utils.py`.

use rayon::prelude::*;

use crate::simd::{dot, vectorize};

const CHUNK: usize = 1 << 14;

/// `‖g‖`; infinite or NaN if an entry is.
pub fn norm(grads: &[f32]) -> f64 {
    let squares: Vec<f64> =
        grads.par_chunks(CHUNK).map(|g| f64::from(vectorize(|| dot(g, g)))).collect();
    squares.iter().sum::<f64>().sqrt()
}

/// Shortens `g` to `limit` if it is longer; `norm` is its norm.
pub fn clip(grads: &mut [f32], norm: f64, limit: f64) {
    let factor = limit / (norm + 1e-6);
    if factor < 1.0 {
        scale(grads, factor as f32);
    }
}

/// `g ← factor · g`.
pub fn scale(grads: &mut [f32], factor: f32) {
    grads.par_chunks_mut(CHUNK).for_each(|g| {
        vectorize(|| g.iter_mut().for_each(|g| *g *= factor));
    });
}
