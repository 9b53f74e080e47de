//! Position embeddings for a grid other than the stored one: bicubic resampling and its transpose.
//!
//! ```text
//! out[i, j] = Σ_ab R[i, a] C[j, b] table[a, b]        dtable[a, b] += Σ_ij R[i, a] C[j, b] dout[i, j]
//! ```
//!
//! Row `i` of `R` holds Keys' cubic weights (a = −3/4) around `(i + ½) / scale − ½`, borders clamped,
//! no antialiasing. The reference passes `scale = (n + 0.1) / N` and not the exact `n / N`, which
//! moves the sampling positions; `offset` is that 0.1, or 0 for the exact ones.
//!
//! `table` is `[grid · grid, d]`, `out` is `[gh · gw, d]`.
//! Source: `interpolate_pos_encoding` of DINO's `vision_transformer.py`, by way of our own reference.

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

    /// `out`, overwritten.
    pub fn forward(&self, table: &[f32], d: usize, out: &mut [f32]) {
        assert_eq!(table.len(), self.grid * self.grid * d, "position table");
        assert_eq!(out.len(), self.cells() * d, "resampled positions");
        let mut sums = vec![0.0f64; d];
        for (cell, out) in out.chunks_exact_mut(d).enumerate() {
            sums.fill(0.0);
            self.for_each_tap(cell, |source, weight| {
                for (sum, &x) in sums.iter_mut().zip(&table[source * d..][..d]) {
                    *sum += weight * f64::from(x);
                }
            });
            out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = sum as f32);
        }
    }

    /// Adds to `dtable`.
    pub fn backward(&self, dout: &[f32], d: usize, dtable: &mut [f32]) {
        assert_eq!(dtable.len(), self.grid * self.grid * d, "gradient of a position table");
        assert_eq!(dout.len(), self.cells() * d, "gradient of resampled positions");
        for (cell, dout) in dout.chunks_exact(d).enumerate() {
            self.for_each_tap(cell, |source, weight| {
                for (to, from) in dtable[source * d..][..d].iter_mut().zip(dout) {
                    *to += weight as f32 * from;
                }
            });
        }
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

#[cfg(test)]
mod tests;
