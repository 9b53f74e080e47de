//! `Real` is the arithmetic that the closed form needs, so that f32 and f64 share one formula.

use std::ops::{Add, Div, Mul, Sub};

/// f32 or f64.
pub(super) trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Into<f64>
{
    /// Number of terms of the series in [`log_1p_minus_x`] that reach this type's precision.
    const LOG_TERMS: usize;
    /// Rounds a constant.
    fn of(x: f64) -> Self;
    /// log(1 + x).
    fn ln_1p(self) -> Self;
}

macro_rules! real {
    ($number:ident, $terms:literal) => {
        impl Real for $number {
            const LOG_TERMS: usize = $terms;
            fn of(x: f64) -> Self {
                x as $number
            }
            fn ln_1p(self) -> Self {
                $number::ln_1p(self)
            }
        }
    };
}
real!(f32, 7);
real!(f64, 16);

/// 1/(2i + 3).
const ODD: [f64; 16] = {
    let (mut odd, mut i) = ([0.0; 16], 0);
    while i < 16 {
        odd[i] = 1.0 / (2 * i + 3) as f64;
        i += 1;
    }
    odd
};

/// log1p(x) − x for `x >= 0`, accurate even where log1p(x) rounds to x.
///
/// ```text
/// −r x + 2 r³ (1/3 + r²/5 + r⁴/7 + …),   r = x / (2 + x)        x < 1
/// ```
pub(super) fn log_1p_minus_x<R: Real>(x: R) -> R {
    if x >= R::of(1.0) {
        return x.ln_1p() - x;
    }
    let r = x / (R::of(2.0) + x);
    let square = r * r;
    let mut tail = R::of(0.0);
    for &c in ODD[..R::LOG_TERMS].iter().rev() {
        tail = tail * square + R::of(c);
    }
    R::of(2.0) * r * square * tail - r * x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_full_relative_accuracy_on_both_sides_of_its_seam() {
        // By the alternating series at 1e-3; by the logarithm, which loses three bits, near one.
        let x: f64 = 1e-3;
        let series = -x * x * (0.5 - x * (1.0 / 3.0 - x * (0.25 - x * (0.2 - x / 6.0))));
        assert!((log_1p_minus_x(x) / series - 1.0).abs() < 1e-15);
        for x in [0.5, 0.9, 0.999_999, 1.0, 1.5] {
            let expected = f64::ln_1p(x) - x;
            assert!((log_1p_minus_x(x) / expected - 1.0).abs() < 4e-15, "{x}");
            let single = f64::from(log_1p_minus_x(x as f32));
            assert!(
                (single / (f64::ln_1p(f64::from(x as f32)) - f64::from(x as f32)) - 1.0).abs()
                    < 4e-7
            );
        }
    }
}
