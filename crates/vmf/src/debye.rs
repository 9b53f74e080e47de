//! The normalizer as training uses it: a closed form from the Debye expansion with few terms,
//! smooth at κ = 0, with its exact slope.

use crate::normalizer::{log_normalizer_ratio, order};
use crate::ratio::mean_resultant_length;
use crate::uniform::POLYNOMIALS;
use real::{Real, log_1p_minus_x};

mod real;

/// Below this dimension [`Normalizer::new`] computes the exact value, whatever `terms` is.
///
/// The expansion is poor there: with three corrections it is still off by 1e-4 at `p = 8`.
pub const EXACT_BELOW: usize = 16;

/// Number of coefficients of Q, one per power of t below the degree of U_3.
const COEFFICIENTS: usize = 9;

/// How many correction terms of the uniform expansion the normalizer keeps.
///
/// More corrections are more accurate and slower. The published method has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DebyeTerms {
    /// The leading term alone, as in the paper: 9.5e-4 nats at most at `p = 256`.
    #[default]
    Zero,
    /// One correction: 2.3e-6 nats at most at `p = 256`.
    One,
    /// Two corrections: 8.3e-9 nats at most at `p = 256`.
    Two,
    /// Three corrections: 7.9e-11 nats at most at `p = 256`.
    Three,
    /// The exact value to f64 accuracy, instead of an expansion with few terms.
    Exact,
}

impl DebyeTerms {
    /// The variant with `count` corrections, 0 to 3.
    pub fn from_count(count: usize) -> Option<Self> {
        [Self::Zero, Self::One, Self::Two, Self::Three].get(count).copied()
    }

    /// Number of corrections, `None` for the exact value.
    pub fn count(self) -> Option<usize> {
        match self {
            Self::Zero => Some(0),
            Self::One => Some(1),
            Self::Two => Some(2),
            Self::Three => Some(3),
            Self::Exact => None,
        }
    }
}

/// log C_p(κ) − log C_p(0) and its derivative at a fixed dimension.
///
/// ```text
/// b(κ) = ν log1p(δ/2ν) − δ + ½ log1p(δ/ν) − log[(1 + S(t)) / (1 + S(1))]
/// ν = p/2 − 1,  q = √(ν² + κ²),  δ = κ²/(ν + q),  t = ν/q,  S(t) = Σ_{n ≤ terms} U_n(t) / νⁿ
/// ```
///
/// # Accuracy
/// Of the closed form itself: 1e-12 (no corrections) and 1e-11 relative in f64, max(1e-6, 3e-7 |b|)
/// in f32 (`tests/golden.rs`). Of the expansion, against the exact value: see [`DebyeTerms`].
///
/// # Source
/// DLMF 10.41.3; the leading term as the normalizer of prototypes is that of Govindarajan et al.,
/// *DINO as a von Mises-Fisher mixture model*, ICLR 2023, arXiv:2405.10939.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalizer {
    p: usize,
    closed: Option<Closed>,
}

impl Normalizer {
    /// The normalizer at dimension `p`: exact for `p < 16`, else with the given corrections.
    ///
    /// # Panics
    /// If `p < 2`.
    pub fn new(p: usize, terms: DebyeTerms) -> Self {
        assert!(p >= 2, "dimension is {p}, but a sphere of directions needs at least 2");
        let terms = if p < EXACT_BELOW { DebyeTerms::Exact } else { terms };
        Self { p, closed: terms.count().map(|terms| Closed::new(p, terms)) }
    }

    /// The closed form at any dimension, even below [`EXACT_BELOW`] where it is poor. For
    /// comparisons with other implementations.
    ///
    /// # Panics
    /// If `p < 3`, where ν = 0 and there is no expansion; with [`DebyeTerms::Exact`] if `p < 2`.
    pub fn closed_form(p: usize, terms: DebyeTerms) -> Self {
        let Some(terms) = terms.count() else { return Self::new(p, DebyeTerms::Exact) };
        assert!(p >= 3, "dimension is {p}, but the uniform expansion needs at least 3");
        Self { p, closed: Some(Closed::new(p, terms)) }
    }

    /// Dimension of the ambient space.
    pub fn dimension(&self) -> usize {
        self.p
    }

    /// Whether values are exact to f64 accuracy; otherwise they come from the closed form.
    pub fn is_exact(&self) -> bool {
        self.closed.is_none()
    }

    /// b(κ) = log C_p(κ) − log C_p(0), in nats.
    ///
    /// # Panics
    /// If `kappa` is negative, infinite or NaN.
    pub fn value(&self, kappa: f64) -> f64 {
        self.value_and_slope(kappa).0
    }

