//! Rows scaled to unit length.
//!
//! ```text
//! y = x / max(‖x‖, ε)        dx = (dy − y ⟨y, dy⟩) / ‖x‖   (‖x‖ > ε; else dy / ε)
//! ```
//!
//! `x`, `y` are `[rows, d]`; ε = 1e-12 as PyTorch's `normalize`.

use crate::rows::{for_each_block, row};
use crate::simd::dot;
use crate::tensor::Tensor;

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
    for_each_block(&mut norms, 1, |first, block| {
        for (i, norm) in block.iter_mut().enumerate() {
            *norm = dot(row(&x, d, first + i), row(&x, d, first + i)).sqrt();
        }
    });
    let mut y = x;
    for_each_block(&mut y, d, |first, block| {
        for (i, y) in block.chunks_exact_mut(d).enumerate() {
            let scale = 1.0 / norms[first + i].max(EPS);
            y.iter_mut().for_each(|y| *y *= scale);
        }
    });
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
    for_each_block(&mut dy, d, |first, block| {
        for (i, dy) in block.chunks_exact_mut(d).enumerate() {
            let (y, norm) = (row(&saved.y, d, first + i), saved.norms[first + i]);
            let along = if norm > EPS { dot(y, dy) } else { 0.0 };
            let scale = 1.0 / norm.max(EPS);
            for j in 0..d {
                dy[j] = (dy[j] - y[j] * along) * scale;
            }
        }
    });
    dy
}

#[cfg(test)]
mod tests;
