//! log C_p(κ), the logarithm of the normalizing constant, to full f64 accuracy.

use std::f64::consts::PI;

use crate::gamma::log_gamma_of_half;
use crate::series;
use crate::uniform::{Expansion, SMALLEST_Q};

/// From this order on, log Γ(p/2) would cancel against ν log ν, and the uniform expansion at κ = 0
/// is exact to f64. So the ratio is computed from the expansion at both ends.
const LARGE_ORDER: f64 = SMALLEST_Q;

/// Panics on a caller's mistake: `p < 2`, or a κ that is negative, infinite or NaN.
pub(crate) fn check(p: usize, kappa: f64) {
    assert!(p >= 2, "dimension is {p}, but a sphere of directions needs at least 2");
    assert!(kappa.is_finite() && kappa >= 0.0, "kappa is {kappa}, but must be finite and >= 0");
}

/// ν = p/2 − 1, the order of the Bessel function.
pub(crate) fn order(p: usize) -> f64 {
    p as f64 / 2.0 - 1.0
}

/// Whether to sum the power series: where κ²/2p ≤ 2, so that it needs few terms and keeps full
/// relative accuracy, and where `q` is too small for the uniform expansion.
pub(crate) fn uses_power_series(p: usize, kappa: f64) -> bool {
    kappa <= 2.0 * (p as f64).sqrt() || order(p).hypot(kappa) < SMALLEST_Q
}

/// Logarithm of the normalizing constant of the von Mises-Fisher density.
///
/// ```text
/// log C_p(κ) = ν log κ − (p/2) log 2π − log I_ν(κ),      ν = p/2 − 1
/// ```
///
/// It is computed as `log_normalizer_at_zero + log_normalizer_ratio`, which is smooth at κ = 0.
///
/// # Shapes and units
/// `p` is the dimension of the ambient space, one more than the dimension of the sphere. For a DINO
/// head it is the bottleneck width. The result is in nats.
///
/// # Accuracy
/// Error below 1e-12 · max(|log C_p(κ)|, |log C_p(0)|) for `2 <= p <= 4096` and `0 <= κ <= 1e5`
/// (`tests/golden.rs`, 50-digit references). Finite for every finite κ.
///
/// # Panics
/// If `p < 2`, or if `kappa` is negative, infinite or NaN: a caller's mistake, not bad data.
///
/// # Source
/// The density as in Banerjee et al., *Clustering on the unit hypersphere using von Mises-Fisher
/// distributions*, JMLR 6 (2005).
pub fn log_normalizer(p: usize, kappa: f64) -> f64 {
    log_normalizer_at_zero(p) + log_normalizer_ratio(p, kappa)
}

/// Log density of the uniform distribution on the sphere: minus the logarithm of its area.
///
/// ```text
/// log C_p(0) = log Γ(p/2) − log 2 − (p/2) log π
/// ```
///
/// # Accuracy
/// Relative error below 1e-13 for `2 <= p <= 4096` (`tests/golden.rs`).
///
/// # Panics
/// If `p < 2`.
pub fn log_normalizer_at_zero(p: usize) -> f64 {
    check(p, 0.0);
    log_gamma_of_half(p) - 2f64.ln() - p as f64 / 2.0 * PI.ln()
}

/// log C_p(κ) − log C_p(0): zero at κ = 0 and about −κ²/2p near it. A softmax over components needs
/// only this difference.
///
/// Subtracting the two logarithms would leave no correct digits at small κ. It is computed as
///
/// ```text
/// −log ₀F₁(; p/2; κ²/4)                                                  κ² ≤ 4p or q < 25
/// ν log1p(δ/2ν) − δ + ½ log1p(δ/ν) − log(1 + S(κ)) + log(1 + S(0))       otherwise, ν ≥ 25
/// ν log((ν + q)/2) − log Γ(p/2) − q + ½ log 2πq − log(1 + S(κ))          otherwise, ν < 25
/// q = √(ν² + κ²),   δ = q − ν,   S of the uniform expansion
/// ```
///
/// # Shapes and units
/// As for [`log_normalizer`]: `p` is the ambient dimension, the result is in nats.
///
/// # Accuracy
/// Relative error below 1e-12 for `2 <= p <= 4096` and `0 <= κ <= 1e5` (`tests/golden.rs`, 50-digit
/// references), finite for every finite κ.
///
/// # Panics
/// If `p < 2`, or if `kappa` is negative, infinite or NaN.
///
/// # Source
/// DLMF 10.25.2 (series), 10.41.3 (uniform expansion).
pub fn log_normalizer_ratio(p: usize, kappa: f64) -> f64 {
    check(p, kappa);
    if uses_power_series(p, kappa) {
        return series::log_normalizer_ratio(p, kappa);
    }
    let nu = order(p);
    let q = nu.hypot(kappa);
    let at_kappa = Expansion::new(nu, kappa).log_correction();
    if nu >= LARGE_ORDER {
        let delta = kappa * (kappa / (nu + q));
        let leading = nu * (delta / (2.0 * nu)).ln_1p() - delta + 0.5 * (delta / nu).ln_1p();
        leading - at_kappa + Expansion::new(nu, 0.0).log_correction()
    } else {
        let leading = nu * (0.5 * nu + 0.5 * q).ln() - log_gamma_of_half(p) - q;
        leading + 0.5 * ((2.0 * PI).ln() + q.ln()) - at_kappa
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_densities_are_those_of_the_circle_and_the_sphere() {
        assert!((log_normalizer_at_zero(2) + (2.0 * PI).ln()).abs() < 1e-15);
        assert!((log_normalizer_at_zero(3) + (4.0 * PI).ln()).abs() < 1e-15);
    }

    #[test]
    fn in_three_dimensions_it_is_elementary() {
        for kappa in [1e-3, 0.5, 3.0, 24.0, 26.0, 300.0] {
            let f: f64 = kappa;
            let log_sinh = f + (-(-2.0 * f).exp()).ln_1p() - 2f64.ln();
            let expected = (f / (4.0 * PI)).ln() - log_sinh;
            let found = log_normalizer(3, kappa);
            assert!((found - expected).abs() < 1e-13 * expected.abs().max(1.0), "{kappa}");
        }
    }

    #[test]
    fn is_finite_and_falls_for_every_finite_kappa() {
        for p in [2, 3, 4, 51, 52, 53, 256, 4096, 1 << 20] {
            assert_eq!(log_normalizer_ratio(p, 0.0), 0.0);
            let mut last = 0.0;
            for kappa in [5e-324, 1e-300, 1e-8, 1.0, 1e3, 1e5, 1e8, 1e100, 1e200, 1e307] {
                let value = log_normalizer_ratio(p, kappa);
                assert!(value.is_finite() && value <= last, "{p} {kappa} {value}");
                last = value;
            }
        }
    }

    #[test]
    #[should_panic(expected = "kappa is NaN")]
    fn refuses_a_kappa_that_is_nan() {
        log_normalizer(3, f64::NAN);
    }
}
