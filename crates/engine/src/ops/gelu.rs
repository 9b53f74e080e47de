//! GELU in its exact form.
//!
//! ```text
//! y = x Φ(x)        dx = dy (Φ(x) + x φ(x))
//! ```
//!
//! with Φ and φ the distribution function and density of the standard normal. Any shape.
//! Source: Hendrycks and Gimpel, arXiv:1606.08415.

pub(super) mod cpu;
mod cuda;

use crate::device::Device;
use crate::ops::cast;
use crate::profile;
use crate::tensor::{Dtype, Tensor};

/// The input, which backward needs. `y` is cheap to recompute from it.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    pub(super) x: Tensor, // any shape
}

/// `y`, and `x` kept in `dtype` for backward.
pub fn forward(x: Tensor, dtype: Dtype) -> (Tensor, Saved) {
    match x.device() {
        Device::Cpu => (infer(&x), Saved { x: cast::to(x, dtype) }),
        Device::Cuda(_) => {
            let _timer = profile::time("gelu", 0, 2 * x.len());
            cuda::forward(x, dtype)
        }
    }
}

/// `y` alone.
pub fn infer(x: &Tensor) -> Tensor {
    let _timer = profile::time("gelu", 0, 2 * x.len());
    match x.device() {
        Device::Cpu => cpu::infer(x),
        Device::Cuda(_) => cuda::infer(x),
    }
}

/// `y` again, and `dx`, in one pass over `x`: for a layer that did not save `y`. Overwrites `dy` with
/// `dx` and returns `y`.
pub fn recompute_and_backward(saved: Saved, dy: &mut Tensor) -> Tensor {
    let _timer = profile::time("gelu, again and backward", 0, 4 * dy.len());
    assert_eq!(saved.x.len(), dy.len(), "sizes of input and gradient of GELU");
    match dy.device() {
        Device::Cpu => cpu::recompute_and_backward(saved.x, dy),
        Device::Cuda(_) => cuda::recompute_and_backward(saved.x, dy),
    }
}

/// `dx`, in place of `dy`.
pub fn backward(saved: Saved, mut dy: Tensor) -> Tensor {
    match dy.device() {
        Device::Cpu => drop(recompute_and_backward(saved, &mut dy)),
        Device::Cuda(_) => {
            let _timer = profile::time("gelu, backward", 0, 3 * dy.len());
            assert_eq!(saved.x.len(), dy.len(), "sizes of input and gradient of GELU");
            cuda::backward(&saved.x, &mut dy);
        }
    }
    dy
}

#[cfg(test)]
mod tests;
