//! A layer norm and the linear layer behind it.
//!
//! ```text
//! y = norm(x) Wᵀ + b
//! ```
//!
//! Both run on some rows at a time, so that the norm's output never leaves the cache. Backward computes
//! it again for the gradient of the weight. For the formulas of each half see [`layer_norm`] and
//! [`linear`](super::linear).
//!
//! `x` is `[rows, in]`, `y` is `[rows, out]`.

mod cpu;
mod cuda;

use super::layer_norm::{self, LayerNorm};
use super::linear::Linear;
use crate::device::Device;
use crate::params::Params;
use crate::profile;
use crate::tensor::Tensor;

/// The two layers.
#[derive(Debug, Clone, Copy)]
pub struct NormedLinear {
    /// The norm, of the linear layer's input.
    pub norm: LayerNorm,
    /// The linear layer.
    pub linear: Linear,
}

impl NormedLinear {
    fn timer(&self, name: &'static str, rows: usize, values_of_a_row: usize) -> profile::Timer {
        let Linear { input, output, .. } = self.linear;
        let values = rows * values_of_a_row + input * output;
        profile::time(name, 2 * rows * input * output, values)
    }
}

/// What backward needs beside the gradient.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    pub(super) x: Tensor, // [rows, in]
    pub(super) norm: layer_norm::Saved,
}

/// `y`, and what backward needs.
pub fn forward(layers: &NormedLinear, params: &Params, x: Tensor) -> (Tensor, Saved) {
    let (y, norm) = compute(layers, params, &x);
    (y, Saved { x, norm })
}

/// `y` alone.
pub fn infer(layers: &NormedLinear, params: &Params, x: &Tensor) -> Tensor {
    compute(layers, params, x).0
}

fn compute(layers: &NormedLinear, params: &Params, x: &Tensor) -> (Tensor, layer_norm::Saved) {
    let Linear { input, output, .. } = layers.linear;
    let _timer = layers.timer("norm and linear", x.rows(), input + output);
    assert_eq!(x.width(), input, "width of the input of a linear layer");
    match x.device() {
        Device::Cpu => cpu::forward(layers, params, x),
        Device::Cuda(_) => cuda::forward(layers, params, x),
    }
}

/// `dx`, in the memory of `x`; adds to the gradients of both layers.
pub fn backward(
    layers: &NormedLinear,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    let Saved { x, norm } = saved;
    let normed = layer_norm::apply(&layers.norm, params, &x, &norm);
    super::linear::backward_params(&layers.linear, &normed, dy, grads);
    drop(normed);
    let Linear { input, output, .. } = layers.linear;
    let name = "norm and linear, gradient of input";
    let _timer = layers.timer(name, x.rows(), 2 * input + output);
    let saved = Saved { x, norm };
    match dy.device() {
        Device::Cpu => cpu::backward_input(layers, params, saved, dy, grads),
        Device::Cuda(_) => cuda::backward_input(layers, params, saved, dy, grads),
    }
}

#[cfg(test)]
mod tests;
