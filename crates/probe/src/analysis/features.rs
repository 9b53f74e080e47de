//! Measures of how features lie on the unit sphere; they need no labels.
//!
//! ```text
//! std        = √d · mean over dimensions of std(x / ‖x‖)      0 collapsed, 1 isotropic
//! uniformity = log mean over pairs i < j of exp(−2 ‖xᵢ − xⱼ‖²)  0 collapsed, about −4 isotropic
//! alignment  = mean of ‖x − x'‖² over two crops of one image   0 invariant, 2 independent
//! ```
//!
//! of vectors scaled to unit length; standard deviations divide by `n`.
//!
//! Source: Chen and He, arXiv:2011.10566, for the standard deviation; Wang and Isola,
//! arXiv:2005.10242, for uniformity (t = 2) and alignment (α = 2). Within 1e-6 of numpy
//! (`tests/all/golden_analysis.rs`).

use engine::matmul::{Mat, MatMut, Product, matmul};
use rayon::prelude::*;
use serde::Serialize;

use crate::geometry::spectrum::Spectrum;
use crate::matrix::Matrix;

/// Rows whose distances one thread computes at a time.
const BLOCK: usize = 128;

/// Measures of the features of one network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Features {
    /// Width of a feature, `d`.
    pub dimensions: usize,
    /// Mean standard deviation of the coordinates, times √d.
    pub std: f64,
    /// Uniformity; `None` for a single image.
    pub uniformity: Option<f64>,
    /// Alignment.
    pub alignment: f64,
    /// Singular values and effective dimensions.
    #[serde(flatten)]
    pub spectrum: Spectrum,
}

impl Features {
    /// Measures features of evaluation views, one row for each image, and of global crops, two rows that
    /// follow each other for each image.
    pub fn of(views: &Matrix, crops: &Matrix) -> Self {
        let unit = unit(views);
        Self {
            dimensions: views.width,
            std: std(&unit),
            uniformity: uniformity(&unit),
            alignment: alignment(&self::unit(crops)),
            spectrum: Spectrum::of(views),
        }
    }
}

/// Rows of unit length.
fn unit(rows: &Matrix) -> Matrix {
    let mut unit = Matrix::new(rows.values.to_vec(), rows.width);
    unit.normalize();
    unit
}

/// Mean standard deviation of the coordinates of unit vectors, times √d.
pub fn std(unit: &Matrix) -> f64 {
    let (n, d) = (unit.len() as f64, unit.width);
    let (mut mean, mut deviation) = (vec![0.0; d], vec![0.0; d]);
    for row in unit.rows() {
        mean.iter_mut().zip(row).for_each(|(mean, &x)| *mean += f64::from(x) / n);
    }
    for row in unit.rows() {
        for ((deviation, mean), &x) in deviation.iter_mut().zip(&mean).zip(row) {
            *deviation += (f64::from(x) - mean).powi(2);
        }
    }
    let deviations = deviation.iter().map(|sum| (sum / n).sqrt());
    (d as f64).sqrt() * deviations.sum::<f64>() / d.max(1) as f64
}

/// Uniformity of unit vectors, over all pairs.
pub fn uniformity(unit: &Matrix) -> Option<f64> {
    let (n, d) = (unit.len(), unit.width);
    let blocks = (0..n).into_par_iter().step_by(BLOCK).map(|first| {
        let rows = BLOCK.min(n - first);
        let block = Mat::new(&unit.values[first * d..(first + rows) * d], rows, d);
        let mut cosines = vec![0.0; rows * BLOCK];
        let mut sum = 0.0;
        for start in (first..n).step_by(BLOCK) {
            let count = BLOCK.min(n - start);
            let others = Mat::new(&unit.values[start * d..(start + count) * d], count, d);
            let to = MatMut::new(&mut cosines, rows, count);
            matmul(to, block, others.t(), Product::ONE);
            for (i, row) in cosines.chunks_exact(count).take(rows).enumerate() {
                // only pairs i < j, each once
                let after = (first + i + 1).saturating_sub(start).min(count);
                let distances = row[after..].iter().map(|&cosine| 2.0 - 2.0 * f64::from(cosine));
                sum += distances.map(|square| (-2.0 * square.max(0.0)).exp()).sum::<f64>();
            }
        }
        sum
    });
    let sum: f64 = blocks.collect::<Vec<f64>>().iter().sum();
    let pairs = n as f64 * (n as f64 - 1.0) / 2.0;
    (n > 1).then(|| (sum / pairs).ln())
}

/// Mean squared distance between rows 2i and 2i + 1.
pub fn alignment(unit: &Matrix) -> f64 {
    let pairs = unit.values.chunks_exact(2 * unit.width.max(1)).map(|pair| {
        let (a, b) = pair.split_at(unit.width);
        let differences = a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b));
        differences.map(|difference| difference * difference).sum::<f64>()
    });
    2.0 * pairs.sum::<f64>() / unit.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opposite_vectors_have_the_largest_distance() {
        let pair = unit(&Matrix::new(vec![3.0, 0.0, -2.0, 0.0], 2));
        assert!((uniformity(&pair).unwrap() + 8.0).abs() < 1e-6);
        assert!((alignment(&pair) - 4.0).abs() < 1e-6);
        assert!((std(&pair) - 0.5 * 2f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn collapsed_vectors_are_zero_in_everything() {
        let same = Matrix::new([0.6, 0.8].repeat(300), 2);
        let found = Features::of(&same, &same);
        assert!(found.std < 1e-6 && found.alignment == 0.0, "{found:?}");
        assert!(found.uniformity.unwrap().abs() < 1e-6);
        let one = Matrix::new(vec![0.6, 0.8], 2);
        assert_eq!(uniformity(&one), None);
        assert_eq!(std(&one), 0.0);
    }

    #[test]
    fn pairs_of_several_blocks_are_counted_once() {
        let angle = |i: usize| (i as f32 * 0.7).sin_cos();
        let values: Vec<f32> = (0..300).map(angle).flat_map(|(sin, cos)| [cos, sin]).collect();
        let rows = Matrix::new(values, 2);
        let mut sum = 0.0;
        for (i, a) in rows.rows().enumerate() {
            for b in rows.rows().skip(i + 1) {
                let square: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
                sum += f64::from(-2.0 * square).exp();
            }
        }
        let expected = (sum / (300.0 * 299.0 / 2.0)).ln();
        assert!((uniformity(&rows).unwrap() - expected).abs() < 1e-5);
    }
}
