//! SwiGLU: the gate of a gated MLP.
//!
//! ```text
//! x = [a | b]        s = σ(a)        y = a s ⊙ b
//!
//! da = dy ⊙ b ⊙ (s + a s (1 − s))        db = dy ⊙ a s
//! ```
//!
//! `x` is `[rows, 2 h]`: the gate `a` in the first `h` values of a row, `b` behind it. `y` is `[rows, h]`. σ is
//! the logistic function. Source: Shazeer, *GLU variants improve transformer*, arXiv:2002.05202.

mod cpu;
mod cuda;

use crate::device::Device;
use crate::ops::cast;
use crate::profile;
use crate::tensor::{Dtype, Tensor};

/// The input, which backward needs. `y` is cheap to recompute from it.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    x: Tensor, // [rows, 2 h]
}

/// `y`, and `x` kept in `dtype` for backward.
pub fn forward(x: Tensor, dtype: Dtype) -> (Tensor, Saved) {
    (infer(&x), Saved { x: cast::to(x, dtype) })
}

/// `y` alone.
///
/// # Panics
/// If `x` has an odd width.
pub fn infer(x: &Tensor) -> Tensor {
    let _timer = profile::time("swiglu", 0, 3 * x.len() / 2);
    assert!(x.width().is_multiple_of(2), "width of the input of SwiGLU");
    match x.device() {
        Device::Cpu => cpu::infer(x),
        Device::Cuda(_) => cuda::infer(x),
    }
}

/// `y` again, and `dx`, in one pass over `x`.
///
/// # Panics
/// If `dy` is not `[rows, h]`.
pub fn recompute_and_backward(saved: Saved, dy: &Tensor) -> (Tensor, Tensor) {
    let _timer = profile::time("swiglu, again and backward", 0, 6 * dy.len());
    let Saved { x } = saved;
    let fits = (x.rows(), x.width()) == (dy.rows(), 2 * dy.width());
    assert!(fits, "sizes of input and gradient of SwiGLU");
    match dy.device() {
        Device::Cpu => cpu::recompute_and_backward(x, dy),
        Device::Cuda(_) => cuda::recompute_and_backward(x, dy),
    }
}

#[cfg(test)]
mod tests;
