//! GELU in its exact form.
//!
//! ```text
//! y = x Φ(x)        dx = dy (Φ(x) + x φ(x))
//! ```
//!
//! with Φ and φ the distribution function and density of the standard normal. Any shape.
//! Source: Hendrycks and Gimpel, arXiv:1606.08415.

pub(super) mod cpu;

use crate::device::Device;
use crate::ops::cast;
use crate::profile;
use crate::tensor::{Dtype, Tensor};

/// The input, which backward needs. `y` is cheap to recompute from it.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    x: Tensor, // any shape
}

/// `y`, and `x` kept in `dtype` for backward.
pub fn forward(x: Tensor, dtype: Dtype) -> (Tensor, Saved) {
    (infer(&x), Saved { x: cast::to(x, dtype) })
}

/// `y` alone.
pub fn infer(x: &Tensor) -> Tensor {
    let _timer = profile::time("gelu", 0, 2 * x.len());
    match x.device() {
        Device::Cpu => cpu::infer(x),
    }
}

/// `y` again, and `dx`, in one pass over `x`: for a layer that did not save `y`. Overwrites `dy` with
/// `dx` and returns `y`.
pub fn recompute_and_backward(saved: Saved, dy: &mut Tensor) -> Tensor {
    let _timer = profile::time("gelu, again and backward", 0, 4 * dy.len());
    assert_eq!(saved.x.len(), dy.len(), "sizes of input and gradient of GELU");
    match dy.device() {
        Device::Cpu => cpu::recompute_and_backward(saved.x, dy),
    }
}

/// `dx`, in place of `dy`.
pub fn backward(saved: Saved, mut dy: Tensor) -> Tensor {
    let _ = recompute_and_backward(saved, &mut dy);
    dy
}

#[cfg(test)]
mod tests;
