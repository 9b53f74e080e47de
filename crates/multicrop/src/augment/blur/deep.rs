//! The blur of this module for deep images: the same box, in single precision and without rounding.

use dispatch::kernel;

use super::{PASSES, box_radius};
use crate::planes::DeepPlanes;

/// Scratch memory of a blur.
#[derive(Debug, Clone, Default)]
pub struct DeepScratch(Vec<f32>);

/// Blurs a deep image with a standard deviation of `sigma` pixels: three box averages along the rows
/// and three along the columns, with border pixels repeated outside the image.
///
/// ```text
/// y_i = full Σ_{|j| ≤ r} x_{i+j} + edge (x_{i−r−1} + x_{i+r+1})
/// full = 1 / (2 radius + 1)      edge = (1 − (2 r + 1) full) / 2      r = ⌊radius⌋
/// ```
///
/// # Panics
/// If `sigma` is negative, NaN, or above 1000 pixels.
pub fn apply_deep(planes: &mut DeepPlanes, sigma: f64, scratch: &mut DeepScratch) {
    assert!((0.0..=1000.0).contains(&sigma), "cannot blur by {sigma} pixels");
    let average = BoxAverage::new(box_radius(sigma as f32));
    let width = planes.width();
    let scratch = &mut scratch.0;
    for plane in planes.iter_mut() {
        // a run of neighbors `step` apart: one row, or all columns in parallel
        for run in plane.chunks_exact_mut(width) {
            average.repeat(run, 1, scratch);
        }
        average.repeat(plane, width, scratch);
    }
}

/// A box average with fractional ends.
struct BoxAverage {
    reach: usize, // r
    full: f32,
    edge: f32,
}

impl BoxAverage {
    fn new(radius: f32) -> Self {
        let (reach, full) = (radius as usize, 1.0 / (2.0 * radius + 1.0));
        Self { reach, full, edge: (1.0 - (2 * reach + 1) as f32 * full) / 2.0 }
    }

    /// Runs all passes over a run.
    fn repeat(&self, run: &mut [f32], step: usize, scratch: &mut Vec<f32>) {
        let margin = (self.reach + 1) * step;
        scratch.resize(run.len() + 2 * margin, 0.0);
        for _ in 0..PASSES {
            scratch[margin..][..run.len()].copy_from_slice(run);
            for i in (0..margin).rev() {
                scratch[i] = scratch[i + step];
            }
            for i in margin + run.len()..scratch.len() {
                scratch[i] = scratch[i - step];
            }
            average(scratch, step, [self.full, self.edge], self.reach, run);
        }
    }
}

kernel! {
    /// One pass; `values` is longer than `out` by a margin on both sides.
    fn average(values: &[f32], step: usize, weights: [f32; 2], reach: usize, out: &mut [f32]) {
        let [full, edge] = weights;
        let (last, len) = (2 * (reach + 1), out.len());
        out.fill(0.0);
        for j in 1..last {
            for (sum, &value) in out.iter_mut().zip(&values[j * step..][..len]) {
                *sum += value;
            }
        }
        let ends = values[..len].iter().zip(&values[last * step..][..len]);
        for (sum, (&first, &last)) in out.iter_mut().zip(ends) {
            *sum = full * *sum + edge * (first + last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::DeepImage;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_flat_image_stays_flat_and_the_mean_of_a_centered_dot_stays(
            (width, height) in (1_u32..40, 1_u32..40),
            sigma in 0.0..10.0,
            value in 0.0_f32..1.0,
        ) {
            let image = DeepImage::filled(width, height, &[value, 0.5]);
            let mut planes = DeepPlanes::from_image(&image);
            apply_deep(&mut planes, sigma, &mut DeepScratch::default());
            for (plane, expected) in planes.iter().zip([value, 0.5]) {
                prop_assert!(plane.iter().all(|found| (found - expected).abs() < 1e-5));
            }
        }
    }

    #[test]
    fn a_dot_spreads_with_the_variance_of_the_gaussian() {
        let mut image = DeepImage::filled(81, 1, &[0.0]);
        image.pixels_mut()[40] = 1.0;
        for sigma in [0.5_f32, 1.3, 2.0, 5.0] {
            let mut planes = DeepPlanes::from_image(&image);
            apply_deep(&mut planes, sigma.into(), &mut DeepScratch::default());
            let squares = (0..81).map(|x| (x as f32 - 40.0).powi(2));
            let variance: f32 = squares.zip(planes.values()).map(|(square, v)| square * v).sum();
            assert!((variance / (sigma * sigma) - 1.0).abs() < 1e-3, "{sigma}: {variance}");
        }
    }
}
