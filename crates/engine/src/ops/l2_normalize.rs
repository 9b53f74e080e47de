//! Rows scaled to unit length.
//!
//! ```text
//! y = x / max(‖x‖, ε)        dx = (dy − y ⟨y, dy⟩) / ‖x‖   (‖x‖ > ε; else dy / ε)
//! ```
//!
//! `x`, `y` are `[rows, d]`; ε = 1e-12 as PyTorch's `normalize`.

use crate::rows::for_each_block;
use crate::simd::dot;
use crate::tensor::Tensor;
use dispatch::kernel;

const EPS: f32 = 1e-12;

/// What backward needs: the output and the lengths.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    y: Tensor,     // [rows, d]
    norms: Tensor, // [rows, 1]
}

/// `y`, and a copy of it for backward.
pub fn forward(x: Tensor) -> (Tensor, Saved) {
    let d = x.width();
    let mut norms = Tensor::uninit(&[x.rows(), 1]);
    for_each_block(
        &mut norms,
        1,
        #[inline(always)]
        |first, block| {
            measure_rows(&x[first * d..], d, block);
        },
    );
    let mut y = x;
    for_each_block(
        &mut y,
        d,
        #[inline(always)]
        |first, block| {
            scale_rows(&norms[first..], d, block);
        },
    );
    (y.clone(), Saved { y, norms })
}

/// `y` alone.
pub fn infer(x: Tensor) -> Tensor {
    forward(x).0
}

/// `dx`, in place of `dy`.
pub fn backward(saved: Saved, mut dy: Tensor) -> Tensor {
    let d = dy.width();
    assert_eq!(saved.y.len(), dy.len(), "sizes of output and gradient of a normalization");
    for_each_block(
        &mut dy,
        d,
        #[inline(always)]
        |first, block| {
            backward_rows(&saved.y[first * d..], &saved.norms[first..], d, block);
        },
    );
    dy
}

kernel! {
    fn measure_rows(x: &[f32], d: usize, norms: &mut [f32]) {
        for (x, norm) in x.chunks_exact(d).zip(norms) {
            *norm = dot(x, x).sqrt();
        }
    }
}

kernel! {
    fn scale_rows(norms: &[f32], d: usize, y: &mut [f32]) {
        for (y, norm) in y.chunks_exact_mut(d).zip(norms) {
            let scale = 1.0 / norm.max(EPS);
            y.iter_mut().for_each(|y| *y *= scale);
        }
    }
}

kernel! {
    fn backward_rows(y: &[f32], norms: &[f32], d: usize, dy: &mut [f32]) {
        let rows = dy.chunks_exact_mut(d).zip(y.chunks_exact(d));
        for ((dy, y), &norm) in rows.zip(norms) {
            let along = if norm > EPS { dot(y, dy) } else { 0.0 };
            let scale = 1.0 / norm.max(EPS);
            for j in 0..d {
                dy[j] = (dy[j] - y[j] * along) * scale;
            }
        }
    }
}

#[cfg(test)]
mod tests;
