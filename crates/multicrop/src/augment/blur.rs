//! Gaussian blur as Pillow does it: three box averages along each axis.

use rand::Rng;

use super::{chance, uniform};
use crate::image::{Image8, RGB};

/// One pixel.
type Color = [u8; RGB];
/// Box averages along each axis.
const PASSES: usize = 3;
/// Bits behind the point of a box's weights.
const WEIGHT_BITS: u32 = 24;

/// Draws whether to blur, and if so the standard deviation, uniformly from `sigma`.
pub fn sample(probability: f64, sigma: (f64, f64), rng: &mut impl Rng) -> Option<f64> {
    chance(probability, rng).then(|| uniform(sigma, rng))
}

/// Blurs with a standard deviation of `sigma` pixels (Pillow calls it the radius).
///
/// Three box averages along the rows, then three along the columns, each rounded to 8 bits and
/// with the border's pixels repeated outside.
///
/// # Accuracy
/// Equal to `GaussianBlur(sigma)` of Pillow 11.3 in every bit (`tests/golden_augment.rs`). It is
/// not a Gaussian: only its variance is that of one.
///
/// # Panics
/// If `sigma` is negative, NaN, or above 1000 pixels.
pub fn apply(image: &mut Image8, sigma: f64) {
    assert!((0.0..=1000.0).contains(&sigma), "cannot blur by {sigma} pixels");
    let kernel = BoxAverage::new(box_radius(sigma as f32));
    if kernel.is_identity() {
        return;
    }
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut columns = vec![[0; RGB]; width * height]; // [width, height, 3]
    let mut spare = columns.clone();
    transpose(image.colors(), width, &mut columns);
    kernel.average_lines(&mut columns, height, &mut spare);
    transpose(&columns, height, image.colors_mut());
    kernel.average_lines(image.colors_mut(), width, &mut spare);
}

/// `pixels` is `[height, width]`, `out` is `[width, height]`.
fn transpose(pixels: &[Color], width: usize, out: &mut [Color]) {
    let height = pixels.len() / width;
    for (x, out) in out.chunks_exact_mut(height).enumerate() {
        for (out, pixel) in out.iter_mut().zip(pixels[x..].iter().step_by(width)) {
            *out = *pixel;
        }
    }
}

/// Radius of the box that, applied three times, has the variance of a Gaussian; fractional.
///
/// ```text
/// v = σ² / 3       l = ⌊(√(12 v + 1) − 1) / 2⌋
/// radius = l + (2 l + 1) (l (l + 1) − 3 v) / (6 (v − (l + 1)²))
/// ```
///
/// Single precision where Pillow has it: a unit in the last place of the radius moves the weights.
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
struct BoxAverage {
    reach: usize, // r
    full: u32,
    edge: u32,
}

impl BoxAverage {
    /// The box of this fractional radius; its weights sum to 2²⁴, or one less.
    fn new(radius: f32) -> Self {
        let reach = radius as usize;
        let full = ((1 << WEIGHT_BITS) as f32 / (radius * 2.0 + 1.0)) as u32;
        // never negative: 2²⁴ / (2 r + 1) does not round up to a whole number in single precision
        let edge = ((1 << WEIGHT_BITS) - (2 * reach as u32 + 1) * full) / 2;
        Self { reach, full, edge }
    }

    /// True if no neighbor has a weight.
    fn is_identity(&self) -> bool {
        self.reach == 0 && self.edge == 0
    }

    /// The average of `sum` over the inside and `ends` over the two ends.
    fn average(&self, sum: u32, ends: u32) -> u8 {
        ((sum * self.full + ends * self.edge + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS) as u8
    }

    /// All passes across lines of `len` pixels: every pixel with those of the lines before and after.
    ///
    /// `pixels` and `spare` are `[lines, len, 3]`; the result is in `pixels`. All sums along the
    /// lines move on together, which is what vector instructions are for.
    fn average_lines(&self, pixels: &mut [Color], len: usize, spare: &mut [Color]) {
        for _ in 0..PASSES {
            spare.copy_from_slice(pixels);
            self.average_once(spare.as_flattened(), len * RGB, pixels.as_flattened_mut());
        }
    }

    /// One pass; `values` and `out` are `[lines, line_len]`.
    fn average_once(&self, values: &[u8], line_len: usize, out: &mut [u8]) {
        let last = values.len() / line_len - 1;
        let line = |y: usize| &values[y.min(last) * line_len..][..line_len];
        let mut sums = vec![0; line_len];
        // the border repeats before line 0
        for y in (0..self.reach).map(|_| 0).chain(0..=self.reach) {
            sums.iter_mut().zip(line(y)).for_each(|(sum, &value)| *sum += u32::from(value));
        }
        for (y, out) in out.chunks_exact_mut(line_len).enumerate() {
            let before = line(y.saturating_sub(self.reach + 1));
            let after = line(y + self.reach + 1);
            let leaving = line(y.saturating_sub(self.reach));
            let ends = before.iter().zip(after).zip(leaving);
            for ((out, sum), ((&before, &after), &leaving)) in
                out.iter_mut().zip(&mut sums).zip(ends)
            {
                let after = u32::from(after);
                *out = self.average(*sum, u32::from(before) + after);
                *sum = *sum + after - u32::from(leaving);
            }
        }
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

    /// The definition: one sum for each pixel, indices held at the border.
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
        fn running_sums_are_the_sums_of_the_definition(
            line in prop::collection::vec(any::<u8>(), 1..40),
            radius in 0.0_f32..20.0,
        ) {
            let kernel = BoxAverage::new(radius);
            let mut out = vec![0; line.len()];
            kernel.average_once(&line, 1, &mut out);
            prop_assert_eq!(out, naive(&kernel, &line));
        }

        #[test]
        fn any_size_blurs_and_a_flat_image_stays_within_one(
            (width, height) in (1_u32..50, 1_u32..50),
            sigma in 0.0..30.0,
            value in any::<u8>(),
        ) {
            let mut image = Image8::filled(width, height, &[value; 3]);
            apply(&mut image, sigma);
            prop_assert!(image.pixels().iter().all(|pixel| pixel.abs_diff(value) <= 1));
        }
    }
}
