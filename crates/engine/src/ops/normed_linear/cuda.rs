//! A layer norm and a linear layer on a CUDA device: one operation after the other.

use super::{NormedLinear, Saved};
use crate::ops::{layer_norm, linear};
use crate::params::Params;
use crate::tensor::Tensor;

pub(super) fn forward(
    layers: &NormedLinear,
    params: &Params,
    x: &Tensor,
) -> (Tensor, layer_norm::Saved) {
    let (normed, saved) = layer_norm::forward(&layers.norm, params, x);
    (linear::infer(&layers.linear, params, &normed), saved)
}

/// `dx`; adds to the gradients of the norm.
pub(super) fn backward_input(
    layers: &NormedLinear,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    let dnormed = linear::backward_input(&layers.linear, params, dy);
    layer_norm::backward(&layers.norm, params, &saved.x, saved.norm, dnormed, grads)
}
