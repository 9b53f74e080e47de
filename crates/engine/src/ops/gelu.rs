//! GELU in its exact form.
//!
//! ```text
//! y = x Φ(x)        dx = dy (Φ(x) + x φ(x))
//! ```
//!
//! with Φ and φ the distribution function and density of the standard normal. Any shape.
//! Source: Hendrycks and Gimpel, arXiv:1606.08415.

#[cfg(test)]
mod cuda;

use rayon::prelude::*;

use crate::matmul::Precision;
use crate::profile;
use crate::rows::{BLOCK, OneByOne, for_each_block};
use crate::simd::normal;
use crate::stored::Stored;
use crate::tensor::Tensor;
use dispatch::kernel;

/// What backward needs: the input.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    /// The input, any shape. The output is cheap to recompute from it: [`infer`].
    pub x: Stored,
}

/// `y`, and `x` kept for backward; `precision` is that of the layers around.
pub fn forward(x: Tensor, precision: Precision) -> (Tensor, Saved) {
    (infer(&x), Saved { x: Stored::new(x, precision) })
}

/// `y` alone.
pub fn infer(x: &Tensor) -> Tensor {
    let _timer = profile::time("gelu", 0, 2 * x.len());
    let mut y = Tensor::uninit(x.shape());
    let width = x.width();
    for_each_block(
        &mut y,
        width,
        #[inline(always)]
        |first, block| {
            activate(&x[first * width..][..block.len()], block);
        },
    );
    y
}

/// `y` and `dy/dx · dy` in one pass: what a layer needs that did not save `y`. Overwrites `dy` with
/// `dx` and returns `y`, in the place of `x`.
pub fn recompute_and_backward(saved: Saved, dy: &mut Tensor) -> Tensor {
    let _timer = profile::time("gelu, again and backward", 0, 4 * dy.len());
    let (mut y, rounded) = saved.x.unpack();
    let piece = (BLOCK * y.width()).max(1);
    assert_eq!(y.len(), dy.len(), "sizes of input and gradient of GELU");
    let pairs = y.par_chunks_mut(piece).zip(dy.par_chunks_mut(piece));
    pairs.enumerate().one_by_one().for_each(|(block, (y, dy))| {
        if let Some(rounded) = &rounded {
            rounded.widen(block * piece, y);
        }
        activate_and_differentiate(y, dy);
    });
    y
}

/// `dx`, in place of `dy`.
pub fn backward(saved: Saved, mut dy: Tensor) -> Tensor {
    let (x, width) = (&saved.x, saved.x.width());
    assert_eq!(x.len(), dy.len(), "sizes of input and gradient of GELU");
    let piece = (BLOCK * width).max(1);
    dy.par_chunks_mut(piece).enumerate().one_by_one().for_each(|(block, dy)| {
        let first = block * piece;
        differentiate(&x.read(first..first + dy.len()), dy);
    });
    dy
}

kernel! {
    /// `y = x Φ(x)`.
    pub(super) fn activate(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * normal(x).0;
        }
    }
}

kernel! {
    /// `dy ← dy (Φ(x) + x φ(x))`.
    fn differentiate(x: &[f32], dy: &mut [f32]) {
        for (dy, &x) in dy.iter_mut().zip(x) {
            let (cdf, pdf) = normal(x);
            *dy *= x.mul_add(pdf, cdf);
        }
    }
}

kernel! {
    /// Both at once: `x ← y`, `dy ← dx`.
    pub(super) fn activate_and_differentiate(x: &mut [f32], dy: &mut [f32]) {
        for (x, dy) in x.iter_mut().zip(dy.iter_mut()) {
            let (cdf, pdf) = normal(*x);
            *dy *= x.mul_add(pdf, cdf);
            *x *= cdf;
        }
    }
}

#[cfg(test)]
mod tests;
