//! A layer norm and the linear layer behind it.
//!
//! ```text
//! y = norm(x) Wᵀ + b
//! ```
//!
//! Some rows at a time go through both, so that the norm's output never leaves the cache; it is computed
//! again for the gradient of the weight. What each half computes stands in [`layer_norm`] and [`linear`].
//!
//! `x` is `[rows, in]`, `y` is `[rows, out]`.

use rayon::prelude::*;

use super::layer_norm::{self, LayerNorm};
use super::linear::{self, Linear};
use crate::params::Params;
use crate::pool::Buffer;
use crate::profile;
use crate::rows::OneByOne;
use crate::tensor::Tensor;

/// The two layers.
#[derive(Debug, Clone, Copy)]
pub struct NormedLinear {
    /// The norm, of the linear layer's input.
    pub norm: LayerNorm,
    /// The linear layer.
    pub linear: Linear,
}

/// What backward needs beside the gradient.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    /// `[rows, in]`.
    pub(super) x: Tensor,
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
    let (rows, input, output) = (x.rows(), layers.linear.input, layers.linear.output);
    let _timer = profile::time(
        "norm and linear",
        2 * rows * input * output,
        rows * (input + output) + input * output,
    );
    assert_eq!(x.width(), input, "width of the input of a linear layer");
    let (mut y, mut norm) = (Tensor::uninit(&[rows, output]), layer_norm::Saved::uninit(rows));
    let (of_norm, linear) = (layers.norm.ready(params), layers.linear.ready(params));
    let block = linear.block(rows);
    let pieces = x.par_chunks(block * input).zip(norm.stats.par_chunks_mut(block * 2));
    let pieces = pieces.zip(y.par_chunks_mut(block * output));
    pieces.one_by_one().for_each(|((x, stats), y)| {
        let mut normed = Buffer::take(x.len());
        of_norm.rows(x, stats, &mut normed);
        linear.rows(&normed, y);
    });
    (y, norm)
}

/// `dx`, in the place of `x`; adds to the gradients of both layers.
pub fn backward(
    layers: &NormedLinear,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    let NormedLinear { norm: of_norm, linear: layer } = layers;
    let Saved { mut x, norm } = saved;
    let normed = layer_norm::apply(of_norm, params, &x, &norm);
    linear::backward_params(layer, &normed, dy, grads);
    drop(normed);
    let (rows, input, output) = (x.rows(), layer.input, layer.output);
    let _timer = profile::time(
        "norm and linear, gradient of input",
        2 * rows * input * output,
        rows * (2 * input + output) + input * output,
    );
    let (backward, linear) = (of_norm.backward_ready(params), layer.ready_backward(params));
    let block = linear.block(rows);
    let mut partial = Buffer::take(rows.div_ceil(block) * 2 * input);
    let inputs = norm.stats.par_chunks(block * 2).zip(dy.par_chunks(block * output));
    let pieces = x.par_chunks_mut(block * input).zip(inputs).zip(partial.par_chunks_mut(2 * input));
    pieces.one_by_one().for_each(|((x, (stats, dy)), partial)| {
        let mut dnormed = Buffer::take(x.len());
        linear.rows(dy, &mut dnormed);
        backward.rows(x, stats, &mut dnormed, partial);
        x.copy_from_slice(&dnormed);
    });
    backward.add(&partial, grads);
    x
}

#[cfg(test)]
mod tests;
