//! Principal components of vectors that come in any number: their sums are kept, not the vectors.
//!
//! ```text
//! C = ⟨x xᵀ⟩ − ⟨x⟩⟨x⟩ᵀ        C aₖ = σₖ² aₖ, σ₁ ≥ σ₂ ≥ …        zₖ = aₖ · (x − ⟨x⟩) / σₖ
//! ```
//!
//! Sums are f64 and run over the vectors in their order, so they do not depend on threads. An eigenvector has two
//! signs; here the entry of the largest magnitude is positive.

use nalgebra::{DMatrix, SymmetricEigen};

/// Sums over vectors of width `d`.
#[derive(Debug, Clone)]
pub struct Moments {
    /// The first vector. Subtracted from all others, it keeps digits where the mean is large.
    shift: Vec<f64>,
    count: usize,
    sum: Vec<f64>,
    products: DMatrix<f64>,
}

/// The first principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// Mean of the vectors, `[d]`.
    pub mean: Vec<f64>,
    /// Unit vectors, the largest variance first, each `[d]`.
    pub axes: Vec<Vec<f64>>,
    /// Standard deviation along each of them.
    pub deviations: Vec<f64>,
    /// Share of each of them in the variance.
    pub explained: Vec<f64>,
}

impl Moments {
    /// Sums over no vector yet.
    pub fn new(d: usize) -> Self {
        Self { shift: Vec::new(), count: 0, sum: vec![0.0; d], products: DMatrix::zeros(d, d) }
    }

    /// Number of vectors.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds vectors, `[n, d]`.
    ///
    /// # Panics
    /// If `rows` is not a whole number of vectors.
    pub fn add(&mut self, rows: &[f32]) {
        let d = self.sum.len();
        assert!(rows.len().is_multiple_of(d), "vectors of width {d}");
        if rows.is_empty() {
            return;
        }
        if self.shift.is_empty() {
            self.shift = rows[..d].iter().map(|x| f64::from(*x)).collect();
        }
        let shifted = rows.iter().zip(self.shift.iter().cycle()).map(|(x, s)| f64::from(*x) - s);
        let x = DMatrix::from_iterator(d, rows.len() / d, shifted); // nalgebra stores columns
        for (sum, x) in self.sum.iter_mut().zip(x.row_iter()) {
            *sum += x.iter().sum::<f64>();
        }
        self.products.gemm(1.0, &x, &x.transpose(), 1.0);
        self.count += rows.len() / d;
    }

    /// The first `most` components, or as many as there are dimensions. Without a vector all are zero.
    pub fn components(&self, most: usize) -> Components {
        let (d, n) = (self.sum.len(), self.count.max(1) as f64);
        let mean: Vec<f64> = self.sum.iter().map(|sum| sum / n).collect();
        let covariance =
            DMatrix::from_fn(d, d, |i, j| self.products[(i, j)] / n - mean[i] * mean[j]);
        let total: f64 = covariance.trace();
        let eigen = SymmetricEigen::new(covariance);
        let mut order: Vec<usize> = (0..d).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        order.truncate(most);
        let variance = |&k: &usize| eigen.eigenvalues[k].max(0.0);
        let shift = |i: usize| self.shift.get(i).copied().unwrap_or(0.0);
        Components {
            mean: mean.iter().enumerate().map(|(i, x)| x + shift(i)).collect(),
            axes: (order.iter())
                .map(|&k| {
                    with_positive_peak(eigen.eigenvectors.column(k).iter().copied().collect())
                })
                .collect(),
            deviations: order.iter().map(|k| variance(k).sqrt()).collect(),
            explained: (order.iter())
                .map(|k| if total > 0.0 { variance(k) / total } else { 0.0 })
                .collect(),
        }
    }
}

impl Components {
    /// Coordinate `k` of a vector in units of its standard deviation; 0 where all vectors are the same.
    pub fn coordinate(&self, k: usize, x: &[f32]) -> f64 {
        let (Some(axis), Some(&deviation)) = (self.axes.get(k), self.deviations.get(k)) else {
            return 0.0;
        };
        let terms = axis.iter().zip(x).zip(&self.mean).map(|((a, x), m)| a * (f64::from(*x) - m));
        let along: f64 = terms.sum();
        // What is left of nothing by rounding is no direction.
        if deviation > 1e-9 * self.deviations[0].max(f64::MIN_POSITIVE) {
            along / deviation
        } else {
            0.0
        }
    }
}

/// The vector with the sign that makes its entry of the largest magnitude positive; of equal ones the first.
fn with_positive_peak(mut x: Vec<f64>) -> Vec<f64> {
    let peak = x.iter().fold(0.0f64, |peak, x| if x.abs() > peak.abs() { *x } else { peak });
    if peak < 0.0 {
        x.iter_mut().for_each(|x| *x = -*x);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on an ellipse with half axes 3 and 1, the longer one along (0.6, −0.8).
    fn ellipse() -> Vec<f32> {
        let point = |i: usize| {
            let angle = i as f64 / 100.0 * std::f64::consts::TAU;
            let (u, v) = (3.0 * angle.cos(), angle.sin());
            [(0.6 * u + 0.8 * v + 50.0) as f32, (-0.8 * u + 0.6 * v - 7.0) as f32]
        };
        (0..100).flat_map(point).collect()
    }

    #[test]
    fn axes_are_those_of_an_ellipse() {
        let mut moments = Moments::new(2);
        let points = ellipse();
        points.chunks(2 * 30).for_each(|some| moments.add(some));
        let found = moments.components(5);
        assert_eq!((moments.count(), found.axes.len()), (100, 2));
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} and {b}");
        near(found.mean[0], 50.0);
        near(found.axes[0][0], -0.6); // 0.8 is the larger entry, and positive
        near(found.axes[0][1], 0.8);
        near(found.deviations[0], 3.0 / 2f64.sqrt());
        near(found.explained[0], 0.9);
        near(found.coordinate(0, &points[..2]), -2f64.sqrt());
    }

    #[test]
    fn equal_vectors_have_no_coordinates() {
        let mut moments = Moments::new(3);
        moments.add(&[0.1, 0.2, 0.3].repeat(7));
        let found = moments.components(3);
        assert!((0..4).all(|k| found.coordinate(k, &[0.1, 0.2, 0.3]) == 0.0), "{found:?}");
        assert_eq!(Moments::new(3).components(3).explained, [0.0; 3]);
    }
}
