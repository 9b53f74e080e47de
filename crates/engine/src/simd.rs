//! Elementary functions that vectorize inside of kernels.
//!
//! A [`kernel!`](dispatch::kernel) compiles a function for several instruction sets; what is called
//! inside must be `#[inline(always)]`, as everything here is. Sums run over 16 fixed lanes, so their
//! order depends on the length alone.

const LANES: usize = 16;

/// Prefetches these values into the L2 cache: for values in short pieces, which the hardware prefetcher
/// does not find.
#[inline(always)]
pub fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LANES) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch is a hint. It never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// `Σ f(aᵢ, bᵢ)` in 16 lanes that are added in order.
#[inline(always)]
fn lanes2(a: &[f32], b: &[f32], term: impl Fn(f32, f32, f32) -> f32) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut sums = [0.0f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] = term(sums[lane], a[lane], b[lane]);
        }
    }
    let mut total = 0.0;
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        total = term(total, a, b);
    }
    sums.iter().fold(total, |total, sum| total + sum)
}

/// `Σ aᵢ`.
#[inline(always)]
pub fn sum(a: &[f32]) -> f32 {
    lanes2(a, a, |sum, a, _| sum + a)
}

/// `Σ aᵢ bᵢ`.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    lanes2(a, b, |sum, a, b| a.mul_add(b, sum))
}

/// `Σ aᵢ (bᵢ − shift)`.
#[inline(always)]
pub fn dot_about(a: &[f32], b: &[f32], shift: f32) -> f32 {
    lanes2(a, b, |sum, a, b| a.mul_add(b - shift, sum))
}

/// `Σ (aᵢ − shift)²`.
#[inline(always)]
pub fn sum_of_squares_about(a: &[f32], shift: f32) -> f32 {
    lanes2(a, a, |sum, a, _| (a - shift).mul_add(a - shift, sum))
}

/// The largest number, −∞ of an empty slice.
#[inline(always)]
pub fn max(a: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = a.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            best[lane] = if chunk[lane] > best[lane] { chunk[lane] } else { best[lane] };
        }
    }
    best.iter().chain(rest).fold(f32::NEG_INFINITY, |best, &x| if x > best { x } else { best })
}

/// `eˣ` with a relative error below 2e-7; 0 below −87.3, where f32 turns subnormal.
///
/// ```text
/// eˣ = 2ⁿ eʳ,  n = round(x / ln 2),  r = x − n ln 2 in two parts,  |r| ≤ ½ ln 2
/// ```
///
/// `eʳ` by its Taylor polynomial of degree 7, whose remainder is below 6e-9 there.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 · 2²³ rounds to an integer, which then stands in the lowest bits. A cast would not do:
    // it saturates, for which the compiler takes one lane at a time.
    const SHIFT: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.3, 88.3);
    let shifted = clamped * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = r.mul_add(p, coefficient);
    }
    let power = f32::from_bits((shifted.to_bits() + 127) << 23);
    if x < -87.3 { 0.0 } else { p * power }
}

/// The logistic function `σ(x) = 1 / (1 + e⁻ˣ)`; absolute error below 2e-7.
#[inline(always)]
pub fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Φ(x), the distribution function of the standard normal, and its density φ(x).
///
/// ```text
/// erf(z) = 1 − (a₁t + a₂t² + a₃t³ + a₄t⁴ + a₅t⁵) e^(−z²),  t = 1 / (1 + p z),  z ≥ 0
/// Φ(x)   = ½ (1 + erf(x / √2)),   φ(x) = e^(−x²/2) / √(2π)
/// ```
///
/// Absolute error below 2e-7. Source: Abramowitz and Stegun (1964), 7.1.26.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    const A: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let gauss = exp(-0.5 * x * x);
    let mut poly = A[0];
    for coefficient in &A[1..] {
        poly = poly.mul_add(t, *coefficient);
    }
    let upper_tail = 0.5 * poly * t * gauss;
    let cdf = if x < 0.0 { upper_tail } else { 1.0 - upper_tail };
    (cdf, gauss * 0.398_942_3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_2e_7_of_f64() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0 + 0.001_7;
            let truth = f64::from(x).exp();
            let error = (f64::from(exp(x)) - truth).abs() / truth;
            assert!(error < 2e-7, "{x}: {error}");
        }
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn the_logistic_function_is_within_2e_7_of_f64() {
        for i in -2000..2000 {
            let x = i as f32 / 20.0 + 0.001_7;
            let truth = 1.0 / (1.0 + (-f64::from(x)).exp());
            let error = (f64::from(logistic(x)) - truth).abs();
            assert!(error < 2e-7, "{x}: {error}");
        }
    }

    /// Φ against its own series, summed in f64.
    #[test]
    fn normal_cdf_is_within_2e_7_of_its_series() {
        for i in -600..=600 {
            let x = i as f32 / 100.0;
            let xd = f64::from(x);
            let (mut term, mut series) = (xd, xd);
            for k in 1..200 {
                term *= xd * xd / f64::from(2 * k + 1);
                series += term;
            }
            let density = (-0.5 * xd * xd).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let (cdf, pdf) = normal(x);
            assert!((f64::from(cdf) - (0.5 + density * series)).abs() < 2e-7, "{x}");
            assert!((f64::from(pdf) - density).abs() < 1e-7, "{x}");
        }
    }

    #[test]
    fn sums_and_maxima_have_the_value_of_plain_loops() {
        for len in [0, 1, 15, 16, 17, 100] {
            let a: Vec<f32> = (0..len).map(|i| (i * 7 % 13) as f32 - 5.0).collect();
            assert_eq!(sum(&a), a.iter().sum::<f32>());
            assert_eq!(dot(&a, &a), a.iter().map(|x| x * x).sum::<f32>());
            assert_eq!(max(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