    /// b′(κ), exactly the derivative of [`Self::value`]; −A_p(κ) if exact.
    ///
    /// # Panics
    /// If `kappa` is negative, infinite or NaN.
    pub fn slope(&self, kappa: f64) -> f64 {
        self.value_and_slope(kappa).1
    }

    /// [`Self::value`] and [`Self::slope`] together, for little more than the cost of one.
    ///
    /// # Panics
    /// If `kappa` is negative, infinite or NaN.
    pub fn value_and_slope(&self, kappa: f64) -> (f64, f64) {
        crate::normalizer::check(self.p, kappa);
        match &self.closed {
            Some(closed) => closed.value_and_slope(kappa),
            None => (log_normalizer_ratio(self.p, kappa), -mean_resultant_length(self.p, kappa)),
        }
    }

    /// [`Self::value`] in f32 arithmetic; an exact normalizer computes in f64 and rounds.
    ///
    /// # Accuracy
    /// Absolute error below max(1e-6, 3e-7 |b|) (`tests/golden.rs`, `tests/identities.rs`).
    ///
    /// # Panics
    /// If `kappa` is negative, infinite or NaN.
    pub fn value_f32(&self, kappa: f32) -> f32 {
        self.value_and_slope_f32(kappa).0
    }

    /// [`Self::slope`] in f32 arithmetic; an exact normalizer computes in f64 and rounds.
    ///
    /// # Accuracy
    /// Absolute error below 1e-6; below 2e-6 at `p = 3` with three corrections, which cancel there.
    ///
    /// # Panics
    /// If `kappa` is negative, infinite or NaN.
    pub fn slope_f32(&self, kappa: f32) -> f32 {
        self.value_and_slope_f32(kappa).1
    }

    /// Value and slope in f32 arithmetic.
    fn value_and_slope_f32(&self, kappa: f32) -> (f32, f32) {
        match &self.closed {
            Some(closed) => {
                crate::normalizer::check(self.p, f64::from(kappa));
                closed.value_and_slope(kappa)
            }
            None => {
                let (value, slope) = self.value_and_slope(f64::from(kappa));
                (value as f32, slope as f32)
            }
        }
    }

    /// Values and slopes of k concentrations, computed in f64 and rounded to f32.
    ///
    /// A training step calls this once for all prototypes.
    ///
    /// # Shapes
    /// All three slices are `[k]`; `values` and `slopes` are overwritten.
    ///
    /// # Panics
    /// If the lengths differ, or if a `kappa` is negative, infinite or NaN.
    pub fn fill(&self, kappas: &[f64], values: &mut [f32], slopes: &mut [f32]) {
        assert_eq!(kappas.len(), values.len(), "`values` needs one place per kappa");
        assert_eq!(kappas.len(), slopes.len(), "`slopes` needs one place per kappa");
        for ((&kappa, value), slope) in kappas.iter().zip(values).zip(slopes) {
            let (b, db) = self.value_and_slope(kappa);
            (*value, *slope) = (b as f32, db as f32);
        }
    }
}

/// The closed form with its corrections as one polynomial.
///
/// At small κ the quotient of corrections differs from one only by a multiple of κ². Forming it
/// directly would lose that difference, so it is computed as
///
/// ```text
/// (1 + S(t)) / (1 + S(1)) = 1 + (t − 1) Q(t),      t − 1 = −δ/q
/// ```
#[derive(Debug, Clone, PartialEq)]
struct Closed {
    nu: f64,
    quotient: [f64; COEFFICIENTS], // of Q, by power of t
    degree: usize,                 // of S, 3 · terms
}

impl Closed {
    fn new(p: usize, terms: usize) -> Self {
        let nu = order(p);
        let mut sum = [0.0; COEFFICIENTS + 1]; // 1 + S, by power of t
        sum[0] = 1.0;
        for (n, polynomial) in POLYNOMIALS.iter().enumerate().take(terms + 1).skip(1) {
            for j in 0..=n {
                sum[n + 2 * j] += polynomial[j] / nu.powi(n as i32);
            }
        }
        // Synthetic division by (t − 1): the coefficients of Q are partial sums from the highest
        // power down, and the last partial sum is 1 + S(1).
        let (mut quotient, mut partial) = ([0.0; COEFFICIENTS], 0.0);
        for power in (1..=COEFFICIENTS).rev() {
            partial += sum[power];
            quotient[power - 1] = partial;
        }
        let at_one = partial + sum[0];
        Self { nu, quotient: quotient.map(|c| c / at_one), degree: 3 * terms }
    }

