//! [`Whitening`]: vectors of which every direction has the same weight, learned from other vectors.
//!
//! ```text
//! C = 1/n Σ x xᵀ = V diag(λ) Vᵀ          λ ← max(λ, 1e-5 · largest λ)
//! y = diag(λ)^(−½) Vᵀ (x − m)            m = 1/n Σ x
//! ```
//!
//! `C` is not centered, while `m` is subtracted from what is whitened: both as in the official code.
//!
//! Source: `eval_copy_detection.py` and the class `PCA` of DINO's `utils.py`.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rayon::prelude::*;

use crate::matrix::Matrix;

/// Smallest eigenvalue, relative to the largest.
const SMALLEST: f64 = 1e-5;
/// Rows whose products are summed at once.
const CHUNK: usize = 256;

/// A linear map that makes vectors white.
#[derive(Debug, Clone, PartialEq)]
pub struct Whitening {
    /// `m`, `[d]`.
    mean: DVector<f64>,
    /// `diag(λ)^(−½) Vᵀ`, `[d, d]`.
    projection: DMatrix<f64>,
}

impl Whitening {
    /// Learned from these rows.
    ///
    /// # Panics
    /// Without rows, or if a value is not finite.
    pub fn learn(rows: &Matrix) -> Self {
        let (n, d) = (rows.len(), rows.width);
        assert!(n > 0 && rows.values.iter().all(|x| x.is_finite()), "finite rows");
        let (mut mean, mut products) = (DVector::zeros(d), DMatrix::zeros(d, d));
        for block in rows.values.chunks(CHUNK * d) {
            let x = DMatrix::from_iterator(d, block.len() / d, block.iter().map(|&x| f64::from(x)));
            mean += x.column_sum();
            products.gemm(1.0, &x, &x.transpose(), 1.0);
        }
        mean /= n as f64;
        let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(products / n as f64);
        let least = SMALLEST * eigenvalues.max();
        let mut projection = eigenvectors.transpose();
        for (mut row, value) in projection.row_iter_mut().zip(&eigenvalues) {
            row /= value.max(least).max(f64::MIN_POSITIVE).sqrt();
        }
        Self { mean, projection }
    }

    /// Bytes of learning from rows of `width` values.
    pub fn bytes(width: usize) -> usize {
        8 * 5 * width * width
    }

    /// Makes rows white.
    ///
    /// # Panics
    /// If their width is another one.
    pub fn apply(&self, rows: &mut Matrix) {
        let d = self.mean.len();
        assert_eq!(rows.width, d, "width");
        rows.values.par_chunks_mut(CHUNK * d).for_each(|block| {
            let x = DMatrix::from_iterator(d, block.len() / d, block.iter().map(|&x| f64::from(x)));
            let mut centered = x;
            centered.column_iter_mut().for_each(|mut column| column -= &self.mean);
            let white = &self.projection * centered;
            block.iter_mut().zip(white.iter()).for_each(|(x, white)| *x = *white as f32);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, shift: usize) -> Matrix {
        let value = |i: usize| (((i + shift) * 7919) % 101) as f32 / 25.0 - 1.5;
        Matrix::new((0..count * 4).map(value).collect(), 4)
    }

    /// Products of whitened rows, which do not depend on the signs of eigenvectors, by NumPy 2.4 with the lines of
    /// DINO's `PCA`.
    #[test]
    fn products_are_those_of_the_official_code() {
        let whitening = Whitening::learn(&rows(12, 0));
        let mut white = rows(3, 1000);
        whitening.apply(&mut white);
        let rows: Vec<&[f32]> = white.rows().collect();
        let product = |a: usize, b: usize| -> f64 {
            rows[a].iter().zip(rows[b]).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
        };
        let found = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)].map(|(a, b)| product(a, b));
        let expected = [
            3.012375503294862,
            -0.6346595807428894,
            -1.1471683978394513,
            5.99403127996329,
            -0.1254211487400961,
            3.0249572915447756,
        ];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }

    #[test]
    fn equal_rows_have_no_direction_that_grows_without_limit() {
        let same = Matrix::new([1.0f32, 2.0, 3.0].repeat(5), 3);
        let whitening = Whitening::learn(&same);
        let mut other = Matrix::new(vec![1.0, 2.0, 4.0], 3);
        whitening.apply(&mut other);
        assert!(other.values.iter().all(|x| x.is_finite() && x.abs() < 1e3), "{other:?}");
    }
}
