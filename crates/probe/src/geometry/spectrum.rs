//! A `Spectrum` measures how many dimensions vectors fill: singular values and what follows from them.
//!
//! ```text
//! σₖ  singular values of Z, [n, d], not centered        pₖ = σₖ / Σ σ + ε,  ε = 1e-7
//! RankMe = exp(−Σ pₖ log pₖ)                            1 (all on one line) to min(n, d)
//!
//! λₖ  eigenvalues of the covariance of Z's rows
//! explained = λₖ / Σ λ        participation ratio = (Σ λ)² / Σ λ²        1 to d
//! ```
//!
//! Computed in f64 from the smaller of `ZᵀZ` and `ZZᵀ`. Singular values below 1e-8 of the largest are
//! lost; that changes RankMe by less than 1e-5 (`tests/all/golden_analysis.rs`, against numpy).
//!
//! Source: Garrido et al., *RankMe*, arXiv:2210.02885, equation 1.

use nalgebra::DMatrix;
use serde::Serialize;

use crate::matrix::Matrix;

/// ε of RankMe.
const EPS: f64 = 1e-7;

/// Singular values and variances of vectors along their principal axes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spectrum {
    /// Effective number of dimensions, from the entropy of singular values.
    pub rankme: f64,
    /// Effective number of dimensions, from variances; `None` if all vectors are equal.
    pub participation_ratio: Option<f64>,
    /// Number of axes that together hold 90 % of the variance.
    pub axes_of_90_percent: usize,
    /// σ, the largest first, `min(n, d)` of them.
    pub singular_values: Vec<f64>,
    /// Share of each axis in the variance, the largest first; empty if all vectors are equal.
    pub explained: Vec<f64>,
}

impl Spectrum {
    /// The spectrum of vectors, `[n, d]`.
    pub fn of(rows: &Matrix) -> Self {
        let mut z = matrix(rows);
        let singular_values = singular_values(&z);
        let mean = z.column_mean();
        z.column_iter_mut().for_each(|mut column| column -= &mean);
        let variances = eigenvalues(&z);
        let total: f64 = variances.iter().sum();
        let squares: f64 = variances.iter().map(|variance| variance * variance).sum();
        let shares = |total: f64| variances.iter().map(|variance| variance / total).collect();
        let explained: Vec<f64> = if total > 0.0 { shares(total) } else { Vec::new() };
        Self {
            rankme: effective_number(&singular_values),
            participation_ratio: (total > 0.0).then(|| total * total / squares),
            axes_of_90_percent: axes_of(0.9, &explained),
            singular_values,
            explained,
        }
    }
}

/// RankMe of vectors, `[n, d]`, without the rest of the spectrum: from 1 to `min(n, d)`, or 0 if all
/// vectors are 0.
///
/// # Panics
/// If a value is not finite.
pub fn rankme(rows: &Matrix) -> f64 {
    assert!(rows.values.iter().all(|x| x.is_finite()), "a spectrum of values that are not finite");
    effective_number(&singular_values(&matrix(rows)))
}

/// `Zᵀ`: nalgebra stores columns, so the values stay in their order.
fn matrix(rows: &Matrix) -> DMatrix<f64> {
    let values = rows.values.iter().map(|&x| f64::from(x));
    DMatrix::from_iterator(rows.width, rows.len(), values)
}

/// σ of `z`, the largest first.
fn singular_values(z: &DMatrix<f64>) -> Vec<f64> {
    eigenvalues(z).into_iter().map(f64::sqrt).collect()
}

/// Eigenvalues of the smaller of `zᵀz` and `zzᵀ`, the largest first. Both have the same, apart from zeros.
fn eigenvalues(z: &DMatrix<f64>) -> Vec<f64> {
    let gram = if z.nrows() <= z.ncols() { z * z.transpose() } else { z.transpose() * z };
    let mut values: Vec<f64> = gram.symmetric_eigenvalues().iter().map(|x| x.max(0.0)).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

/// `exp` of the entropy of σ's shares.
fn effective_number(singular_values: &[f64]) -> f64 {
    let total: f64 = singular_values.iter().sum();
    if total == 0.0 {
        return 0.0; // all vectors are 0
    }
    let p = singular_values.iter().map(|sigma| sigma / total + EPS);
    (-p.map(|p| p * p.ln()).sum::<f64>()).exp()
}

/// How many of the shares, largest first, sum up to `wanted`.
fn axes_of(wanted: f64, shares: &[f64]) -> usize {
    let mut sum = 0.0;
    let enough = shares.iter().position(|share| {
        sum += share;
        sum >= wanted
    });
    enough.map_or(shares.len(), |place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_vectors_fill_all_dimensions_and_copies_one() {
        let values = vec![1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0];
        let rows = Matrix::new(values, 3);
        let found = Spectrum::of(&rows);
        assert!((found.rankme - 2.0).abs() < 1e-5, "{}", found.rankme);
        assert_eq!(found.rankme, rankme(&rows));
        assert!((found.participation_ratio.unwrap() - 2.0).abs() < 1e-12);
        assert_eq!((found.axes_of_90_percent, found.singular_values.len()), (2, 3));
        let copies = Spectrum::of(&Matrix::new([0.6, 0.8].repeat(5), 2));
        assert!((copies.rankme - 1.0).abs() < 1e-5, "{}", copies.rankme);
    }

    #[test]
    fn a_single_vector_has_one_dimension_and_no_variance() {
        let found = Spectrum::of(&Matrix::new(vec![3.0, 4.0], 2));
        assert_eq!((found.participation_ratio, found.axes_of_90_percent), (None, 0));
        assert!((found.singular_values[0] - 5.0).abs() < 1e-12 && found.explained.is_empty());
        assert!((found.rankme - 1.0).abs() < 1e-5);
    }

    #[test]
    fn vectors_of_zeros_fill_no_dimension() {
        let found = Spectrum::of(&Matrix::new(vec![0.0; 6], 3));
        assert_eq!((found.rankme, found.participation_ratio), (0.0, None));
    }
}
