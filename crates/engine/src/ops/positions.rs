//! Position embeddings for a grid of patches other than the stored one: bicubic resampling.
//!
//! ```text
//! out[i, j] = Σ_ab R[i, a] C[j, b] table[a, b]        dtable[a, b] += Σ_ij R[i, a] C[j, b] dout[i, j]
//! ```
//!
//! Row `i` of `R` holds Keys' cubic weights (a = −3/4) around `(i + ½) / scale − ½`, borders clamped,
//! no antialiasing. The reference passes `scale = (n + 0.1) / N` and not the exact `n / N`, which
//! moves the sampling positions; `offset` is that 0.1, or 0 for the exact ones.
//!
//! `table` is `[grid · grid, d]`, `out` is `[gh · gw, d]`. In front of each stands the row of the \[CLS\]
//! token, which is copied.
//! Source: `interpolate_pos_encoding` of DINO's `vision_transformer.py`, by way of our own reference.

mod cpu;

use crate::params::{Param, Params};
use crate::tensor::Tensor;

/// A resampling from a square grid to `gh` × `gw`.
#[derive(Debug, Clone)]
pub struct Resample {
    rows: Vec<[(usize, f64); 4]>,
    cols: Vec<[(usize, f64); 4]>,
    grid: usize,
}

impl Resample {
    /// From `grid` × `grid` to `gh` × `gw`.
    pub fn new(grid: usize, (gh, gw): (usize, usize), offset: f64) -> Self {
        Self { rows: taps(grid, gh, offset), cols: taps(grid, gw, offset), grid }
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

/// Four source cells and weights for each of `n` target cells.
fn taps(grid: usize, n: usize, offset: f64) -> Vec<[(usize, f64); 4]> {
    let scale = (n as f64 + offset) / grid as f64;
    let tap = |i: usize| {
        let center = (i as f64 + 0.5) / scale - 0.5;
        let base = center.floor();
        std::array::from_fn(|j| {
            let cell = base - 1.0 + j as f64;
            (cell.clamp(0.0, (grid - 1) as f64) as usize, cubic(center - cell))
        })
    };
    (0..n).map(tap).collect()
}

/// Keys' cubic convolution kernel with a = −3/4.
fn cubic(t: f64) -> f64 {
    const A: f64 = -0.75;
    let t = t.abs();
    if t <= 1.0 {
        ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A
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
