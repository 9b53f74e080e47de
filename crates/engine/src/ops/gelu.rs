//! GELU in its exact form.
//!
//! ```text
//! y = x Φ(x)        dx = dy (Φ(x) + x φ(x))
//! ```
//!
//! with Φ and φ the distribution function and density of the standard normal. Any shape.
//! Source: Hendrycks and Gimpel, arXiv:1606.08415.

use crate::rows::{BLOCK, for_each_block};
use crate::simd::normal;
use crate::tensor::Tensor;

/// What backward needs: the input.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    /// The input, any shape. The output is cheap to recompute from it: [`infer`].
    pub x: Tensor,
}

/// `y`, and `x` kept for backward.
pub fn forward(x: Tensor) -> (Tensor, Saved) {
    (infer(&x), Saved { x })
}

/// `y` alone.
pub fn infer(x: &Tensor) -> Tensor {
    let mut y = Tensor::uninit(x.shape());
    let width = x.width();
    for_each_block(&mut y, width, |first, block| {
        let x = &x[first * width..first * width + block.len()];
        for (y, &x) in block.iter_mut().zip(x) {
            *y = x * normal(x).0;
        }
    });
    y
}

/// `y` and `dy/dx · dy` in one pass: what a layer needs that did not save `y`. Overwrites `dy` with
/// `dx` and returns `y`.
pub fn recompute_and_backward(saved: &Saved, dy: &mut Tensor) -> Tensor {
    let mut y = Tensor::uninit(saved.x.shape());
    let width = saved.x.width();
    assert_eq!(saved.x.len(), dy.len(), "sizes of input and gradient of GELU");
    let pairs = y.chunks_mut(BLOCK * width).zip(dy.chunks_mut(BLOCK * width));
    let work: Vec<_> = pairs.zip(saved.x.chunks(BLOCK * width)).collect();
    rayon::iter::ParallelIterator::for_each(
        rayon::iter::IntoParallelIterator::into_par_iter(work),
        |((y, dy), x)| {
            crate::simd::vectorize(|| {
                for ((y, dy), &x) in y.iter_mut().zip(dy.iter_mut()).zip(x) {
                    let (cdf, pdf) = normal(x);
                    *y = x * cdf;
                    *dy *= x.mul_add(pdf, cdf);
                }
            });
        },
    );
    y
}

/// `dx`, in place of `dy`.
pub fn backward(saved: Saved, mut dy: Tensor) -> Tensor {
    let (x, width) = (&saved.x, saved.x.width());
    assert_eq!(x.len(), dy.len(), "sizes of input and gradient of GELU");
    for_each_block(&mut dy, width, |first, block| {
        let x = &x[first * width..first * width + block.len()];
        for (dy, &x) in block.iter_mut().zip(x) {
            let (cdf, pdf) = normal(x);
            *dy *= x.mul_add(pdf, cdf);
        }
    });
    dy
}

#[cfg(test)]
mod tests;
