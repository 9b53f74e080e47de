//! Layer normalization on the CPU.

use pool::Buffer;
use rayon::prelude::*;

use super::{LayerNorm, Saved};
use crate::params::{Param, Params};
use crate::rows::{BLOCK, Part, add_partials, add_rows, for_each_block};
use crate::simd::{dot_about, sum, sum_of_squares_about};
use crate::tensor::Tensor;
use dispatch::kernel;

pub(super) fn forward(layer: &LayerNorm, params: &Params, x: &Tensor) -> (Tensor, Saved) {
    let (norm, d) = (RowNorm::new(layer, params), x.width());
    let (mut y, mut saved) = (Tensor::uninit(x.shape()), Saved::uninit(x.rows()));
    let stats = saved.stats.host_mut().par_chunks_mut(BLOCK * 2);
    let outputs = y.host_mut().par_chunks_mut(BLOCK * d).zip(stats);
    let blocks = x.host().par_chunks(BLOCK * d).zip(outputs);
    blocks.with_max_len(1).for_each(|(x, (y, stats))| norm.forward(x, stats, y));
    (y, saved)
}

pub(super) fn apply(layer: &LayerNorm, params: &Params, x: &Tensor, stats: &Tensor) -> Tensor {
    let (norm, d) = (RowNorm::new(layer, params), x.width());
    let mut y = Tensor::uninit(x.shape());
    let (x, stats) = (x.host(), stats.host());
    for_each_block(
        y.host_mut(),
        d,
        #[inline(always)]
        |first, y| {
            let x = &x[first * d..][..y.len()];
            norm.apply(x, &stats[2 * first..], y);
        },
    );
    y
}

pub(super) fn backward(
    layer: &LayerNorm,
    params: &Params,
    x: &Tensor,
    stats: &Tensor,
    dy: &mut Tensor,
    grads: &mut Params,
) {
    // More rows than elsewhere: every block costs a partial result.
    const ROWS: usize = 4 * BLOCK;
    let d = x.width();
    let backward = RowNormBackward::new(layer, params);
    let mut partial = Buffer::take(x.rows().div_ceil(ROWS) * 2 * d);
    let blocks = x.host().par_chunks(ROWS * d).zip(stats.host().par_chunks(ROWS * 2));
    let outputs = dy.host_mut().par_chunks_mut(ROWS * d).zip(partial.par_chunks_mut(2 * d));
    blocks.zip(outputs).with_max_len(1).for_each(|((x, stats), (dy, partial))| {
        backward.rows(x, stats, dy, partial);
    });
    backward.add(&partial, grads);
}

/// A layer norm that works on some rows at a time, on the calling thread.
pub(in crate::ops) struct RowNorm<'a> {
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
}

impl<'a> RowNorm<'a> {
    pub(in crate::ops) fn new(layer: &LayerNorm, params: &'a Params) -> Self {
        let (gamma, beta) = (params.view(layer.weight).host(), params.view(layer.bias).host());
        Self { gamma, beta, eps: layer.eps }
    }

    /// `y` and the statistics.
    pub(in crate::ops) fn forward(&self, x: &[f32], stats: &mut [f32], y: &mut [f32]) {
        measure_rows(x, self.gamma.len(), self.eps, stats);
        self.apply(x, stats, y);
    }

    /// `y` from the statistics.
    pub(in crate::ops) fn apply(&self, x: &[f32], stats: &[f32], y: &mut [f32]) {
        apply_rows(x, stats, self.gamma, self.beta, y);
    }
}

/// The backward pass of a layer norm for some rows at a time, on the calling thread.
pub(in crate::ops) struct RowNormBackward<'a> {
    gamma: &'a [f32],
    weight: Param,
    bias: Param,
}

impl<'a> RowNormBackward<'a> {
    pub(in crate::ops) fn new(layer: &LayerNorm, params: &'a Params) -> Self {
        let gamma = params.view(layer.weight).host();
        Self { gamma, weight: layer.weight, bias: layer.bias }
    }

    /// `dx` in place of `dy`. Sets `partial`, `[2 d]`, to the gradients of γ and β from these rows.
    pub(in crate::ops) fn rows(
        &self,
        x: &[f32],
        stats: &[f32],
        dy: &mut [f32],
        partial: &mut [f32],
    ) {
        partial.fill(0.0);
        let (dgamma, dbeta) = partial.split_at_mut(self.gamma.len());
        add_gamma_rows(x, stats, dy, dgamma);
        add_rows(dbeta, dy);
        backward_rows(self.gamma, x, stats, dy);
    }

    /// Adds the partial gradients of all blocks of rows, in their order.
    pub(in crate::ops) fn add(&self, partials: &[f32], grads: &mut Params) {
        let d = self.gamma.len();
        let part = |first| Part { stride: 2 * d, first };
        add_partials(grads.view_mut(self.weight).host_mut(), partials, part(0));
        add_partials(grads.view_mut(self.bias).host_mut(), partials, part(d));
    }
}

kernel! {
    /// Mean and 1 / standard deviation of each row.
    fn measure_rows(x: &[f32], d: usize, eps: f32, stats: &mut [f32]) {
        for (x, stats) in x.chunks_exact(d).zip(stats.as_chunks_mut::<2>().0) {
            let mean = sum(x) / d as f32;
            let variance = sum_of_squares_about(x, mean) / d as f32;
            *stats = [mean, 1.0 / (variance + eps).sqrt()];
        }
    }
}

kernel! {
    /// `y` of each row, from its statistics.
    fn apply_rows(x: &[f32], stats: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
        let d = gamma.len();
        let rows = y.chunks_exact_mut(d).zip(x.chunks_exact(d));
        for ((y, x), &[mean, rstd]) in rows.zip(stats.as_chunks::<2>().0) {
            for j in 0..d {
                y[j] = ((x[j] - mean) * rstd).mul_add(gamma[j], beta[j]);
            }
        }
    }
}

kernel! {
    /// `sums += Σ dy ⊙ x̂`.
    fn add_gamma_rows(x: &[f32], stats: &[f32], dy: &[f32], sums: &mut [f32]) {
        let d = sums.len();
        let rows = x.chunks_exact(d).zip(dy.chunks_exact(d));
        for ((x, dy), &[mean, rstd]) in rows.zip(stats.as_chunks::<2>().0) {
            for j in 0..d {
                sums[j] += dy[j] * ((x[j] - mean) * rstd);
            }
        }
    }
}

kernel! {
    fn backward_rows(gamma: &[f32], x: &[f32], stats: &[f32], dy: &mut [f32]) {
        let d = gamma.len();
        let rows = dy.chunks_exact_mut(d).zip(x.chunks_exact(d));
        for ((dy, x), stats) in rows.zip(stats.as_chunks::<2>().0) {
            backward_row(gamma, x, *stats, dy);
        }
    }
}

/// One row of `dx`, in place of `dy`; all slices are `[d]`.
#[inline(always)]
fn backward_row(gamma: &[f32], x: &[f32], [mean, rstd]: [f32; 2], dy: &mut [f32]) {
    let d = dy.len();
    let (gamma, x) = (&gamma[..d], &x[..d]);
    for j in 0..d {
        dy[j] *= gamma[j];
    }
    let g_mean = sum(dy) / d as f32;
    // Not rstd (⟨g ⊙ x⟩ − mean ⟨g⟩), which cancels where the mean is large.
    let g_normed_mean = dot_about(dy, x, mean) * rstd / d as f32;
    for j in 0..d {
        dy[j] = rstd * (dy[j] - g_mean - (x[j] - mean) * rstd * g_normed_mean);
    }
}
