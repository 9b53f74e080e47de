//! Maximum-likelihood mixtures by expectation maximization (EM).

use rand::{Rng, RngExt};

use crate::error::{Error, check_rows, dot, norm};
use crate::estimate::max_likelihood_kappa;
use crate::mixture::{Mixture, draw_index};
use crate::ratio::mean_resultant_length;

/// Options of [`fit`], for example `EmOptions { components: 8, ..EmOptions::default() }`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmOptions {
    /// Number of components; at least one.
    pub components: usize,
    /// Largest number of updates; at least one. The default is 200.
    pub max_iterations: usize,
    /// The fit stops when an update gains no more than this, in nats per point. The default is 1e-8.
    pub tolerance: f64,
    /// Largest concentration; in (0, 1e5]. The default is 1e5, the largest κ at which the accuracy
    /// of the normalizer is tested.
    ///
    /// A component that shrinks to one point, or to copies of one point, has an unbounded
    /// likelihood and an infinite κ̂; the cap prevents this. The log likelihood is concave in κ, so
    /// the capped κ̂ is the exact maximum under the constraint, and the likelihood still never
    /// decreases.
    pub max_kappa: f64,
}

impl Default for EmOptions {
    fn default() -> Self {
        Self { components: 1, max_iterations: 200, tolerance: 1e-8, max_kappa: 1e5 }
    }
}

impl EmOptions {
    fn check(&self) -> Result<(), Error> {
        if self.components == 0 {
            return Err(Error::NoComponents);
        }
        if self.max_iterations == 0 {
            let allowed = "at least 1";
            return Err(Error::Options { option: "max_iterations", found: 0.0, allowed });
        }
        if self.tolerance.is_nan() || self.tolerance < 0.0 {
            let (found, allowed) = (self.tolerance, "at least 0");
            return Err(Error::Options { option: "tolerance", found, allowed });
        }
        if !(self.max_kappa > 0.0 && self.max_kappa <= 1e5) {
            let (found, allowed) = (self.max_kappa, "above 0 and at most 1e5");
            return Err(Error::Options { option: "max_kappa", found, allowed });
        }
        Ok(())
    }
}

/// Why a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmStop {
    /// The last update gained no more than [`EmOptions::tolerance`].
    Converged,
    /// The fit made [`EmOptions::max_iterations`] updates.
    Iterations,
}

/// A fitted mixture and the history of the fit.
#[derive(Debug, Clone, PartialEq)]
pub struct EmFit {
    /// The mixture.
    pub mixture: Mixture,
    /// Mean log density of the points, in nats per point: at the start and after each update that
    /// was kept. It never decreases. The last value belongs to [`Self::mixture`].
    pub log_likelihood: Vec<f64>,
    /// Why the fit ended.
    pub stop: EmStop,
    /// Components whose concentration is [`EmOptions::max_kappa`].
    pub capped: Vec<usize>,
    /// Components of weight zero. No point belongs to them; their direction and κ are meaningless.
    pub empty: Vec<usize>,
}

/// Fits a mixture of von Mises-Fisher distributions to `points`, `[n, p]`, by expectation
/// maximization.
///
/// ```text
/// E:   r_ik = π_k f_k(y_i) / Σ_j π_j f_j(y_i)
/// M:   N_k = Σ_i r_ik,   R_k = Σ_i r_ik y_i
///      π_k = N_k / n,    μ_k = R_k / ‖R_k‖,    A_p(κ_k) = ‖R_k‖ / N_k
/// ```
///
/// The initial centers are drawn by k-means++ with the distance 1 − cos: each next center is a point
/// drawn with a probability proportional to its distance from the nearest center so far. The result
/// is a pure function of the arguments and the state of `rng`. EM finds a local maximum, so fit with
/// several random streams and keep the fit with the largest likelihood.
///
/// A component without points keeps its index and gets weight zero.
///
/// # Errors
/// [`Error::NoComponents`], [`Error::Options`], [`Error::TooFlat`], [`Error::Dimension`],
/// [`Error::NotUnit`], and [`Error::TooFewPoints`] if `n < components`.
///
/// # Source
/// Banerjee et al., JMLR 6 (2005), with soft assignments (“soft-moVMF”) and exact κ̂. The initial
/// centers are those of Arthur and Vassilvitskii, *k-means++*, SODA 2007.
pub fn fit<R: Rng + ?Sized>(
    points: &[f64],
    p: usize,
    options: &EmOptions,
    rng: &mut R,
) -> Result<EmFit, Error> {
    options.check()?;
    let n = check_rows(points, p, "points")?;
    if n < options.components {
        return Err(Error::TooFewPoints { points: n, components: options.components });
    }
    let mut mixture = start(points, p, options, rng)?;
    let (mut statistics, first) = expect(&mixture, points);
    let (mut log_likelihood, mut last) = (vec![first], first);
    let mut stop = EmStop::Iterations;
    for _ in 0..options.max_iterations {
        let next = maximize(&statistics, &mixture, options)?;
        let (next_statistics, value) = expect(&next, points);
        if value >= last {
            (mixture, statistics) = (next, next_statistics);
            log_likelihood.push(value);
        }
        // A decrease can only be rounding error at the maximum: drop the update and stop.
        let gain = value - last;
        last = value;
        if gain <= options.tolerance {
            stop = EmStop::Converged;
            break;
        }
    }
    let select = |chosen: &dyn Fn(usize) -> bool| {
        (0..mixture.components()).filter(|&k| chosen(k)).collect::<Vec<_>>()
    };
    let empty = select(&|k| mixture.weights()[k] == 0.0);
    let capped = select(&|k| mixture.kappas()[k] >= options.max_kappa);
    Ok(EmFit { mixture, log_likelihood, stop, capped, empty })
}

