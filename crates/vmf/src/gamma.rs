//! log Γ(p/2), the logarithm of the gamma function at integers and half-integers. The area of a
//! sphere needs it nowhere else.

use std::f64::consts::PI;

/// From this `p` on, Stirling's series is used. Below it, Γ(p/2) is a product far inside the range
/// of f64.
const STIRLING_FROM: usize = 60;

/// Logarithm of Γ(p/2), for `p >= 1`.
///
/// ```text
/// Γ(p/2) = Π (p/2 − i),  down to Γ(1) = 1 or Γ(1/2) = √π                         p < 60
/// log Γ(h) = (h − ½) log h − h + ½ log 2π + 1/12h − 1/360h³ + 1/1260h⁵ − …       p ≥ 60
/// ```
///
/// # Accuracy
/// A few units in the last place; the first neglected term is below 1e-18 at `h = 30`.
///
/// # Source
/// Stirling's series, DLMF 5.11.1.
pub(crate) fn log_gamma_of_half(p: usize) -> f64 {
    let h = p as f64 / 2.0;
    if p < STIRLING_FROM {
        let (start, end) = if p.is_multiple_of(2) { (1.0, 1.0) } else { (PI.sqrt(), 0.5) };
        let mut product: f64 = start;
        let mut factor = h - 1.0;
        while factor >= end {
            product *= factor;
            factor -= 1.0;
        }
        return product.ln();
    }
    let s = 1.0 / (h * h);
    let tail =
        1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0)));
    (h - 0.5) * h.ln() - h + 0.5 * (2.0 * PI).ln() + tail / h
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_factorial_at_even_arguments() {
        assert_eq!(log_gamma_of_half(2), 0.0);
        assert_eq!(log_gamma_of_half(4), 0.0);
        assert!((log_gamma_of_half(10) - 24f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn obeys_the_recurrence_across_the_change_of_formulas() {
        for p in 1..200 {
            let step = log_gamma_of_half(p + 2) - log_gamma_of_half(p);
            let expected = (p as f64 / 2.0).ln();
            assert!((step - expected).abs() <= 1e-15 * log_gamma_of_half(p + 2).max(8.0), "{p}");
        }
    }
}
