//! Rows scaled to unit length.
//!
//! ```text
//! y = x / max(‖x‖, ε)        dx = (dy − y ⟨y, dy⟩) / ‖x‖   (‖x‖ > ε; else dy / ε)
//! ```
//!
//! `x`, `y` are `[rows, d]`; ε = 1e-12 as PyTorch's `normalize`.

mod cpu;

use crate::tensor::Tensor;

/// What backward needs: the output and the norms.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    y: Tensor,     // [rows, d]
    norms: Tensor, // [rows, 1]
}

/// `y`, and a copy of it for backward.
pub fn forward(x: Tensor) -> (Tensor, Saved) {
    let device = x.device();
    let (y, saved) = cpu::forward(x.into_host());
    (y.to(&device), saved)
}

/// `y` alone.
pub fn infer(x: Tensor) -> Tensor {
    forward(x).0
}

/// `dx`, in place of `dy`.
pub fn backward(saved: Saved, mut dy: Tensor) -> Tensor {
    assert_eq!(saved.y.len(), dy.len(), "sizes of output and gradient of a normalization");
    dy.on_host_mut(|dy| cpu::backward(&saved, dy));
    dy
}

#[cfg(test)]
mod tests;
