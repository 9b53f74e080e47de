//! A layer norm and a linear layer on the CPU.

use pool::Buffer;
use rayon::prelude::*;

use super::{NormedLinear, Saved};
use crate::ops::layer_norm;
use crate::ops::layer_norm::cpu::{RowNorm, RowNormBackward};
use crate::ops::linear::cpu::RowLinear;
use crate::params::Params;
use crate::tensor::Tensor;

pub(super) fn forward(
    layers: &NormedLinear,
    params: &Params,
    x: &Tensor,
) -> (Tensor, layer_norm::Saved) {
    let (rows, input, output) = (x.rows(), layers.linear.input, layers.linear.output);
    let (mut y, mut saved) = (Tensor::uninit(&[rows, output]), layer_norm::Saved::uninit(rows));
    let norm = RowNorm::new(&layers.norm, params);
    let linear = RowLinear::forward(&layers.linear, params);
    let block = linear.block(rows);
    let stats = saved.stats.host_mut().par_chunks_mut(block * 2);
    let blocks = x.host().par_chunks(block * input).zip(stats);
    let blocks = blocks.zip(y.host_mut().par_chunks_mut(block * output));
    blocks.with_max_len(1).for_each(|((x, stats), y)| {
        let mut normed = Buffer::take(x.len());
        norm.forward(x, stats, &mut normed);
        linear.rows(&normed, y);
    });
    (y, saved)
}

/// `dx`, in the memory of `x`; adds to the gradients of the norm.
pub(super) fn backward_input(
    layers: &NormedLinear,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    let Saved { mut x, norm: saved } = saved;
    let (rows, input, output) = (x.rows(), layers.linear.input, layers.linear.output);
    let norm = RowNormBackward::new(&layers.norm, params);
    let linear = RowLinear::backward(&layers.linear, params);
    let block = linear.block(rows);
    let mut partial = Buffer::take(rows.div_ceil(block) * 2 * input);
    let stats = saved.stats.host().par_chunks(block * 2);
    let inputs = stats.zip(dy.host().par_chunks(block * output));
    let blocks = x.host_mut().par_chunks_mut(block * input).zip(inputs);
    let blocks = blocks.zip(partial.par_chunks_mut(2 * input));
    blocks.with_max_len(1).for_each(|((x, (stats, dy)), partial)| {
        let mut dnormed = Buffer::take(x.len());
        linear.rows(dy, &mut dnormed);
        norm.rows(x, stats, &mut dnormed, partial);
        x.copy_from_slice(&dnormed);
    });
    norm.add(&partial, grads);
    x
}
