//! `y = x Wᵀ + b`.
//!
//! ```text
//! dx = dy W        dW += dyᵀ x        db += Σ_rows dy
//! ```
//!
//! `x` is `[rows, in]`, `W` is `[out, in]` as in PyTorch, `b` is `[out]`, `y` is `[rows, out]`.

use crate::matmul::{Mat, MatMut, Precision, Product, matmul};
use crate::params::{Params, Range};
use crate::profile;
use crate::rows::{add_column_sums, add_rows};
use crate::tensor::Tensor;

/// Where weight and bias lie.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    /// `[output, input]`.
    pub weight: Range,
    /// `[output]`, directly behind the weight or anywhere later.
    pub bias: Range,
    /// Width of `x`.
    pub input: usize,
    /// Width of `y`.
    pub output: usize,
    /// What the factors of the three products are rounded to; results are f32 in any case.
    pub precision: Precision,
}

impl Linear {
    fn timer(&self, name: &'static str, rows: usize) -> profile::Timer {
        let Self { input, output, .. } = *self;
        let numbers = rows * (input + output) + input * output;
        profile::time(name, 2 * rows * input * output, numbers)
    }
}

/// What backward needs: the input. A layer that can recompute its input cheaply calls [`infer`] and,
/// in its own backward, the two halves [`backward_input`] and [`backward_params`].
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    /// `[rows, input]`.
    pub x: Tensor,
}

/// `y`, and `x` kept for backward.
pub fn forward(layer: &Linear, params: &Params, x: Tensor) -> (Tensor, Saved) {
    (infer(layer, params, &x), Saved { x })
}

/// `y` alone.
pub fn infer(layer: &Linear, params: &Params, x: &Tensor) -> Tensor {
    let _timer = layer.timer("linear", x.rows());
    let (rows, bias) = (x.rows(), params.get(layer.bias));
    assert_eq!(x.width(), layer.input, "width of the input of a linear layer");
    assert_eq!(bias.len(), layer.output, "bias of a linear layer");
    let mut y = Tensor::uninit(&[rows, layer.output]);
    let weight = Mat::new(params.get(layer.weight), layer.output, layer.input);
    let x = Mat::new(x, rows, layer.input);
    let to = MatMut::new(&mut y, rows, layer.output);
    let product = Product::ALL.in_precision(layer.precision);
    matmul(to, x, weight.t(), product.with_bias(bias));
    y
}

/// `dx`; adds to the gradients of weight and bias.
pub fn backward(
    layer: &Linear,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    backward_params(layer, &saved.x, dy, grads);
    backward_input(layer, params, dy)
}

/// The half of [`backward`] that needs no input: `dx`.
pub fn backward_input(layer: &Linear, params: &Params, dy: &Tensor) -> Tensor {
    let _timer = layer.timer("linear, gradient of input", dy.rows());
    let rows = dy.rows();
    assert_eq!(dy.width(), layer.output, "width of the gradient of a linear layer");
    let mut dx = Tensor::uninit(&[rows, layer.input]);
    let weight = Mat::new(params.get(layer.weight), layer.output, layer.input);
    let dy = Mat::new(dy, rows, layer.output);
    let product = Product::ALL.in_precision(layer.precision);
    matmul(MatMut::new(&mut dx, rows, layer.input), dy, weight, product);
    dx
}

/// The half of [`backward`] that needs the input: adds to the gradients of weight and bias.
pub fn backward_params(layer: &Linear, x: &Tensor, dy: &Tensor, grads: &mut Params) {
    let _timer = layer.timer("linear, gradients of weight and bias", dy.rows());
    let rows = dy.rows();
    assert_eq!(dy.width(), layer.output, "width of the gradient of a linear layer");
    assert_eq!(x.shape(), [rows, layer.input], "input of a linear layer");
    let x = Mat::new(x, rows, layer.input);
    let dweight = MatMut::new(grads.get_mut(layer.weight), layer.output, layer.input);
    let dy_matrix = Mat::new(dy, rows, layer.output);
    let product = Product::ALL.in_precision(layer.precision);
    matmul(dweight, dy_matrix.t(), x, product.added());
    add_column_sums(
        grads.get_mut(layer.bias),
        rows,
        #[inline(always)]
        |range, sums| {
            add_rows(sums, &dy[range.start * layer.output..range.end * layer.output]);
        },
    );
}

#[cfg(test)]
mod tests;
