//! A norm and the MLP of a transformer block.
//!
//! ```text
//! n = norm(x)        h = n W₁ᵀ + b₁        a = gelu(h)        y = a W₂ᵀ + b₂
//!
//! da = dy W₂         dh = gelu'(h) ⊙ da    dn = dh W₁         dx = norm'(x, dn)
//! dW₁ += dhᵀ n       dW₂ += dyᵀ a
//! ```
//!
//! GELU has the form that the layers were trained with. `x` and `y` are `[rows, d]`, `h` is `[rows, hidden]`. Each line runs on some rows at a time, so that
//! nothing between `x` and `y`, or between `dy` and `dx`, is read from memory. Saved are `x` and, unless
//! the caller wants it recomputed, `h` in the precision of the matmuls. `n` and `a` are always
//! recomputed. For the formulas of each part see [`layer_norm`], [`linear`] and [`gelu`].

mod cpu;
mod cuda;

use super::linear::{self, Linear};
use super::normed_linear::NormedLinear;
use super::{gelu, layer_norm};
use crate::device::Device;
use crate::params::Params;
use crate::profile;
use crate::tensor::Tensor;

/// The layers.
#[derive(Debug, Clone, Copy)]
pub struct Mlp {
    /// The norm and `W₁`, `b₁`.
    pub first: NormedLinear,
    /// The function between both.
    pub gelu: gelu::Form,
    /// `W₂`, `b₂`.
    pub second: Linear,
}

impl Mlp {
    fn timer(&self, name: &'static str, rows: usize) -> profile::Timer {
        let (d, hidden) = (self.second.output, self.second.input);
        profile::time(name, 4 * rows * d * hidden, rows * (2 * d + hidden) + 2 * d * hidden)
    }

    fn check(&self, x: &Tensor) {
        assert_eq!(x.width(), self.second.output, "width of the input of an MLP");
    }
}

/// What backward needs beside the gradient.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    x: Tensor, // [rows, d]
    norm: layer_norm::Saved,
    hidden: Option<Tensor>, // `h`, [rows, hidden]; none: backward computes it again
}

/// What backward computes on its way from `dy` to `dx`, for the gradients of the weights.
struct Intermediates {
    normed: Tensor,    // `n`, [rows, d]
    activated: Tensor, // `a`, [rows, hidden]
    dhidden: Tensor,   // `dh`, [rows, hidden]
}

/// `y`, and what backward needs: with `h` or without it.
pub fn forward(mlp: &Mlp, params: &Params, x: Tensor, keep_hidden: bool) -> (Tensor, Saved) {
    let _timer = mlp.timer("mlp", x.rows());
    mlp.check(&x);
    match x.device() {
        Device::Cpu => cpu::forward(mlp, params, x, keep_hidden),
        Device::Cuda(_) => cuda::forward(mlp, params, x, keep_hidden),
    }
}

/// `y` alone.
pub fn infer(mlp: &Mlp, params: &Params, x: &Tensor) -> Tensor {
    let _timer = mlp.timer("mlp", x.rows());
    mlp.check(x);
    match x.device() {
        Device::Cpu => cpu::infer(mlp, params, x),
        Device::Cuda(_) => cuda::infer(mlp, params, x),
    }
}

/// `dx`; adds to the gradients of all layers.
pub fn backward(
    mlp: &Mlp,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    let (dx, intermediates) = {
        let _timer = mlp.timer("mlp, backward", dy.rows());
        assert_eq!(dy.shape(), saved.x.shape(), "gradient of an MLP");
        match dy.device() {
            Device::Cpu => cpu::backward_input(mlp, params, saved, dy, grads),
            Device::Cuda(_) => cuda::backward_input(mlp, params, saved, dy, grads),
        }
    };
    let Intermediates { normed, activated, dhidden } = intermediates;
    linear::backward_params(&mlp.second, &activated, dy, grads);
    drop(activated);
    linear::backward_params(&mlp.first.linear, &normed, &dhidden, grads);
    dx
}

#[cfg(test)]
mod tests;
