//! Position embeddings for a grid of patches other than the stored one: bicubic resampling.
//!
//! ```text
//! out[i, j] = Σ_ab R[i, a] C[j, b] table[a, b]        dtable[a, b] += Σ_ij R[i, a] C[j, b] dout[i, j]
//! ```
//!
//! Row `i` of `R` holds Keys' cubic weights around `(i + ½) / scale − ½`. DINO passes `scale = (n + 0.1) / N`
//! and not the exact `n / N`, which moves the sampling positions; [`Resampling::offset`] is that 0.1.
//!
//! | | a of the kernel | its radius, in cells | cells outside of the grid |
//! | --- | --- | --- | --- |
//! | without antialiasing | −3/4 | 2 | count as those at the border |
//! | with antialiasing | −1/2 | 2 max(1, 1 / scale) | are left out; the others' weights add up to one |
//!
//! Both are PyTorch's `interpolate(mode="bicubic")`. timm and DINOv2 with registers use antialiasing.
//!
//! `table` is `[grid · grid, d]`, `out` is `[gh · gw, d]`. In front of each stands the row of the \[CLS\]
//! token, which is copied.
//! Source: `interpolate_pos_encoding` of DINO's `vision_transformer.py`, by way of our own reference.

mod cpu;

use crate::params::{Param, Params};
use crate::tensor::Tensor;

/// How a position table is resampled. Networks are trained with one way, and must be used with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// Added to the number of patches of a side before the scale is computed.
    pub offset: f64,
    /// Whether the kernel widens where the target grid is coarser than the stored one.
    pub antialias: bool,
}

impl Resampling {
    /// As DINO, iBOT and DINOv2 do.
    pub const DINO: Self = Self { offset: 0.1, antialias: false };
}

/// Weights of the stored cells of a side, for one target cell.
type Taps = Vec<(usize, f64)>;

/// A resampling from a square grid to `gh` × `gw`.
#[derive(Debug, Clone)]
pub struct Resample {
    rows: Vec<Taps>,
    cols: Vec<Taps>,
    grid: usize,
}

impl Resample {
    /// From `grid` × `grid` to `gh` × `gw`.
    pub fn new(grid: usize, (gh, gw): (usize, usize), resampling: Resampling) -> Self {
        let side = |n: usize| {
            let scale = (n as f64 + resampling.offset) / grid as f64;
            let taps = if resampling.antialias { antialiased } else { interpolated };
            (0..n).map(|i| taps(grid, (i as f64 + 0.5) / scale, 1.0 / scale)).collect()
        };
        Self { rows: side(gh), cols: side(gw), grid }
    }

    fn cells(&self) -> usize {
        self.rows.len() * self.cols.len()
    }

    fn for_each_tap(&self, cell: usize, mut visit: impl FnMut(usize, f64)) {
        let gw = self.cols.len();
        for &(a, row_weight) in &self.rows[cell / gw] {
            for &(b, col_weight) in &self.cols[cell % gw] {
                visit(a * self.grid + b, row_weight * col_weight);
            }
        }
    }
}

/// The four cells around `center`, those outside of the grid at its border.
fn interpolated(grid: usize, center: f64, _: f64) -> Taps {
    let center = center - 0.5;
    let base = center.floor();
    let tap = |j: usize| {
        let cell = base - 1.0 + j as f64;
        (cell.clamp(0.0, (grid - 1) as f64) as usize, cubic(-0.75, center - cell))
    };
    (0..4).map(tap).collect()
}

/// The cells within the kernel's radius of `center`, of which each target cell covers `width`.
fn antialiased(grid: usize, center: f64, width: f64) -> Taps {
    let width = width.max(1.0);
    let first = (center - 2.0 * width + 0.5).max(0.0) as usize;
    let end = ((center + 2.0 * width + 0.5) as usize).min(grid);
    let weight = |cell: usize| cubic(-0.5, (cell as f64 + 0.5 - center) / width);
    let sum: f64 = (first..end).map(weight).sum();
    (first..end).map(|cell| (cell, weight(cell) / sum)).collect()
}

/// Keys' cubic convolution kernel.
fn cubic(a: f64, t: f64) -> f64 {
    let t = t.abs();
    if t <= 1.0 {
        ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    } else {
        0.0
    }
}

/// The positions of \[CLS\] and all patches, `[1 + gh · gw, d]`, from a table `[1, 1 + grid · grid, d]`.
/// Without a resampling, the table itself.
pub fn forward(params: &Params, table: Param, resample: Option<&Resample>) -> Tensor {
    cpu::table_for(params.on_host().view(table), resample).to(&params.device())
}

/// Adds to the gradient of the table.
pub fn backward(
    dpositions: &Tensor,
    table: Param,
    resample: Option<&Resample>,
    grads: &mut Params,
) {
    let dpositions = dpositions.on_host();
    grads.on_host_mut(|grads| cpu::add_to_table(&dpositions, grads.view_mut(table), resample));
}

#[cfg(test)]
mod tests;
