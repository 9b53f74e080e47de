//! Loops over slices for callers that are not kernels themselves: functions of [`simd`], compiled for
//! the CPU at hand. Called outside of a kernel, these are several times slower.

use dispatch::kernel;

use crate::simd;

kernel! {
    /// `Σ aᵢ bᵢ`, in an order that depends on the length alone.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        simd::dot(a, b)
    }
}

kernel! {
    /// The largest number, −∞ of an empty slice.
    pub fn max(a: &[f32]) -> f32 {
        simd::max(a)
    }
}

kernel! {
    /// `xᵢ ← e^(xᵢ − shift)`. Returns `Σ xᵢ`, in an order that depends on the length alone.
    pub fn exp_about(x: &mut [f32], shift: f32) -> f32 {
        for x in x.iter_mut() {
            *x = simd::exp(*x - shift);
        }
        simd::sum(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_f64_and_what_is_not_finite_shows() {
        let x: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin() * 20.0).collect();
        let mut y = x.clone();
        let sum = exp_about(&mut y, 19.0);
        let exact: Vec<f64> = x.iter().map(|&x| (f64::from(x) - 19.0).exp()).collect();
        for (y, exact) in y.iter().zip(&exact) {
            assert!((f64::from(*y) - exact).abs() <= 3e-6 * exact, "{y} {exact}");
        }
        let total: f64 = exact.iter().sum();
        assert!((f64::from(sum) - total).abs() < 3e-6 * total);
        assert!(exp_about(&mut [0.0, f32::NAN], 0.0).is_nan());
        assert!(exp_about(&mut [0.0, f32::INFINITY], f32::INFINITY).is_nan());
    }

    #[test]
    fn they_are_those_of_all_values() {
        let a: Vec<f32> = (0..100).map(|i| (i as f32 * 0.7).sin()).collect();
        let b: Vec<f32> = (0..100).map(|i| (i as f32 * 1.3).cos()).collect();
        let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-5);
        assert_eq!(max(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        assert_eq!(max(&[]), f32::NEG_INFINITY);
    }
}
