//! Gaussian blur as in Pillow: three box averages along each axis.

mod deep;

use std::ops::Range;

use dispatch::kernel;
use rand::Rng;

use super::{chance, uniform};
use crate::image::Image8;
use crate::planes::Planes;

pub use deep::{DeepScratch, apply_deep};

/// Number of box averages along each axis.
const PASSES: usize = 3;
/// Number of values that are averaged together.
const LANES: usize = 32;
/// Fraction bits of the weights of a box.
const WEIGHT_BITS: u32 = 24;

/// Draws whether to blur, and if so the standard deviation, uniformly from `sigma`.
pub fn sample(probability: f64, sigma: (f64, f64), rng: &mut impl Rng) -> Option<f64> {
    chance(probability, rng).then(|| uniform(sigma, rng))
}

/// Blurs with a standard deviation of `sigma` pixels, which Pillow calls the radius.
///
/// Applies three box averages along the rows, then three along the columns. Each is rounded to 8
/// bits, and border pixels are repeated outside the image.
///
/// # Accuracy
/// Equal to `GaussianBlur(sigma)` of Pillow 11.3 in every bit (`tests/golden_augment.rs`). The
/// kernel is not a Gaussian, but has the same variance.
///
/// # Panics
/// If `sigma` is negative, NaN, or above 1000 pixels.
pub fn apply(image: &mut Image8, sigma: f64) {
    assert!((0.0..=1000.0).contains(&sigma), "cannot blur by {sigma} pixels");
    Planes::edit(image, |planes| apply_to(planes, sigma, &mut Scratch::default()));
}

/// Scratch memory of a blur.
#[derive(Debug, Clone, Default)]
pub struct Scratch([Vec<u8>; 2]);

/// As [`apply`], on planes.
///
/// # Panics
/// As [`apply`].
pub fn apply_to(planes: &mut Planes, sigma: f64, scratch: &mut Scratch) {
    assert!((0.0..=1000.0).contains(&sigma), "cannot blur by {sigma} pixels");
    let average = BoxAverage::new(box_radius(sigma as f32));
    if average.is_identity() {
        return;
    }
    let (width, plane) = (planes.width(), planes.width() * planes.height());
    for (run, step) in [(width, 1), (plane, width)] {
        for buffer in &mut scratch.0 {
            buffer.resize(run + average.margins(step) + LANES, 0);
        }
        average_runs(planes.values_mut(), Run { len: run, step }, average, &mut scratch.0);
    }
}

/// Radius of the box whose threefold average has the variance of a Gaussian; fractional.
///
/// ```text
/// v = σ² / 3       l = ⌊(√(12 v + 1) − 1) / 2⌋
/// radius = l + (2 l + 1) (l (l + 1) − 3 v) / (6 (v − (l + 1)²))
/// ```
///
/// In single precision wherever Pillow is: one unit in the last place of the radius changes the
/// weights.
///
/// # Source
/// Gwosdek et al., *Theoretical foundations of Gaussian convolution by extended box filtering*,
/// SSVM 2011.
fn box_radius(sigma: f32) -> f32 {
    let variance = sigma * sigma / PASSES as f32;
    let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
    let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
    let next = whole + 1.0;
    let part = (2.0 * whole + 1.0) * (whole * next - 3.0 * variance);
    whole + part / (6.0 * (variance - next * next))
}

/// A box average with fractional ends.
///
/// ```text
/// y_i = (2²³ + full Σ_{|j| ≤ r} x_{i+j} + edge (x_{i−r−1} + x_{i+r+1})) >> 24
/// ```
#[derive(Debug, Clone, Copy)]
struct BoxAverage {
    reach: usize, // r
    full: u32,
    edge: u32,
}

/// A run of `len` values to average, whose neighbors are `step` apart.
///
/// Along rows the step is 1. A whole plane, as one run with a step of a row's length, averages all
/// columns in parallel.
#[derive(Debug, Clone, Copy)]
struct Run {
    len: usize,
    step: usize,
}

impl BoxAverage {
    /// The box with this fractional radius; its weights sum to 2²⁴ or 2²⁴ − 1.
    fn new(radius: f32) -> Self {
        let reach = radius as usize;
        let full = ((1 << WEIGHT_BITS) as f32 / (radius * 2.0 + 1.0)) as u32;
        // never negative: 2²⁴ / (2 r + 1) does not round up to a whole number in single precision
        let edge = ((1 << WEIGHT_BITS) - (2 * reach as u32 + 1) * full) / 2;
        Self { reach, full, edge }
    }

    /// True if all neighbors have weight 0.
    fn is_identity(&self) -> bool {
        self.reach == 0 && self.edge == 0
    }

    /// Number of extra values before and after a run, in all.
    fn margins(&self, step: usize) -> usize {
        2 * (self.reach + 1) * step
    }

    /// Runs one pass; `values` is longer than `out` by the run's margins and [`LANES`].
    #[inline(always)]
    fn average(&self, values: &[u8], step: usize, out: &mut [u8]) {
        let (chunks, rest) = out.as_chunks_mut::<LANES>();
        for (chunk, out) in chunks.iter_mut().enumerate() {
            *out = self.average_chunk(&values[chunk * LANES..], step);
        }
        if !rest.is_empty() {
            let averages = self.average_chunk(&values[chunks.len() * LANES..], step);
            rest.copy_from_slice(&averages[..rest.len()]);
        }
    }

