//! Reductions of slices for callers that are not kernels themselves: those of [`simd`], compiled for
//! the CPU at hand. Called outside of a kernel, the functions there are several times slower.

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

#[cfg(test)]
mod tests {
    use super::*;

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
