//! Mixtures of von Mises-Fisher distributions: density, responsibilities, samples.

use rand::{Rng, RngExt};

use crate::distribution::VonMisesFisher;
use crate::error::{Error, check_kappa, check_rows, dot, norm};
use crate::normalizer::log_normalizer;

/// Largest allowed distance of the sum of weights from one.
const WEIGHT_TOLERANCE: f64 = 1e-6;

/// A mixture of von Mises-Fisher distributions.
///
/// ```text
/// f(y) = Σ_k π_k C_p(κ_k) exp(κ_k μ_kᵀy),      Σ_k π_k = 1
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    p: usize,
    weights: Vec<f64>,         // [k]
    mean_directions: Vec<f64>, // [k, p]
    kappas: Vec<f64>,          // [k]
    offsets: Vec<f64>,         // [k], log π_k + log C_p(κ_k)
}

impl Mixture {
    /// The mixture with `weights` `[k]`, `mean_directions` `[k, p]` and `kappas` `[k]`.
    ///
    /// Mean directions must have norm 1 and weights must sum to 1, both to within 1e-6. Both are then
    /// normalized to f64 accuracy. A weight may be zero.
    ///
    /// # Errors
    /// [`Error::NoComponents`], [`Error::TooFlat`], [`Error::Dimension`], [`Error::NotUnit`],
    /// [`Error::Weights`], [`Error::Kappa`].
    pub fn new(
        p: usize,
        mut weights: Vec<f64>,
        mut mean_directions: Vec<f64>,
        kappas: Vec<f64>,
    ) -> Result<Self, Error> {
        let k = weights.len();
        if k == 0 {
            return Err(Error::NoComponents);
        }
        let rows = check_rows(&mean_directions, p, "mean directions")?;
        if rows != k {
            let (what, expected) = ("mean directions", (k * p).to_string());
            return Err(Error::Dimension { what, found: mean_directions.len(), expected });
        }
        if kappas.len() != k {
            let expected = k.to_string();
            return Err(Error::Dimension { what: "kappas", found: kappas.len(), expected });
        }
        kappas.iter().enumerate().try_for_each(|(index, &kappa)| check_kappa(index, kappa))?;
        normalize_weights(&mut weights)?;
        for row in mean_directions.chunks_exact_mut(p) {
            let length = norm(row);
            row.iter_mut().for_each(|x| *x /= length);
        }
        let offsets =
            weights.iter().zip(&kappas).map(|(w, &kappa)| w.ln() + log_normalizer(p, kappa));
        Ok(Self { p, offsets: offsets.collect(), weights, mean_directions, kappas })
    }

    /// Dimension of the ambient space.
    pub fn dimension(&self) -> usize {
        self.p
    }

    /// Number of components.
    pub fn components(&self) -> usize {
        self.weights.len()
    }

    /// π, `[k]`.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// μ, `[k, p]`.
    pub fn mean_directions(&self) -> &[f64] {
        &self.mean_directions
    }

    /// κ, `[k]`.
    pub fn kappas(&self) -> &[f64] {
        &self.kappas
    }

    /// μ_k, `[p]`.
    ///
    /// # Panics
    /// If there is no component `k`.
    pub fn mean_direction(&self, k: usize) -> &[f64] {
        &self.mean_directions[k * self.p..(k + 1) * self.p]
    }

    /// Logarithm of the density at the unit vector `y`, `[p]`, in nats.
    ///
    /// # Panics
    /// If the length of `y` is not `p`.
    pub fn log_density(&self, y: &[f64]) -> f64 {
        let mut joint = vec![0.0; self.components()];
        self.log_responsibilities_into(y, &mut joint)
    }

