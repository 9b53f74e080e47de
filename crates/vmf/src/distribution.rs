//! One von Mises-Fisher distribution: density, entropy, divergence.

use crate::error::{Error, check_kappa, check_rows, dot, norm};
use crate::normalizer::{log_normalizer, log_normalizer_at_zero, log_normalizer_ratio};
use crate::ratio::mean_resultant_length;

/// A von Mises-Fisher distribution on the unit sphere of R^p.
///
/// ```text
/// f(y) = C_p(κ) exp(κ μᵀy),      ‖y‖ = ‖μ‖ = 1
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct VonMisesFisher {
    mean_direction: Vec<f64>, // [p]
    kappa: f64,
    log_normalizer: f64,
}

impl VonMisesFisher {
    /// The distribution around `mean_direction`, `[p]`, which must be a unit vector to 1e-6 and is
    /// normalized to f64 accuracy.
    ///
    /// # Errors
    /// [`Error::TooFlat`], [`Error::NotUnit`], [`Error::Kappa`].
    pub fn new(mut mean_direction: Vec<f64>, kappa: f64) -> Result<Self, Error> {
        let p = mean_direction.len();
        check_rows(&mean_direction, p, "mean direction")?;
        check_kappa(0, kappa)?;
        let length = norm(&mean_direction);
        mean_direction.iter_mut().for_each(|x| *x /= length);
        Ok(Self { mean_direction, kappa, log_normalizer: log_normalizer(p, kappa) })
    }

    /// Dimension of the ambient space.
    pub fn dimension(&self) -> usize {
        self.mean_direction.len()
    }

    /// μ, `[p]`.
    pub fn mean_direction(&self) -> &[f64] {
        &self.mean_direction
    }

    /// κ.
    pub fn kappa(&self) -> f64 {
        self.kappa
    }

    /// Logarithm of the density at the unit vector `y`, `[p]`, in nats.
    ///
    /// ```text
    /// log f(y) = log C_p(κ) + κ μᵀy
    /// ```
    ///
    /// `y` is not normalized or checked. If its norm is not 1, the result is the formula's value but
    /// not a log density.
    ///
    /// # Panics
    /// If `y` has another length than μ.
    pub fn log_density(&self, y: &[f64]) -> f64 {
        assert_eq!(y.len(), self.dimension(), "`y` needs one coordinate per dimension");
        self.log_normalizer + self.kappa * dot(&self.mean_direction, y)
    }

    /// Differential entropy, see [`entropy`].
    pub fn entropy(&self) -> f64 {
        entropy(self.dimension(), self.kappa)
    }

    /// KL(self ‖ other), see [`kl_divergence`].
    ///
    /// # Panics
    /// If the dimensions differ.
    pub fn kl_divergence(&self, other: &Self) -> f64 {
        assert_eq!(
            self.dimension(),
            other.dimension(),
            "the distributions have different dimensions"
        );
        let cosine = dot(&self.mean_direction, &other.mean_direction);
        kl_divergence(self.dimension(), self.kappa, other.kappa, cosine)
    }
}

/// Differential entropy of a von Mises-Fisher distribution, −E[log f], in nats.
///
/// ```text
/// H = −log C_p(κ) − κ A_p(κ)
/// ```
///
/// # Accuracy
/// Error below 1e-12 · max(1, κ, |log C_p(0)|): at large κ the two terms cancel (`tests/golden.rs`).
///
/// # Panics
/// If `p < 2`, or if `kappa` is negative, infinite or NaN.
pub fn entropy(p: usize, kappa: f64) -> f64 {
    let change = log_normalizer_ratio(p, kappa) + kappa * mean_resultant_length(p, kappa);
    -log_normalizer_at_zero(p) - change
}

/// Kullback-Leibler divergence between two von Mises-Fisher distributions, in nats.
///
/// ```text
/// KL(f₁ ‖ f₂) = log C_p(κ₁) − log C_p(κ₂) + A_p(κ₁) (κ₁ − κ₂ cos),      cos = μ₁ᵀμ₂
/// ```
///
/// # Accuracy
/// Error below 1e-12 · max(1, κ₁, κ₂) (`tests/golden.rs`); never negative.
///
/// # Panics
/// If `p < 2`, or if a concentration is negative, infinite or NaN.
pub fn kl_divergence(p: usize, kappa_1: f64, kappa_2: f64, cosine: f64) -> f64 {
    let a = mean_resultant_length(p, kappa_1);
    let normalizers = log_normalizer_ratio(p, kappa_1) - log_normalizer_ratio(p, kappa_2);
    let turn = kappa_2 * (1.0 - cosine);
    (normalizers + a * ((kappa_1 - kappa_2) + turn)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uniform_distribution_has_one_density_everywhere() {
        let uniform = VonMisesFisher::new(vec![0.6, 0.0, 0.8], 0.0).unwrap();
        let area = 4.0 * std::f64::consts::PI;
        for y in [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]] {
            assert!((uniform.log_density(&y) + area.ln()).abs() < 1e-15);
        }
        assert!((uniform.entropy() - area.ln()).abs() < 1e-15);
    }

    #[test]
    fn a_distribution_does_not_diverge_from_itself() {
        let one = VonMisesFisher::new(vec![0.6, 0.8], 30.0).unwrap();
        assert!(one.kl_divergence(&one) < 1e-13);
        let other = VonMisesFisher::new(vec![0.8, 0.6], 30.0).unwrap();
        assert!(one.kl_divergence(&other) > 1.0);
    }

    #[test]
    fn refuses_bad_directions_and_bad_concentrations() {
        let new = VonMisesFisher::new;
        assert!(matches!(new(vec![1.0], 1.0), Err(Error::TooFlat { found: 1 })));
        assert!(matches!(new(vec![], 1.0), Err(Error::TooFlat { found: 0 })));
        assert!(matches!(new(vec![1.0, 1.0], 1.0), Err(Error::NotUnit { .. })));
        assert!(matches!(new(vec![f64::NAN, 0.0], 1.0), Err(Error::NotUnit { .. })));
        assert!(matches!(new(vec![1.0, 0.0], -1.0), Err(Error::Kappa { .. })));
        assert!(matches!(new(vec![1.0, 0.0], f64::INFINITY), Err(Error::Kappa { .. })));
    }
}
