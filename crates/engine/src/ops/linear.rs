//! `y = x Wᵀ + b`.
//!
//! ```text
//! dx = dy W        dW += dyᵀ x        db += Σ_rows dy
//! ```
//!
//! `x` is `[rows, in]`, `W` is `[out, in]` as in PyTorch, `b` is `[out]`, `y` is `[rows, out]`.

pub(super) mod cpu;

use matmul::Precision;

use crate::params::{Param, Params};
use crate::profile;
use crate::tensor::Tensor;

/// A linear layer.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    /// `W`, `[output, input]`.
    pub weight: Param,
    /// `b`, `[output]`.
    pub bias: Param,
    /// Width of `x`.
    pub input: usize,
    /// Width of `y`.
    pub output: usize,
    /// What the operands of the three matmuls are rounded to. Results are f32 in any case.
    pub precision: Precision,
}

impl Linear {
    fn timer(&self, name: &'static str, rows: usize) -> profile::Timer {
        let Self { input, output, .. } = *self;
        let values = rows * (input + output) + input * output;
        profile::time(name, 2 * rows * input * output, values)
    }

    fn check_input(&self, x: &Tensor) {
        assert_eq!(x.width(), self.input, "width of the input of a linear layer");
    }

    fn check_gradient(&self, dy: &Tensor) {
        assert_eq!(dy.width(), self.output, "width of the gradient of a linear layer");
    }
}

/// `y`. There is no form that saves `x`: callers have it, or recompute it, and give it to
/// [`backward_params`].
pub fn infer(layer: &Linear, params: &Params, x: &Tensor) -> Tensor {
    let _timer = layer.timer("linear", x.rows());
    layer.check_input(x);
    let bias = params.view(layer.bias).len();
    assert_eq!(bias, layer.output, "bias of a linear layer");
    cpu::infer(layer, &params.on_host(), &x.on_host()).to(&x.device())
}

/// `dx`: the part of the backward pass that does not need `x`.
pub fn backward_input(layer: &Linear, params: &Params, dy: &Tensor) -> Tensor {
    let _timer = layer.timer("linear, gradient of input", dy.rows());
    layer.check_gradient(dy);
    cpu::backward_input(layer, &params.on_host(), &dy.on_host()).to(&dy.device())
}

/// Adds to the gradients of weight and bias: the part of the backward pass that needs `x`.
pub fn backward_params(layer: &Linear, x: &Tensor, dy: &Tensor, grads: &mut Params) {
    let _timer = layer.timer("linear, gradients of weight and bias", dy.rows());
    layer.check_gradient(dy);
    assert_eq!(x.shape(), [dy.rows(), layer.input], "input of a linear layer");
    grads.on_host_mut(|grads| cpu::backward_params(layer, &x.on_host(), &dy.on_host(), grads));
}

#[cfg(test)]
mod tests;
