//! The uniform (Debye) expansion of I_ν for large order *or* large argument.
//!
//! ```text
//! I_ν(κ) = exp(q) (κ / (ν + q))^ν / √(2πq) · (1 + S),      q = √(ν² + κ²),   t = ν / q
//! S = Σ_n U_n(t) / ν^n = Σ_n P_n(t²) / q^n                  since U_n(t) = t^n P_n(t²)
//! ```
//!
//! Written in powers of `1/q` it is valid down to ν = 0, where it is Hankel's expansion. With 18
//! terms the truncation error is below 1e-17 for all `q >= 25`. This formula covers every case that
//! the power series does not.
//!
//! Source: DLMF 10.41.3 with the recurrence 10.41.9.

/// Number of tabulated terms of the expansion.
pub(crate) const MAX_TERMS: usize = 18;

/// Smallest `q` at which the tabulated terms reach full f64 accuracy.
pub(crate) const SMALLEST_Q: f64 = 25.0;

/// `POLYNOMIALS[n][j]` is the coefficient of t^(n + 2j) in U_n(t).
pub(crate) static POLYNOMIALS: [[f64; MAX_TERMS + 1]; MAX_TERMS + 1] = polynomials();

/// The coefficients of U_0 … U_18, by the recurrence
///
/// ```text
/// U_{n+1}(t) = ½ t² (1 − t²) U_n′(t) + ⅛ ∫₀ᵗ (1 − 5s²) U_n(s) ds
/// ```
///
/// Signs alternate within a polynomial. Each coefficient is thus a sum of two values of equal sign,
/// and nothing cancels.
const fn polynomials() -> [[f64; MAX_TERMS + 1]; MAX_TERMS + 1] {
    let mut u = [[0.0; MAX_TERMS + 1]; MAX_TERMS + 1];
    u[0][0] = 1.0;
    let mut n = 0;
    while n < MAX_TERMS {
        let mut j = 0;
        while j <= n {
            let (c, m) = (u[n][j], (n + 2 * j) as f64);
            u[n + 1][j] += c * (m / 2.0 + 0.125 / (m + 1.0));
            u[n + 1][j + 1] -= c * (m / 2.0 + 0.625 / (m + 3.0));
            j += 1;
        }
        n += 1;
    }
    u
}

/// How many terms to sum so that the first neglected one is below 1e-17 for this `q`.
fn terms_for(q: f64) -> usize {
    match q {
        q if q < 40.0 => MAX_TERMS,
        q if q < 100.0 => 14,
        q if q < 400.0 => 9,
        q if q < 1000.0 => 7,
        _ => 6,
    }
}

/// The expansion evaluated at one (ν, κ).
pub(crate) struct Expansion {
    nu: f64,
    kappa: f64,
    q: f64,
    s: f64,       // S
    theta: f64,   // θS / (1 + S), θ = t d/dt
    theta_2: f64, // θ²S / (1 + S)
}

impl Expansion {
    /// Sums the series at order `nu >= 0`. Accurate for `q >= SMALLEST_Q`.
    pub(crate) fn new(nu: f64, kappa: f64) -> Self {
        let q = nu.hypot(kappa);
        let t2 = (nu / q) * (nu / q);
        let (mut s, mut theta, mut theta_2, mut power) = (0.0, 0.0, 0.0, 1.0);
        for (n, coefficients) in POLYNOMIALS.iter().enumerate().take(terms_for(q) + 1).skip(1) {
            power /= q;
            let (mut value, mut first, mut second) = (0.0, 0.0, 0.0); // P, P′, P″/2 at t²
            for &c in coefficients[..=n].iter().rev() {
                second = second * t2 + first;
                first = first * t2 + value;
                value = value * t2 + c;
            }
            let n = n as f64;
            s += power * value;
            theta += power * (n * value + 2.0 * t2 * first);
            theta_2 += power * (n * n * value + 4.0 * t2 * ((n + 1.0) * first + 2.0 * t2 * second));
        }
        Self { nu, kappa, q, s, theta: theta / (1.0 + s), theta_2: theta_2 / (1.0 + s) }
    }

    /// log(1 + S).
    pub(crate) fn log_correction(&self) -> f64 {
        self.s.ln_1p()
    }

    /// A = κ · [1 / (ν + q) − (½ + θS/(1 + S)) / q²].
    pub(crate) fn mean_resultant_length(&self) -> f64 {
        let Self { nu, kappa, q, theta, .. } = *self;
        kappa / (nu + q) - kappa / q * ((0.5 + theta) / q)
    }

    /// 1 − A, by 1 − κ/(ν + q) = (ν + ν²/(q + κ)) / (ν + q). Subtracting A from 1 would cancel at
    /// large κ.
    pub(crate) fn mean_resultant_length_complement(&self) -> f64 {
        let Self { nu, kappa, q, theta, .. } = *self;
        (nu + nu * (nu / (q + kappa))) / (nu + q) + kappa / q * ((0.5 + theta) / q)
    }

    /// dA/dκ, in a form where no terms of size one cancel, as they do in 1 − A² − (p − 1) A / κ:
    ///
    /// ```text
    /// dA/dκ = ν / (q (ν + q)) + [(w² − t²)(½ + θ₁) + w² (θ₂ − θ₁²)] / q²
    /// w = κ/q,   t = ν/q,   θ₁ = θS / (1 + S),   θ₂ = θ²S / (1 + S)
    /// ```
    pub(crate) fn mean_resultant_length_slope(&self) -> f64 {
        let Self { nu, kappa, q, theta, theta_2, .. } = *self;
        let (w, t) = (kappa / q, nu / q);
        let bracket = (w - t) * (w + t) * (0.5 + theta) + w * w * (theta_2 - theta * theta);
        t / (nu + q) + bracket / q / q
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_have_the_coefficients_given_in_handbooks() {
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-15 * b.abs();
        assert!(close(POLYNOMIALS[1][0], 3.0 / 24.0) && close(POLYNOMIALS[1][1], -5.0 / 24.0));
        for (j, numerator) in [30375.0, -369603.0, 765765.0, -425425.0].into_iter().enumerate() {
            assert!(close(POLYNOMIALS[3][j], numerator / 414720.0), "{j}");
        }
    }

    #[test]
    fn at_order_one_half_the_expansion_is_that_of_the_hyperbolic_sine() {
        // I_{1/2}(κ) = √(2/πκ) sinh κ, hence A_3 = coth κ − 1/κ.
        for kappa in [26.0f64, 50.0, 1e3, 1e6] {
            let expansion = Expansion::new(0.5, kappa);
            let expected = 1.0 / kappa.tanh() - 1.0 / kappa;
            assert!((expansion.mean_resultant_length() - expected).abs() < 2e-16, "{kappa}");
            let slope = expansion.mean_resultant_length_slope();
            assert!((slope * kappa * kappa - 1.0).abs() < 1e-13, "{kappa}");
        }
    }
}
