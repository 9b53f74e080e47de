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

use rayon::prelude::*;

use crate::params::{Params, Range};
use crate::profile;
use crate::rows::{BLOCK, add_column_sums, add_rows, for_each_block};
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
    stats: Tensor, // [rows, 2]
}

/// `y` and the statistics of the rows.
pub fn forward(layer: &LayerNorm, params: &Params, x: &Tensor) -> (Tensor, Saved) {
    let timer = profile::time("layer norm, statistics", 0, x.len());
    let (rows, d) = (x.rows(), x.width());
    let mut stats = Tensor::uninit(&[rows, 2]);
    for_each_block(
        &mut stats,
        2,
        #[inline(always)]
        |first, block| {
            measure_rows(&x[first * d..], d, layer.eps, block);
        },
    );
    drop(timer);
    let saved = Saved { stats };
    (apply(layer, params, x, &saved), saved)
}

/// `y` alone.
pub fn infer(layer: &LayerNorm, params: &Params, x: &Tensor) -> Tensor {
    forward(layer, params, x).0
}

/// `y` again, from the statistics of the forward pass.
pub fn apply(layer: &LayerNorm, params: &Params, x: &Tensor, saved: &Saved) -> Tensor {
    let _timer = profile::time("layer norm", 0, 2 * x.len());
    let d = x.width();
    let (gamma, beta) = (params.get(layer.weight), params.get(layer.bias));
    assert_eq!(gamma.len(), d, "width of the input of a layer norm");
    let mut y = Tensor::uninit(x.shape());
    for_each_block(
        &mut y,
        d,
        #[inline(always)]
        |first, block| {
            apply_rows(&x[first * d..], &saved.stats[2 * first..], gamma, beta, block);
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
    let _timer = profile::time("layer norm, backward", 0, 3 * x.len());
    let (rows, d) = (x.rows(), x.width());
    assert_eq!(x.len(), dy.len(), "sizes of input and gradient of a layer norm");
    add_column_sums(
        grads.get_mut(layer.weight),
        rows,
        #[inline(always)]
        |range, sums| {
            let rows = range.start * d..range.end * d;
            add_gamma_rows(&x[rows.clone()], &saved.stats[2 * range.start..], &dy[rows], sums);
        },
    );
    add_column_sums(
        grads.get_mut(layer.bias),
        rows,
        #[inline(always)]
        |range, sums| {
            add_rows(sums, &dy[range.start * d..range.end * d]);
        },
    );
    let gamma = params.get(layer.weight);
    let blocks = dy.par_chunks_mut(BLOCK * d).zip(x.par_chunks(BLOCK * d));
    blocks.zip(saved.stats.par_chunks(BLOCK * 2)).for_each(|((dy, x), stats)| {
        backward_rows(gamma, x, stats, dy);
    });
    dy
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