    /// The averages of the windows that start at the first [`LANES`] values.
    #[inline(always)]
    fn average_chunk(&self, values: &[u8], step: usize) -> [u8; LANES] {
        let last = 2 * (self.reach + 1);
        let mut sums = [1 << (WEIGHT_BITS - 1); LANES];
        for j in 0..=last {
            let weight = if j == 0 || j == last { self.edge } else { self.full };
            let line: &[u8] = &values[j * step..][..LANES];
            for lane in 0..LANES {
                sums[lane] += u32::from(line[lane]) * weight;
            }
        }
        let mut out = [0; LANES];
        for lane in 0..LANES {
            out[lane] = (sums[lane] >> WEIGHT_BITS) as u8;
        }
        out
    }
}

kernel! {
    /// Runs all passes over all runs; each scratch buffer has space for a run, its margins and
    /// [`LANES`].
    fn average_runs(values: &mut [u8], run: Run, average: BoxAverage, scratch: &mut [Vec<u8>; 2]) {
        let [a, b] = scratch;
        let inner = average.margins(run.step) / 2..average.margins(run.step) / 2 + run.len;
        for values in values.chunks_exact_mut(run.len) {
            a[inner.clone()].copy_from_slice(values);
            repeat_border(a, inner.clone(), run.step);
            average.average(a, run.step, &mut b[inner.clone()]);
            repeat_border(b, inner.clone(), run.step);
            average.average(b, run.step, &mut a[inner.clone()]);
            repeat_border(a, inner.clone(), run.step);
            average.average(a, run.step, values);
        }
    }
}

/// Fills the margins with the first and the last `step` values inside.
#[inline(always)]
fn repeat_border(values: &mut [u8], inner: Range<usize>, step: usize) {
    for i in (0..inner.start).rev() {
        values[i] = values[i + step];
    }
    for i in inner.end..inner.end + inner.start {
        values[i] = values[i - step];
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_stream;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_box_applied_three_times_has_the_variance_of_the_gaussian() {
        for sigma in [0.3, 1.0, 1.7, 2.0, 5.0] {
            let kernel = BoxAverage::new(box_radius(sigma));
            let moment = |j: usize| 2.0 * (j * j) as f64 / f64::from(1 << WEIGHT_BITS);
            let inner: f64 = (1..=kernel.reach).map(moment).sum::<f64>() * f64::from(kernel.full);
            let variance = inner + moment(kernel.reach + 1) * f64::from(kernel.edge);
            let expected = f64::from(sigma * sigma) / 3.0;
            assert!((variance / expected - 1.0).abs() < 1e-4, "{sigma}: {variance} {expected}");
        }
    }

    /// The definition: one sum for each pixel, with indices clamped at the border.
    fn naive(kernel: &BoxAverage, line: &[u8]) -> Vec<u8> {
        let at = |i: isize| u64::from(line[i.clamp(0, line.len() as isize - 1) as usize]);
        let reach = kernel.reach as isize;
        let average = |i: isize| {
            let sum: u64 = (i - reach..=i + reach).map(at).sum();
            let ends = at(i - reach - 1) + at(i + reach + 1);
            (sum * u64::from(kernel.full) + ends * u64::from(kernel.edge) + (1 << 23)) >> 24
        };
        (0..line.len() as isize).map(|i| average(i) as u8).collect()
    }

    #[test]
    fn the_drawn_deviation_covers_its_range_at_the_given_rate() {
        let drawn: Vec<f64> =
            (0..4000).filter_map(|i| sample(0.5, (0.1, 2.0), &mut test_stream(i))).collect();
        assert!(drawn.len().abs_diff(2000) < 127, "{}", drawn.len());
        assert!(drawn.iter().all(|sigma| (0.1..=2.0).contains(sigma)));
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        assert!((mean - 1.05).abs() < 0.05, "{mean}");
    }

    proptest! {
        #[test]
        fn rows_and_columns_are_averaged_as_the_definition_says(
            (width, height) in (1_usize..80, 1_usize..40),
            seed in any::<u32>(),
            radius in 0.0_f32..20.0,
        ) {
            let noise = |i: usize| ((i as u32 ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8;
            let values: Vec<u8> = (0..width * height).map(noise).collect();
            let average = BoxAverage::new(radius);
            let thrice = |line: Vec<u8>| {
                (0..PASSES).fold(line, |line, _| naive(&average, &line))
            };
            let mut found = values.clone();
            let room = values.len() + average.margins(width) + LANES;
            let mut scratch = [vec![0; room], vec![0; room]];
            average_runs(&mut found, Run { len: width, step: 1 }, average, &mut scratch);
            let rows = values.chunks(width).flat_map(|row| thrice(row.to_vec()));
            prop_assert_eq!(&found, &rows.collect::<Vec<_>>());
            found.copy_from_slice(&values);
            let all = Run { len: width * height, step: width };
            average_runs(&mut found, all, average, &mut scratch);
            for x in 0..width {
                let column = |values: &[u8]| values[x..].iter().step_by(width).copied().collect();
                prop_assert_eq!(column(&found), thrice(column(&values)));
            }
        }

        #[test]
        fn any_size_blurs_and_a_flat_image_stays_within_one(
            (width, height) in (1_u32..50, 1_u32..50),
            sigma in 0.0..30.0,
            channels in 1_usize..7,
            value in any::<u8>(),
        ) {
            let mut image = Image8::filled(width, height, &vec![value; channels]);
            apply(&mut image, sigma);
            prop_assert!(image.pixels().iter().all(|pixel| pixel.abs_diff(value) <= 1));
        }
    }
}
