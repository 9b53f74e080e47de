//! Exact sampling from a von Mises-Fisher distribution, in any dimension and at any concentration.

use rand::{Rng, RngExt};

use crate::distribution::VonMisesFisher;
use crate::error::{dot, norm};

impl VonMisesFisher {
    /// Draws one unit vector, `[p]`. The same `rng` state gives the same vector.
    ///
    /// ```text
    /// y = w μ + √(1 − w²) ξ,      ξ uniform on the unit sphere orthogonal to μ
    /// ```
    ///
    /// where w is drawn by rejection sampling, with a transformed Beta variable as the proposal.
    ///
    /// # Accuracy
    /// Exact up to rounding for `p >= 2` and `κ >= 0` (`tests/identities.rs` compares moments). The
    /// code draws 1 − w instead of w, which keeps full relative accuracy near the mean direction.
    ///
    /// # Source
    /// Wood, *Simulation of the von Mises Fisher distribution*, Commun. Stat. Simul. 23 (1994),
    /// after Ulrich (1984). The Beta variable G₁ / (G₁ + G₂) comes from two Gamma variables; the
    /// formula for 1 − w uses these directly.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Vec<f64> {
        let p = self.dimension();
        let complement = draw_complement(p, self.kappa(), rng); // 1 − w
        let radius = (complement * (2.0 - complement)).max(0.0).sqrt();
        let mut y = vec![0.0; p];
        draw_direction(&mut y[1..], rng);
        y[1..].iter_mut().for_each(|x| *x *= radius);
        y[0] = 1.0 - complement;
        turn_to(self.mean_direction(), &mut y);
        let length = norm(&y);
        y.iter_mut().for_each(|x| *x /= length);
        y
    }

    /// Draws `count` unit vectors, `[count, p]`.
    pub fn sample_many<R: Rng + ?Sized>(&self, count: usize, rng: &mut R) -> Vec<f64> {
        (0..count).flat_map(|_| self.sample(rng)).collect()
    }
}

/// Draws 1 − μᵀy.
///
/// ```text
/// b = (p − 1) / (2κ + √(4κ² + (p − 1)²)),   x₀ = (1 − b)/(1 + b),   G₁, G₂ ~ Gamma((p − 1)/2)
/// 1 − w = 2b G₁ / (G₂ + b G₁),   accepted if   κ(w − x₀) + (p − 1) log[(1 − x₀w)/(1 − x₀²)] ≥ log U
/// ```
fn draw_complement<R: Rng + ?Sized>(p: usize, kappa: f64, rng: &mut R) -> f64 {
    let m = (p - 1) as f64;
    let b = m / (2.0 * kappa + (2.0 * kappa).hypot(m));
    let top = 2.0 * b / (1.0 + b); // 1 − x₀
    loop {
        let (g1, g2) = (draw_gamma(p - 1, rng), draw_gamma(p - 1, rng));
        let complement = 2.0 * b * g1 / (g2 + b * g1);
        // (1 − x₀w) / (1 − x₀²), written with 1 − x₀ and 1 − w so that nothing cancels
        let quotient = (top + (1.0 - top) * complement) / (top * (2.0 - top));
        let log_acceptance = kappa * (top - complement) + m * quotient.ln();
        if log_acceptance >= draw_open(rng).ln() {
            return complement;
        }
    }
}

/// Draws a uniform variable in (0, 1], whose logarithm is finite.
fn draw_open<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    1.0 - rng.random::<f64>()
}

/// Draws two independent standard normal variables by Marsaglia's polar method.
fn draw_normals<R: Rng + ?Sized>(rng: &mut R) -> (f64, f64) {
    loop {
        let (x, y) = (2.0 * rng.random::<f64>() - 1.0, 2.0 * rng.random::<f64>() - 1.0);
        let s = x * x + y * y;
        if s > 0.0 && s < 1.0 {
            let scale = (-2.0 * s.ln() / s).sqrt();
            return (x * scale, y * scale);
        }
    }
}

/// Draws a Gamma(n/2) variable, `n >= 1`: half a squared normal for `n = 1`, otherwise by the method
/// of Marsaglia and Tsang, *A simple method for generating gamma variables*, ACM TOMS 26 (2000).
fn draw_gamma<R: Rng + ?Sized>(n: usize, rng: &mut R) -> f64 {
    if n == 1 {
        let (x, _) = draw_normals(rng);
        return 0.5 * x * x;
    }
    let d = n as f64 / 2.0 - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let (x, _) = draw_normals(rng);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && draw_open(rng).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// Overwrites `x`, which must not be empty, with a uniformly distributed unit vector.
fn draw_direction<R: Rng + ?Sized>(x: &mut [f64], rng: &mut R) {
    loop {
        for pair in x.chunks_mut(2) {
            let (a, b) = draw_normals(rng);
            pair[0] = a;
            if let Some(second) = pair.get_mut(1) {
                *second = b;
            }
        }
        let length = norm(x);
        if length > 1e-100 {
            x.iter_mut().for_each(|x| *x /= length);
            return;
        }
    }
}

/// Applies an orthogonal map to `y` that takes the first axis e₁ to `mean_direction` μ.
///
/// The map is a Householder reflection along `u = e₁ ± μ`. The sign is the one for which `u` is
/// longer, so that normalizing `u` loses no digits. With the plus sign the reflection takes e₁ to
/// −μ, and the result is negated.
fn turn_to(mean_direction: &[f64], y: &mut [f64]) {
    let sign = if mean_direction[0] > 0.0 { 1.0 } else { -1.0 };
    let mut u = mean_direction.to_vec();
    u[0] += sign;
    let scale = 2.0 * dot(&u, y) / dot(&u, &u);
    for (y, u) in y.iter_mut().zip(&u) {
        *y = -sign * (*y - scale * u);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams::{Key, Purpose};

    #[test]
    fn turn_to_takes_the_first_axis_to_the_mean_direction() {
        for mu in
            [[0.6, 0.0, 0.8], [-0.6, 0.8, 0.0], [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
        {
            let mut y = [1.0, 0.0, 0.0];
            turn_to(&mu, &mut y);
            assert!(y.iter().zip(&mu).all(|(a, b)| (a - b).abs() < 1e-15), "{mu:?} {y:?}");
        }
    }

    #[test]
    fn gamma_variables_have_the_right_mean_and_variance() {
        let mut rng = Key::new(1, Purpose::Estimate).open();
        for n in [1, 2, 3, 40] {
            let draws: Vec<f64> = (0..100_000).map(|_| draw_gamma(n, &mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / 1e5;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
            let shape = n as f64 / 2.0;
            assert!((mean - shape).abs() < 5.0 * (shape / 1e5).sqrt(), "{n} {mean}");
            assert!((variance / shape - 1.0).abs() < 0.1, "{n} {variance}");
        }
    }

    #[test]
    fn the_same_stream_gives_the_same_vector() {
        let one = VonMisesFisher::new(vec![0.6, 0.8, 0.0], 5.0).unwrap();
        let key = Key::new(2, Purpose::Estimate);
        assert_eq!(one.sample(&mut key.open()), one.sample(&mut key.open()));
    }
}
