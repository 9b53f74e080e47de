//! GELU, in its exact form and in the approximation by a tanh.
//!
//! ```text
//! exact    y = x Φ(x)         dx = dy (Φ(x) + x φ(x))
//! tanh     y = x σ(2u)        dx = dy (s + 2 x s (1 − s) u'),   s = σ(2u)
//!          u = √(2/π) (x + 0.044715 x³),   u' = √(2/π) (1 + 0.134145 x²)
//! ```
//!
//! with Φ and φ the distribution function and density of the standard normal, and σ the logistic function:
//! σ(2u) = ½ (1 + tanh u). The two forms differ by at most 5e-4. Any shape.
//! Source: Hendrycks and Gimpel, arXiv:1606.08415.

pub(super) mod cpu;
mod cuda;

use crate::device::Device;
use crate::ops::cast;
use crate::profile;
use crate::tensor::{Dtype, Tensor};

/// Which function is called GELU. Networks are trained with one of them, and must be used with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// With the distribution function of the normal: DINO, DINOv2 and most vision transformers.
    #[default]
    Exact,
    /// With a tanh.
    Tanh,
}

/// The input, which backward needs. `y` is cheap to recompute from it.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    pub(super) x: Tensor, // any shape
    pub(super) form: Form,
}

/// `y`, and `x` kept in `dtype` for backward.
pub fn forward(x: Tensor, form: Form, dtype: Dtype) -> (Tensor, Saved) {
    match x.device() {
        Device::Cpu => (infer(&x, form), Saved { x: cast::to(x, dtype), form }),
        Device::Cuda(_) => {
            let _timer = profile::time("gelu", 0, 2 * x.len());
            cuda::forward(x, form, dtype)
        }
    }
}

/// `y` alone.
pub fn infer(x: &Tensor, form: Form) -> Tensor {
    let _timer = profile::time("gelu", 0, 2 * x.len());
    match x.device() {
        Device::Cpu => cpu::infer(x, form),
        Device::Cuda(_) => cuda::infer(x, form),
    }
}

/// `y` again, and `dx`, in one pass over `x`: for a layer that did not save `y`. Overwrites `dy` with
/// `dx` and returns `y`.
pub fn recompute_and_backward(saved: Saved, dy: &mut Tensor) -> Tensor {
    let _timer = profile::time("gelu, again and backward", 0, 4 * dy.len());
    assert_eq!(saved.x.len(), dy.len(), "sizes of input and gradient of GELU");
    match dy.device() {
        Device::Cpu => cpu::recompute_and_backward(saved, dy),
        Device::Cuda(_) => cuda::recompute_and_backward(saved, dy),
    }
}

/// `dx`, in place of `dy`.
pub fn backward(saved: Saved, mut dy: Tensor) -> Tensor {
    match dy.device() {
        Device::Cpu => drop(recompute_and_backward(saved, &mut dy)),
        Device::Cuda(_) => {
            let _timer = profile::time("gelu, backward", 0, 3 * dy.len());
            assert_eq!(saved.x.len(), dy.len(), "sizes of input and gradient of GELU");
            cuda::backward(&saved, &mut dy);
        }
    }
    dy
}

#[cfg(test)]
mod tests;
