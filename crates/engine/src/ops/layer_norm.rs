//! Layer normalization over the last extent.
//!
//! ```text
//! x̂ = (x − mean) · rstd,   rstd = 1 / √(variance + eps)        y = γ ⊙ x̂ + β
//!
//! dx = rstd · (g − ⟨g⟩ − x̂ ⟨g ⊙ x̂⟩),  g = dy ⊙ γ        dγ += Σ dy ⊙ x̂        dβ += Σ dy
//! ```
//!
//! `x`, `y` are `[rows, d]`, `γ`, `β` are `[d]`; ⟨·⟩ is the mean over a row. The variance takes two
//! passes: E\[x²\] − E\[x\]² loses every digit where the mean is large. Saved are 8 bytes a row; `x`
//! itself stays with the caller, who has it anyway, and `y` is recomputed from it by [`apply`].

#[cfg(test)]
mod cuda;

use rayon::prelude::*;

use crate::params::{Params, Range};
use crate::pool::Buffer;
use crate::profile;
use crate::rows::{BLOCK, OneByOne, add_partials, add_rows, for_each_block};
use crate::simd::{dot_about, sum, sum_of_squares_about};
use crate::tensor::Tensor;
use dispatch::kernel;

/// Where γ and β lie, and ε.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm {
    /// γ, `[d]`.
    pub weight: Range,
    /// β, `[d]`.
    pub bias: Range,
    /// ε, added to the variance.
    pub eps: f32,
}

/// Mean and 1 / standard deviation of each row.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    pub(super) stats: Tensor, // [rows, 2]
}

impl Saved {
    /// Room for so many rows.
    pub(super) fn uninit(rows: usize) -> Self {
        Self { stats: Tensor::uninit(&[rows, 2]) }
    }
}

/// `y` and the statistics of the rows.
pub fn forward(layer: &LayerNorm, params: &Params, x: &Tensor) -> (Tensor, Saved) {
    let _timer = profile::time("layer norm", 0, 2 * x.len());
    let (layer, d) = (layer.ready(params), x.width());
    assert_eq!(layer.gamma.len(), d, "width of the input of a layer norm");
    let (mut y, mut saved) = (Tensor::uninit(x.shape()), Saved::uninit(x.rows()));
    let outputs = y.par_chunks_mut(BLOCK * d).zip(saved.stats.par_chunks_mut(BLOCK * 2));
    let blocks = x.par_chunks(BLOCK * d).zip(outputs);
    blocks.one_by_one().for_each(|(x, (y, stats))| layer.rows(x, stats, y));
    (y, saved)
}

/// `y` alone.
pub fn infer(layer: &LayerNorm, params: &Params, x: &Tensor) -> Tensor {
    forward(layer, params, x).0
}

/// `y` again, from the statistics of the forward pass.
pub fn apply(layer: &LayerNorm, params: &Params, x: &Tensor, saved: &Saved) -> Tensor {
    let _timer = profile::time("layer norm", 0, 2 * x.len());
    let (layer, d) = (layer.ready(params), x.width());
    assert_eq!(layer.gamma.len(), d, "width of the input of a layer norm");
    let mut y = Tensor::uninit(x.shape());
    for_each_block(
        &mut y,
        d,
        #[inline(always)]
        |first, y| {
            let x = &x[first * d..][..y.len()];
            layer.apply(x, &saved.stats[2 * first..], y);
        },
    );
    y
}

/// `dx` in place of `dy`; adds to the gradients of γ and β.
pub fn backward(
    layer: &LayerNorm,
    params: &Params,
    x: &Tensor,
    saved: Saved,
    mut dy: Tensor,
    grads: &mut Params,
) -> Tensor {
    // More rows than elsewhere: every block costs a partial result.
    const ROWS: usize = 4 * BLOCK;
    let _timer = profile::time("layer norm, backward", 0, 3 * x.len());
    let d = x.width();
    assert_eq!(x.len(), dy.len(), "sizes of input and gradient of a layer norm");
    let backward = layer.backward_ready(params);
    let mut partial = Buffer::take(x.rows().div_ceil(ROWS) * 2 * d);
    let blocks = x.par_chunks(ROWS * d).zip(saved.stats.par_chunks(ROWS * 2));
    let outputs = dy.par_chunks_mut(ROWS * d).zip(partial.par_chunks_mut(2 * d));
    blocks.zip(outputs).one_by_one().for_each(|((x, stats), (dy, partial))| {
        backward.rows(x, stats, dy, partial);
    });
    backward.add(&partial, grads);
    dy
}

/// A norm for some rows at a time on the calling thread, as many as there are.
pub(super) struct Ready<'a> {
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
}

/// The way back, for some rows at a time.
pub(super) struct BackwardReady<'a> {
    layer: LayerNorm,
    gamma: &'a [f32],
}

impl LayerNorm {
    pub(super) fn ready<'a>(&self, params: &'a Params) -> Ready<'a> {
        let (gamma, beta) = (params.get(self.weight), params.get(self.bias));
        Ready { gamma, beta, eps: self.eps }
    }

    pub(super) fn backward_ready<'a>(&self, params: &'a Params) -> BackwardReady<'a> {
        BackwardReady { layer: *self, gamma: params.get(self.weight) }
    }
}

impl Ready<'_> {
    /// `y` and the statistics.
    pub(super) fn rows(&self, x: &[f32], stats: &mut [f32], y: &mut [f32]) {
        measure_rows(x, self.gamma.len(), self.eps, stats);
        self.apply(x, stats, y);
    }

    /// `y` from the statistics.
    pub(super) fn apply(&self, x: &[f32], stats: &[f32], y: &mut [f32]) {
        apply_rows(x, stats, self.gamma, self.beta, y);
    }
}

impl BackwardReady<'_> {
    /// `dx` in place of `dy`; `partial`, `[2 d]`, becomes what these rows have to the gradients of γ and β.
    pub(super) fn rows(&self, x: &[f32], stats: &[f32], dy: &mut [f32], partial: &mut [f32]) {
        partial.fill(0.0);
        let (dgamma, dbeta) = partial.split_at_mut(self.gamma.len());
        add_gamma_rows(x, stats, dy, dgamma);
        add_rows(dbeta, dy);
        backward_rows(self.gamma, x, stats, dy);
    }

    /// Adds partial gradients in their order.
    pub(super) fn add(&self, partials: &[f32], grads: &mut Params) {
        let d = self.gamma.len();
        add_partials(grads.get_mut(self.layer.weight), partials, (2 * d, 0));
        add_partials(grads.get_mut(self.layer.bias), partials, (2 * d, d));
    }
}

kernel! {
    /// Mean and 1 / standard deviation of as many rows as `stats` has.
    fn measure_rows(x: &[f32], d: usize, eps: f32, stats: &mut [f32]) {
        for (x, stats) in x.chunks_exact(d).zip(stats.as_chunks_mut::<2>().0) {
            let mean = sum(x) / d as f32;
            let variance = sum_of_squares_about(x, mean) / d as f32;
            *stats = [mean, 1.0 / (variance + eps).sqrt()];
        }
    }
}

kernel! {
    /// As many rows as `y` has.
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

#[cfg(test)]
mod tests;