/// Sums over the points: the sufficient statistics of an update.
struct Statistics {
    counts: Vec<f64>,     // [k], N_k
    resultants: Vec<f64>, // [k, p], R_k
}

impl Statistics {
    fn zero(components: usize, p: usize) -> Self {
        Self { counts: vec![0.0; components], resultants: vec![0.0; components * p] }
    }

    fn add(&mut self, k: usize, responsibility: f64, y: &[f64]) {
        self.counts[k] += responsibility;
        let row = &mut self.resultants[k * y.len()..(k + 1) * y.len()];
        row.iter_mut().zip(y).for_each(|(sum, y)| *sum += responsibility * y);
    }
}

/// Sums over all points under the mixture's responsibilities, and its mean log density.
fn expect(mixture: &Mixture, points: &[f64]) -> (Statistics, f64) {
    let (p, k) = (mixture.dimension(), mixture.components());
    let mut statistics = Statistics::zero(k, p);
    let (mut log_r, mut sum) = (vec![0.0; k], 0.0);
    for y in points.chunks_exact(p) {
        sum += mixture.log_responsibilities_into(y, &mut log_r);
        for (k, log_r) in log_r.iter().enumerate() {
            let responsibility = log_r.exp();
            if responsibility > 0.0 {
                statistics.add(k, responsibility, y);
            }
        }
    }
    (statistics, sum / (points.len() / p) as f64)
}

/// The mixture with the largest likelihood for these sums.
///
/// A component without points keeps its direction and κ from `last`. A component with a zero
/// resultant keeps its direction.
fn maximize(
    statistics: &Statistics,
    last: &Mixture,
    options: &EmOptions,
) -> Result<Mixture, Error> {
    let p = last.dimension();
    let mut mean_directions = last.mean_directions().to_vec();
    let mut kappas = last.kappas().to_vec();
    let n: f64 = statistics.counts.iter().sum();
    for (k, (&count, resultant)) in
        statistics.counts.iter().zip(statistics.resultants.chunks_exact(p)).enumerate()
    {
        let length = norm(resultant);
        if count == 0.0 {
            continue;
        }
        kappas[k] = capped_kappa(p, length / count, options.max_kappa)?;
        // Below this the direction is rounding error, and κ̂ is so small that it has no effect.
        if length > 1e-280 {
            let row = &mut mean_directions[k * p..(k + 1) * p];
            row.iter_mut().zip(resultant).for_each(|(mu, r)| *mu = r / length);
        }
    }
    let weights = statistics.counts.iter().map(|count| count / n).collect();
    Mixture::new(p, weights, mean_directions, kappas)
}

/// κ̂ under the constraint κ ≤ `max_kappa`.
fn capped_kappa(p: usize, r: f64, max_kappa: f64) -> Result<f64, Error> {
    if r >= mean_resultant_length(p, max_kappa) {
        return Ok(max_kappa);
    }
    Ok(max_likelihood_kappa(p, r)?.min(max_kappa))
}

/// The initial mixture: centers by k-means++, then each component's weight, direction and κ from the
/// points nearest to its center.
fn start<R: Rng + ?Sized>(
    points: &[f64],
    p: usize,
    options: &EmOptions,
    rng: &mut R,
) -> Result<Mixture, Error> {
    let (n, k) = (points.len() / p, options.components);
    let row = |i: usize| &points[i * p..(i + 1) * p];
    let mut centers = row(rng.random_range(0..n)).to_vec();
    let mut nearest = vec![(f64::INFINITY, 0); n]; // distance 1 − cos, center
    for center in 0..k {
        for (i, nearest) in nearest.iter_mut().enumerate() {
            let distance = (1.0 - dot(row(i), &centers[center * p..])).max(0.0);
            if distance < nearest.0 {
                *nearest = (distance, center);
            }
        }
        if center + 1 < k {
            // All points coincide with centers: draw any of them with equal probability.
            let mut distances: Vec<_> = nearest.iter().map(|(distance, _)| *distance).collect();
            if distances.iter().all(|&distance| distance == 0.0) {
                distances.fill(1.0);
            }
            centers.extend_from_slice(row(draw_index(&distances, rng)));
        }
    }
    let mut statistics = Statistics::zero(k, p);
    nearest.iter().enumerate().for_each(|(i, &(_, center))| statistics.add(center, 1.0, row(i)));
    let uniform = Mixture::new(p, vec![1.0 / k as f64; k], centers, vec![0.0; k])?;
    maximize(&statistics, &uniform, options)
}

#[cfg(test)]
mod tests;
