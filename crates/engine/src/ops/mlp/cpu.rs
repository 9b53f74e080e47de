//! A norm and an MLP on the CPU, some rows at a time.

use pool::Buffer;
use rayon::prelude::*;

use super::{Intermediates, Mlp, Saved};
use crate::ops::cast::cpu::{BlockMut, blocks_mut, unpack};
use crate::ops::gelu;
use crate::ops::layer_norm;
use crate::ops::layer_norm::cpu::{RowNorm, RowNormBackward};
use crate::ops::linear::cpu::RowLinear;
use crate::params::Params;
use crate::tensor::Tensor;

pub(super) fn forward(mlp: &Mlp, params: &Params, x: Tensor, keep_hidden: bool) -> (Tensor, Saved) {
    let shape = [x.rows(), mlp.second.input];
    let mut hidden = keep_hidden.then(|| Tensor::uninit_of(&shape, mlp.second.precision.into()));
    let (y, norm) = compute(mlp, params, &x, hidden.as_mut());
    (y, Saved { x, norm, hidden })
}

pub(super) fn infer(mlp: &Mlp, params: &Params, x: &Tensor) -> Tensor {
    compute(mlp, params, x, None).0
}

fn compute(
    mlp: &Mlp,
    params: &Params,
    x: &Tensor,
    hidden: Option<&mut Tensor>,
) -> (Tensor, layer_norm::Saved) {
    let (rows, d, wide) = (x.rows(), mlp.second.output, mlp.second.input);
    let (mut y, mut norm) = (Tensor::uninit(&[rows, d]), layer_norm::Saved::uninit(rows));
    let forward = Forward {
        norm: RowNorm::new(&mlp.first.norm, params),
        first: RowLinear::forward(&mlp.first.linear, params),
        gelu: mlp.gelu,
        second: RowLinear::forward(&mlp.second, params),
    };
    let block = forward.first.block(rows);
    let hidden: Vec<Option<BlockMut<'_>>> = match hidden {
        Some(hidden) => blocks_mut(hidden, block * wide).into_iter().map(Some).collect(),
        None => (0..rows.div_ceil(block)).map(|_| None).collect(),
    };
    let saved = norm.stats.host_mut().par_chunks_mut(block * 2).zip(hidden);
    let outputs = saved.zip(y.host_mut().par_chunks_mut(block * d));
    let blocks = x.host().par_chunks(block * d).zip(outputs);
    blocks.with_max_len(1).for_each(|(x, ((stats, hidden), y))| {
        forward.rows(x, Outputs { stats, hidden, y }, &mut Scratch::new(mlp, x.len() / d));
    });
    (y, norm)
}

/// The forward pass through all layers for some rows at a time.
struct Forward<'a> {
    norm: RowNorm<'a>,
    first: RowLinear<'a>,
    gelu: gelu::Form,
    second: RowLinear<'a>,
}

/// Where the results for some rows go.
struct Outputs<'a> {
    stats: &'a mut [f32],
    hidden: Option<BlockMut<'a>>, // if it is saved
    y: &'a mut [f32],
}

/// The values between `x` and `y` for some rows.
struct Scratch {
    normed: Buffer,
    hidden: Buffer,
    activated: Buffer,
}

impl Scratch {
    fn new(mlp: &Mlp, rows: usize) -> Self {
        let (d, hidden) = (mlp.second.output, mlp.second.input);
        Self {
            normed: Buffer::take(rows * d),
            hidden: Buffer::take(rows * hidden),
            activated: Buffer::take(rows * hidden),
        }
    }
}

impl Forward<'_> {
    fn rows(&self, x: &[f32], outputs: Outputs<'_>, scratch: &mut Scratch) {
        let Scratch { normed, hidden, activated } = scratch;
        self.norm.forward(x, outputs.stats, normed);
        let mut compute = |hidden: &mut [f32]| {
            self.first.rows(normed, hidden);
            self.gelu.activate(hidden, activated);
        };
        match outputs.hidden {
            Some(block) => block.fill(hidden, compute),
            None => compute(hidden),
        }
        self.second.rows(activated, outputs.y);
    }
}

/// The backward pass through all layers for some rows at a time.
struct Backward<'a> {
    norm: RowNorm<'a>,
    norm_backward: RowNormBackward<'a>,
    /// Computes `h` again where it was not saved.
    recompute: Option<RowLinear<'a>>,
    first: RowLinear<'a>,
    second: RowLinear<'a>,
}

impl<'a> Backward<'a> {
    fn new(mlp: &Mlp, params: &'a Params, has_hidden: bool) -> Self {
        let first = &mlp.first.linear;
        Self {
            norm: RowNorm::new(&mlp.first.norm, params),
            norm_backward: RowNormBackward::new(&mlp.first.norm, params),
            recompute: (!has_hidden).then(|| RowLinear::forward(first, params)),
            first: RowLinear::backward(first, params),
            second: RowLinear::backward(&mlp.second, params),
        }
    }
}

/// `dx`, in the memory of `x`; adds to the gradients of the norm.
pub(super) fn backward_input(
    mlp: &Mlp,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> (Tensor, Intermediates) {
    let Saved { mut x, norm, hidden } = saved;
    let (rows, d, wide) = (x.rows(), mlp.second.output, mlp.second.input);
    let backward = Backward::new(mlp, params, hidden.is_some());
    let unpacked = hidden.map(unpack);
    let (mut activated, packed) = unpacked.unwrap_or_else(|| (Tensor::uninit(&[rows, wide]), None));
    let (mut normed, mut dhidden) = (Tensor::uninit(x.shape()), Tensor::uninit(&[rows, wide]));
    let block = backward.first.block(rows);
    let mut partial = Buffer::take(rows.div_ceil(block) * 2 * d);

    let inputs = norm.stats.host().par_chunks(block * 2).zip(dy.host().par_chunks(block * d));
    let activated_blocks = activated.host_mut().par_chunks_mut(block * wide);
    let hiddens = activated_blocks.zip(dhidden.host_mut().par_chunks_mut(block * wide));
    let normed_blocks = normed.host_mut().par_chunks_mut(block * d);
    let norms = normed_blocks.zip(partial.par_chunks_mut(2 * d));
    let blocks = x.host_mut().par_chunks_mut(block * d).zip(inputs).zip(hiddens).zip(norms);
    blocks.enumerate().with_max_len(1).for_each(|(i, values)| {
        let (((x, (stats, dy)), (activated, dhidden)), (normed, partial)) = values;
        let mut dnormed = Buffer::take(x.len());
        backward.norm.apply(x, stats, normed);
        if let Some(first) = &backward.recompute {
            first.rows(normed, activated);
        } else if let Some(packed) = &packed {
            packed.widen(i * block * wide, activated);
        }
        backward.second.rows(dy, dhidden);
        mlp.gelu.activate_and_differentiate(activated, dhidden);
        backward.first.rows(dhidden, &mut dnormed);
        backward.norm_backward.rows(x, stats, &mut dnormed, partial);
        x.copy_from_slice(&dnormed);
    });
    backward.norm_backward.add(&partial, grads);
    (x, Intermediates { normed, activated, dhidden })
}
