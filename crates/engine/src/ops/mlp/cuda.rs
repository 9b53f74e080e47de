//! A norm and an MLP on a CUDA device: one operation after the other.

use super::{Intermediates, Mlp, Saved};
use crate::ops::{gelu, layer_norm, linear};
use crate::params::Params;
use crate::tensor::Tensor;

pub(super) fn forward(mlp: &Mlp, params: &Params, x: Tensor, keep_hidden: bool) -> (Tensor, Saved) {
    let (normed, norm) = layer_norm::forward(&mlp.first.norm, params, &x);
    let hidden = linear::infer(&mlp.first.linear, params, &normed);
    drop(normed);
    let (activated, hidden) = if keep_hidden {
        let (activated, saved) = gelu::forward(hidden, mlp.gelu, mlp.second.precision.into());
        (activated, Some(saved.x))
    } else {
        (gelu::infer(&hidden, mlp.gelu), None)
    };
    (linear::infer(&mlp.second, params, &activated), Saved { x, norm, hidden })
}

pub(super) fn infer(mlp: &Mlp, params: &Params, x: &Tensor) -> Tensor {
    let normed = layer_norm::infer(&mlp.first.norm, params, x);
    let hidden = linear::infer(&mlp.first.linear, params, &normed);
    linear::infer(&mlp.second, params, &gelu::infer(&hidden, mlp.gelu))
}

/// `dx`; adds to the gradients of the norm.
pub(super) fn backward_input(
    mlp: &Mlp,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> (Tensor, Intermediates) {
    let Saved { x, norm, hidden } = saved;
    let normed = layer_norm::apply(&mlp.first.norm, params, &x, &norm);
    let hidden = hidden.unwrap_or_else(|| linear::infer(&mlp.first.linear, params, &normed));
    let mut dhidden = linear::backward_input(&mlp.second, params, dy);
    let activated =
        gelu::recompute_and_backward(gelu::Saved { x: hidden, form: mlp.gelu }, &mut dhidden);
    let dnormed = linear::backward_input(&mlp.first.linear, params, &dhidden);
    let dx = layer_norm::backward(&mlp.first.norm, params, &x, norm, dnormed, grads);
    (dx, Intermediates { normed, activated, dhidden })
}
