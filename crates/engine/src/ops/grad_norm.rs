//! The Euclidean norm of a gradient, and its clipping.
//!
//! ```text
//! g ← g · min(1, limit / (‖g‖ + 1e-6))
//! ```
//!
//! for each tensor on its own, as `clip_gradients` of DINO's `utils.py`.

use rayon::prelude::*;

use crate::profile;
use crate::rows::OneByOne;
use crate::simd::dot;
use dispatch::kernel;

const CHUNK: usize = 1 << 14;

/// `‖g‖`; infinite or NaN if an entry is.
pub fn norm(grads: &[f32]) -> f64 {
    let _timer = profile::time("gradient norms", 0, grads.len());
    let squares: Vec<f64> =
        grads.par_chunks(CHUNK).one_by_one().map(|g| f64::from(square(g))).collect();
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
    grads.par_chunks_mut(CHUNK).one_by_one().for_each(|g| multiply(g, factor));
}

kernel! {
    fn square(g: &[f32]) -> f32 {
        dot(g, g)
    }
}

kernel! {
    fn multiply(g: &mut [f32], factor: f32) {
        g.iter_mut().for_each(|g| *g *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    /// Each chunk is an f32 sum of 16384 squares in 16 lanes.
    #[test]
    fn the_norm_is_that_of_f64() {
        for len in [0, 1, 33, 3 * CHUNK + 5] {
            let g = randoms(1, len);
            let expected = inner(&doubles(&g), &doubles(&g)).sqrt();
            assert!((norm(&g) - expected).abs() <= 1e-5 * expected, "{len}");
        }
        assert!(norm(&[1.0, f32::NAN]).is_nan());
        assert_eq!(norm(&[1.0, f32::INFINITY]), f64::INFINITY);
    }

    #[test]
    fn clipping_shortens_long_gradients_and_leaves_short_ones() {
        let mut g = [3.0, 4.0];
        clip(&mut g, 5.0, 6.0);
        assert_eq!(g, [3.0, 4.0]);
        clip(&mut g, 5.0, 1.0);
        assert_close(&g, &[0.6, 0.8], 1e-6, 0.0);
    }

    #[test]
    fn scaling_multiplies_every_number() {
        let (mut g, before) = (randoms(2, CHUNK + 3), randoms(2, CHUNK + 3));
        scale(&mut g, 0.5);
        assert!(g.iter().zip(&before).all(|(g, before)| *g == 0.5 * before));
    }

    #[test]
    fn threads_give_equal_bits() {
        let g = randoms(3, 5 * CHUNK + 11);
        let on = |n| on_threads(n, || norm(&g).to_bits());
        assert_eq!((on(1), on(1)), (on(2), on(3)));
    }
}
