//! A_p(κ), the mean resultant length: the norm of the distribution's mean vector.

use crate::normalizer::{check, order, uses_power_series};
use crate::series;
use crate::uniform::Expansion;

/// Mean resultant length of a von Mises-Fisher distribution, the expectation of μᵀy.
///
/// ```text
/// A_p(κ) = I_{p/2}(κ) / I_{p/2−1}(κ) = −d/dκ log C_p(κ)
/// ```
///
/// # Shapes and units
/// `p` is the dimension of the ambient space. The result lies in [0, 1]: about `κ/p` at small κ, and
/// rounded to 1 from about κ = 1e16 (p − 1) on.
///
/// # Accuracy
/// Relative error below 1e-12 for `2 <= p <= 4096` and `0 <= κ <= 1e5` (`tests/golden.rs`, 50-digit
/// references).
///
/// # Panics
/// If `p < 2`, or if `kappa` is negative, infinite or NaN: a caller's mistake, not bad data.
///
/// # Source
/// DLMF 10.25.2 (series), 10.41.3 (uniform expansion, differentiated term by term).
pub fn mean_resultant_length(p: usize, kappa: f64) -> f64 {
    check(p, kappa);
    if uses_power_series(p, kappa) {
        series::mean_resultant_length(p, kappa)
    } else {
        Expansion::new(order(p), kappa).mean_resultant_length()
    }
}

/// 1 − A_p(κ), to full relative accuracy even where A_p rounds to one.
///
/// ```text
/// 1 − A_p(κ) = (p − 1) / 2κ + O(κ⁻²)
/// ```
///
/// # Accuracy
/// Relative error below 1e-11 for `2 <= p <= 4096` and `0 <= κ <= 1e5` (`tests/golden.rs`).
///
/// # Panics
/// As [`mean_resultant_length`].
pub fn mean_resultant_length_complement(p: usize, kappa: f64) -> f64 {
    check(p, kappa);
    if uses_power_series(p, kappa) {
        1.0 - series::mean_resultant_length(p, kappa)
    } else {
        Expansion::new(order(p), kappa).mean_resultant_length_complement()
    }
}

/// dA_p/dκ, which is also the variance of μᵀy.
///
/// ```text
/// dA_p/dκ = 1 − A_p² − (p − 1) A_p / κ      (1/p at κ = 0)
/// ```
///
/// This identity cancels at small and at large κ, so the code differentiates the series and the
/// expansion instead.
///
/// # Accuracy
/// Relative error below 1e-11 for `2 <= p <= 4096` and `0 <= κ <= 1e5` (`tests/golden.rs`).
///
/// # Panics
/// As [`mean_resultant_length`].
pub fn mean_resultant_length_slope(p: usize, kappa: f64) -> f64 {
    check(p, kappa);
    if uses_power_series(p, kappa) {
        series::mean_resultant_length_slope(p, kappa)
    } else {
        Expansion::new(order(p), kappa).mean_resultant_length_slope()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_with_slope_one_over_the_dimension() {
        for p in [2, 3, 17, 256, 4096] {
            assert_eq!(mean_resultant_length(p, 0.0), 0.0);
            assert!((mean_resultant_length_slope(p, 0.0) * p as f64 - 1.0).abs() < 1e-15);
            let tiny = mean_resultant_length(p, 1e-300);
            assert!((tiny * p as f64 / 1e-300 - 1.0).abs() < 1e-14, "{p}");
        }
    }

    #[test]
    fn stays_in_the_unit_interval_for_every_finite_kappa() {
        for p in [2, 3, 256, 4096] {
            for kappa in [5e-324, 1e-8, 1.0, 1e5, 1e8, 1e16, 1e200, 1e307] {
                let (a, b) =
                    (mean_resultant_length(p, kappa), mean_resultant_length_complement(p, kappa));
                assert!((0.0..=1.0).contains(&a) && (0.0..=1.0).contains(&b), "{p} {kappa}");
                assert!(mean_resultant_length_slope(p, kappa) >= 0.0, "{p} {kappa}");
            }
        }
    }
}