    /// Logarithms of the probabilities, `[k]`, that the unit vector `y`, `[p]`, came from each
    /// component.
    ///
    /// ```text
    /// log r_k(y) = log π_k + log C_p(κ_k) + κ_k μ_kᵀy − log f(y)
    /// ```
    ///
    /// # Panics
    /// If the length of `y` is not `p`.
    pub fn log_responsibilities(&self, y: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.components()];
        self.log_responsibilities_into(y, &mut out);
        out
    }

    /// Writes [`Self::log_responsibilities`] to `out`, `[k]`, and returns [`Self::log_density`],
    /// which it computes anyway.
    ///
    /// # Accuracy
    /// Error of a few units in the last place of the largest κ_k and |log C_p(κ_k)|
    /// (`tests/golden.rs`). The largest term is subtracted before exponentiating, so nothing
    /// underflows or overflows.
    ///
    /// # Panics
    /// If the length of `y` is not `p` or the length of `out` is not `k`.
    pub fn log_responsibilities_into(&self, y: &[f64], out: &mut [f64]) -> f64 {
        assert_eq!(y.len(), self.p, "`y` needs one coordinate per dimension");
        assert_eq!(out.len(), self.components(), "`out` needs one place per component");
        let rows = self.mean_directions.chunks_exact(self.p);
        for (((out, row), kappa), offset) in
            out.iter_mut().zip(rows).zip(&self.kappas).zip(&self.offsets)
        {
            *out = offset + kappa * dot(row, y);
        }
        let top = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_density = top + out.iter().map(|x| (x - top).exp()).sum::<f64>().ln();
        out.iter_mut().for_each(|x| *x -= log_density);
        log_density
    }

    /// Mean of [`Self::log_density`] over `points`, `[n, p]`, in nats per point.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotUnit`]; [`Error::TooFewPoints`] if there are no points.
    pub fn mean_log_density(&self, points: &[f64]) -> Result<f64, Error> {
        let n = check_rows(points, self.p, "points")?;
        if n == 0 {
            return Err(Error::TooFewPoints { points: 0, components: self.components() });
        }
        let sum: f64 = points.chunks_exact(self.p).map(|y| self.log_density(y)).sum();
        Ok(sum / n as f64)
    }

    /// Draws a component, then a unit vector `[p]` from it. Returns the component's index and the
    /// vector.
    ///
    /// # Errors
    /// Those of [`VonMisesFisher::new`], which cannot occur: [`Self::new`] checked all components.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Result<(usize, Vec<f64>), Error> {
        let k = draw_index(&self.weights, rng);
        let component = VonMisesFisher::new(self.mean_direction(k).to_vec(), self.kappas[k])?;
        Ok((k, component.sample(rng)))
    }
}

/// Scales weights so that they sum to one. Refuses weights whose sum is off by more than 1e-6.
fn normalize_weights(weights: &mut [f64]) -> Result<(), Error> {
    let valid = weights.iter().all(|&w| w >= 0.0);
    let sum = if valid { weights.iter().sum() } else { f64::NAN };
    if sum.is_nan() || (sum - 1.0).abs() > WEIGHT_TOLERANCE {
        return Err(Error::Weights { weights: weights.len(), sum });
    }
    weights.iter_mut().for_each(|w| *w /= sum);
    Ok(())
}

/// Draws an index with probability proportional to its weight. An index of weight zero is never
/// drawn; at least one weight must be positive.
pub(crate) fn draw_index<R: Rng + ?Sized>(weights: &[f64], rng: &mut R) -> usize {
    let mut remaining = rng.random::<f64>() * weights.iter().sum::<f64>();
    let mut last = 0;
    for (k, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        last = k;
        if remaining < weight {
            break;
        }
        remaining -= weight;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_poles() -> Mixture {
        let mu = vec![0.0, 0.0, 1.0, 0.0, 0.0, -1.0];
        Mixture::new(3, vec![0.5, 0.5], mu, vec![1e5, 1e5]).unwrap()
    }

    #[test]
    fn far_components_get_a_finite_log_responsibility() {
        let log_r = two_poles().log_responsibilities(&[0.0, 0.0, 1.0]);
        assert_eq!(log_r[0], 0.0);
        assert!((log_r[1] + 2e5).abs() < 1e-6, "{log_r:?}");
    }

    #[test]
    fn one_component_is_the_distribution_itself() {
        let one = VonMisesFisher::new(vec![0.6, 0.8], 3.0).unwrap();
        let mixture = Mixture::new(2, vec![1.0], vec![0.6, 0.8], vec![3.0]).unwrap();
        let y = [0.0, 1.0];
        assert!((one.log_density(&y) - mixture.log_density(&y)).abs() < 1e-15);
    }

    #[test]
    fn a_component_of_weight_zero_has_no_responsibility() {
        let mu = vec![0.0, 1.0, 1.0, 0.0];
        let mixture = Mixture::new(2, vec![1.0, 0.0], mu, vec![1.0, 50.0]).unwrap();
        assert_eq!(mixture.log_responsibilities(&[1.0, 0.0]), [0.0, f64::NEG_INFINITY]);
    }

    #[test]
    fn refuses_parameters_that_do_not_fit_each_other() {
        let mu = || vec![0.0, 1.0, 1.0, 0.0];
        let half = || vec![0.5, 0.5];
        let new = Mixture::new;
        assert_eq!(new(2, vec![], vec![], vec![]), Err(Error::NoComponents));
        assert!(matches!(new(2, vec![1.0], mu(), vec![1.0]), Err(Error::Dimension { .. })));
        assert!(matches!(new(2, half(), mu(), vec![1.0]), Err(Error::Dimension { .. })));
        assert!(matches!(new(2, vec![0.5, 0.6], mu(), half()), Err(Error::Weights { .. })));
        assert!(matches!(new(2, vec![-0.5, 1.5], mu(), half()), Err(Error::Weights { .. })));
        assert!(matches!(
            new(2, half(), mu(), vec![1.0, f64::NAN]),
            Err(Error::Kappa { index: 1, .. })
        ));
        assert!(matches!(new(2, half(), vec![1.0; 4], half()), Err(Error::NotUnit { .. })));
    }
}