    /// b and b′, written so that nothing cancels for `p >= 4`. With `L(x) = log1p(x) − x`:
    ///
    /// ```text
    /// leading  = δ (1 − ν)/2ν + ν L(δ/2ν) + ½ L(δ/ν)
    /// leading′ = −κ [2ν(ν − 1) + (4ν − 1) δ + 2δ²] / (2 q² (ν + q))
    /// ```
    fn value_and_slope<R: Real>(&self, kappa: R) -> (R, R) {
        let (one, half, two) = (R::of(1.0), R::of(0.5), R::of(2.0));
        let nu = R::of(self.nu);
        // δ is computed in f64 even when R is f32: it enters every term, and the errors would add up.
        let wide: f64 = kappa.into();
        let q = self.nu.hypot(wide);
        let delta = R::of(wide * (wide / (self.nu + q)));
        let q = R::of(q);
        let mut value = delta * R::of(0.5 * (1.0 - self.nu) / self.nu)
            + nu * log_1p_minus_x(half * delta / nu)
            + half * log_1p_minus_x(delta / nu);
        let (w, d) = (kappa / q, delta / q);
        let constant = R::of(2.0 * self.nu * (self.nu - 1.0)) / q / q;
        let bracket = constant + R::of(4.0 * self.nu - 1.0) / q * d + two * d * d;
        let mut slope = R::of(0.0) - half * w * bracket * (q / (nu + q));
        if self.degree > 0 {
            let t = nu / q;
            let (quotient, derivative) = self.quotient_at(t);
            let excess = R::of(0.0) - d * quotient; // (t − 1) Q(t)
            value = value - excess.ln_1p();
            // t′ = −tw/q
            slope = slope + (quotient - d * derivative) * t * w / q / (one + excess);
        }
        (value, slope)
    }

    /// Q(t) and Q′(t).
    fn quotient_at<R: Real>(&self, t: R) -> (R, R) {
        let (mut value, mut derivative) = (R::of(0.0), R::of(0.0));
        for &c in self.quotient[..self.degree].iter().rev() {
            derivative = derivative * t + value;
            value = value * t + R::of(c);
        }
        (value, derivative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_back_to_the_exact_value_in_low_dimensions_only() {
        assert!(Normalizer::new(15, DebyeTerms::Zero).is_exact());
        assert!(!Normalizer::new(16, DebyeTerms::Zero).is_exact());
        assert!(!Normalizer::closed_form(8, DebyeTerms::Two).is_exact());
        assert!(Normalizer::closed_form(2, DebyeTerms::Exact).is_exact());
    }

    #[test]
    fn counts_and_variants_convert_both_ways() {
        for count in 0..4 {
            assert_eq!(DebyeTerms::from_count(count).and_then(DebyeTerms::count), Some(count));
        }
        assert_eq!(DebyeTerms::from_count(4), None);
    }

    #[test]
    fn errors_at_dimension_256_are_those_in_the_doc_comments() {
        for (terms, bound) in [9.5e-4, 2.3e-6, 8.3e-9, 7.9e-11].into_iter().enumerate() {
            let Some(terms) = DebyeTerms::from_count(terms) else { unreachable!("0 to 3") };
            let normalizer = Normalizer::new(256, terms);
            let kappas = (0..=600).map(|i| 10f64.powf(f64::from(i) / 200.0));
            let errors = kappas.map(|k| (normalizer.value(k) - log_normalizer_ratio(256, k)).abs());
            let worst = errors.fold(0.0, f64::max);
            assert!((0.9 * bound..bound).contains(&worst), "{terms:?}: {worst:e}");
        }
    }

    #[test]
    fn is_finite_for_every_finite_kappa() {
        for p in [3, 4, 16, 256, 4096] {
            for terms in (0..4).filter_map(DebyeTerms::from_count) {
                let normalizer = Normalizer::closed_form(p, terms);
                assert_eq!(normalizer.value_and_slope(0.0), (0.0, 0.0));
                for kappa in [5e-324, 1e-200, 1e-20, 1.0, 1e5, 1e8, 1e200, 1e307] {
                    let (value, slope) = normalizer.value_and_slope(kappa);
                    assert!(value.is_finite() && slope.is_finite(), "{p} {terms:?} {kappa}");
                    let (value, slope) = normalizer.value_and_slope_f32((kappa as f32).min(1e37));
                    assert!(value.is_finite() && slope.is_finite(), "f32 {p} {terms:?} {kappa}");
                }
            }
        }
    }

    #[test]
    fn fill_writes_rounded_values_and_slopes() {
        let normalizer = Normalizer::new(256, DebyeTerms::Zero);
        let (kappas, mut values, mut slopes) = ([0.0, 10.0, 25.0], [9.0; 3], [9.0; 3]);
        normalizer.fill(&kappas, &mut values, &mut slopes);
        for i in 0..3 {
            assert_eq!(values[i], normalizer.value(kappas[i]) as f32);
            assert_eq!(slopes[i], normalizer.slope(kappas[i]) as f32);
        }
    }
}
