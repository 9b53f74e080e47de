//! Crop and resize in one step: bicubic with antialiasing, bit for bit Pillow's.
//!
//! ```text
//! y_i = clip((2²¹ + Σ_j w_ij x_j) >> 22)      w_ij = round(2²² k_ij / Σ_j k_ij)
//! k_ij = K((j + ½ − c_i) / s)                  c_i = (i + ½) r,  r = n_in / n_out,  s = max(r, 1)
//! ```
//!
//! `K` is Keys' cubic with `a = −½`, and `j` runs over the pixels within `2 s` of the center `c_i`
//! that lie in the image. Rows first, rounded to 8 bits, then columns; an axis that keeps its size
//! is left alone.
//!
//! # Accuracy
//! Equal to `Image.crop(box).resize(size, BICUBIC)` of Pillow 11.3 in every bit
//! (`tests/golden_augment.rs`). Pillow 13 takes columns first for some shapes and differs by 1.
//!
//! # Source
//! The arithmetic of Pillow's `Resample.c`: weights in double precision in its order, 22-bit
//! integers from there.

use crate::image::{Image8, RGB, Rect};

/// Bits behind the point of a weight: 32 − 8 of a pixel − 2 for the kernel's overshoot.
const WEIGHT_BITS: u32 = 22;
/// What rounds a sum to the nearest.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);
/// Reach of the cubic kernel to each side, in pixels of the coarser grid.
const REACH: f64 = 2.0;

/// The pixels of `image` in `source`, resized to `width` × `height`.
///
/// Pixels outside the box have no influence, as if the box had been cut out first.
///
/// # Panics
/// If the box is empty or sticks out of the image, or if `width` or `height` is zero.
pub fn crop_resize(image: &Image8, source: Rect, width: u32, height: u32) -> Image8 {
    let all = Rect { left: 0, top: 0, width, height };
    resize_window(image, source, (width, height), all)
}

/// The part `window` of what [`crop_resize`] makes; no other pixel is computed.
///
/// # Panics
/// If a box is empty: `source` within the image, `window` within `size`, (width, height).
pub fn resize_window(image: &Image8, source: Rect, size: (u32, u32), window: Rect) -> Image8 {
    let inside = source.lies_inside(image.width(), image.height());
    assert!(inside, "{source:?} is not in {} x {} pixels", image.width(), image.height());
    assert!(window.lies_inside(size.0, size.1), "{window:?} is not in {} x {}", size.0, size.1);
    let across = Taps::new((source.left, source.width), size.0, (window.left, window.width));
    let down = Taps::new((source.top, source.height), size.1, (window.top, window.height));
    let rows = resize_rows(image, &down, &across);
    let pixels = if down.is_copy() { rows } else { resize_columns(&rows, &across, &down) };
    Image8::new(window.width, window.height, pixels).expect("both passes fill their output")
}

/// The rows that `down` needs, each resized; `[rows, width, 3]`.
fn resize_rows(image: &Image8, down: &Taps, across: &Taps) -> Vec<u8> {
    let row_bytes = across.len() * RGB;
    let (first_column, end_column) = across.span;
    let mut pixels = vec![0; (down.span.1 - down.span.0) * row_bytes];
    for (y, out) in (down.span.0..).zip(pixels.chunks_exact_mut(row_bytes)) {
        let row = &image.row(y as u32)[first_column * RGB..end_column * RGB];
        if across.is_copy() {
            out.copy_from_slice(row);
        } else {
            resize_row(row.as_chunks().0, across, out.as_chunks_mut().0);
        }
    }
    pixels
}

/// One row: `row` is the span of `taps`, `[_, 3]`, and `out` is `[n_out, 3]`.
fn resize_row(row: &[[u8; RGB]], taps: &Taps, out: &mut [[u8; RGB]]) {
    for (out, (first, weights)) in out.iter_mut().zip(taps.iter()) {
        let mut sum = [HALF; RGB];
        for (color, &weight) in row[first..][..weights.len()].iter().zip(weights) {
            for (sum, &value) in sum.iter_mut().zip(color) {
                *sum += i32::from(value) * weight;
            }
        }
        *out = sum.map(to_8_bits);
    }
}

/// All columns at once: `rows` is `[_, width, 3]`, the span of `down`.
fn resize_columns(rows: &[u8], across: &Taps, down: &Taps) -> Vec<u8> {
    let row_bytes = across.len() * RGB;
    let mut pixels = vec![0; down.len() * row_bytes];
    let mut sums = vec![HALF; row_bytes];
    for (out, (first, weights)) in pixels.chunks_exact_mut(row_bytes).zip(down.iter()) {
        sums.fill(HALF);
        let rows = rows[first * row_bytes..].chunks_exact(row_bytes);
        for (row, &weight) in rows.zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = to_8_bits(sum);
        }
    }
    pixels
}

/// Drops the bits behind the point and clips what the kernel overshot.
fn to_8_bits(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

/// For every output position of one axis, which inputs it sums with which integer weights.
struct Taps {
    span: (usize, usize), // first input that any output needs, and one past the last
    starts: Vec<usize>,   // [n_out], the first input, counted from the span's first
    ends: Vec<usize>,     // [n_out], one past the last weight in `weights`
    weights: Vec<i32>,    // all weights, one output after the other; none if this is a copy
}

impl Taps {
    /// Resizes `source`, (first, length), to `size`, of which `window`, (first, length), is needed.
    fn new((first, from): (u32, u32), size: u32, window: (u32, u32)) -> Self {
        let outputs = window.0..window.0 + window.1;
        let absolute = |position: u32| (first + position) as usize;
        if from == size {
            let starts = (0..window.1 as usize).collect();
            let span = (absolute(outputs.start), absolute(outputs.end));
            return Self { span, starts, ends: vec![], weights: vec![] };
        }
        let (mut starts, mut ends, mut weights) = (vec![], vec![], vec![]);
        let (mut low, mut high) = (from, 0);
        for i in outputs {
            let start = push_weights(from, size, i, &mut weights);
            let len = weights.len() - ends.last().copied().unwrap_or(0);
            ends.push(weights.len());
            starts.push(start);
            (low, high) = (low.min(start), high.max(start + len as u32));
        }
        let starts = starts.into_iter().map(|start| (start - low) as usize).collect();
        Self { span: (absolute(low), absolute(high)), starts, ends, weights }
    }

    /// Number of outputs.
    fn len(&self) -> usize {
        self.starts.len()
    }

    /// True if each output is its input, because the axis keeps its size.
    fn is_copy(&self) -> bool {
        self.weights.is_empty()
    }

    /// First input position, counted from the span's first, and weights of every output, in order.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = begins.zip(&self.ends).map(|(begin, &end)| &self.weights[begin..end]);
        self.starts.iter().copied().zip(ranges)
    }
}

/// Appends the weights of output `i` of `to`, and returns the first of `from` inputs they are for.
fn push_weights(from: u32, to: u32, i: u32, weights: &mut Vec<i32>) -> u32 {
    let ratio = f64::from(from) / f64::from(to);
    let stretch = ratio.max(1.0);
    let (reach, shrink) = (REACH * stretch, 1.0 / stretch);
    let center = (f64::from(i) + 0.5) * ratio;
    // `as u32` cuts off the fraction and takes negative numbers to zero
    let start = (center - reach + 0.5) as u32;
    let end = ((center + reach + 0.5) as u32).min(from);
    let kernel = |j: u32| keys((f64::from(j) - center + 0.5) * shrink);
    let total: f64 = (start..end).map(kernel).sum();
    weights.extend((start..end).map(|j| fixed_point(kernel(j) / total)));
    start
}

/// Keys' cubic convolution kernel with `a = −½`.
///
/// ```text
/// K(x) = 3/2 |x|³ − 5/2 |x|² + 1              |x| < 1
/// K(x) = −½ (|x|³ − 5 |x|² + 8 |x| − 4)       1 ≤ |x| < 2
/// ```
fn keys(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < REACH {
        (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    } else {
        0.0
    }
}

/// A weight in units of 2⁻²², rounded half away from zero by cutting off, as Pillow does.
fn fixed_point(weight: f64) -> i32 {
    (weight * f64::from(1 << WEIGHT_BITS) + 0.5_f64.copysign(weight)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A photograph's worst case: noise.
    fn noise(width: u32, height: u32) -> Image8 {
        let bytes = (width * height) as usize * RGB;
        let pixels = (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
        Image8::new(width, height, pixels.collect()).unwrap()
    }

    #[test]
    fn an_unchanged_size_is_a_copy_of_the_box() {
        let image = noise(7, 5);
        assert_eq!(crop_resize(&image, Rect::whole(&image), 7, 5), image);
        let part = crop_resize(&image, Rect { left: 2, top: 1, width: 3, height: 2 }, 3, 2);
        assert_eq!(part.row(1), &image.row(2)[6..15]);
    }

    #[test]
    fn one_pixel_grows_to_one_color() {
        let image = Image8::filled(1, 1, &[9, 200, 255]);
        let large = crop_resize(&image, Rect::whole(&image), 31, 17);
        assert!(large.colors().iter().all(|color| *color == [9, 200, 255]));
    }

    proptest! {
        #[test]
        fn any_box_resizes_to_any_size_and_a_flat_image_stays_flat(
            (width, height) in (1_u32..400, 1_u32..40),
            (left, top) in (0.0..1.0, 0.0..1.0),
            (out_width, out_height) in (1_u32..300, 1_u32..300),
            value in any::<u8>(),
        ) {
            let left = (left * f64::from(width)) as u32;
            let top = (top * f64::from(height)) as u32;
            let source = Rect { left, top, width: width - left, height: height - top };
            let resized = crop_resize(&noise(width, height), source, out_width, out_height);
            prop_assert_eq!((resized.width(), resized.height()), (out_width, out_height));
            let flat = Image8::filled(width, height, &[value; 3]);
            let flat = crop_resize(&flat, source, out_width, out_height);
            prop_assert!(flat.pixels().iter().all(|pixel| *pixel == value));
        }

        #[test]
        fn a_window_is_a_part_of_the_whole(
            (width, height) in (1_u32..40, 1_u32..40),
            (out_width, out_height) in (1_u32..60, 1_u32..60),
            (left, top) in (0.0..1.0, 0.0..1.0),
        ) {
            let image = noise(width, height);
            let left = (left * f64::from(out_width)) as u32;
            let top = (top * f64::from(out_height)) as u32;
            let window =
                Rect { left, top, width: out_width - left, height: (out_height - top).div_ceil(2) };
            let all = crop_resize(&image, Rect::whole(&image), out_width, out_height);
            let part = resize_window(&image, Rect::whole(&image), (out_width, out_height), window);
            prop_assert_eq!(part, crop_resize(&all, window, window.width, window.height));
        }

        #[test]
        fn pixels_outside_the_box_have_no_influence(size in 1_u32..60, margin in 1_u32..9) {
            let image = noise(size + 2 * margin, size + 2 * margin);
            let source = Rect { left: margin, top: margin, width: size, height: size };
            let cut = crop_resize(&image, source, size, size);
            let two_steps = crop_resize(&cut, Rect::whole(&cut), 24, 20);
            prop_assert_eq!(crop_resize(&image, source, 24, 20), two_steps);
        }
    }

    #[test]
    fn a_line_of_3000_pixels_shrinks_and_grows() {
        for (width, height) in [(1, 3000), (3000, 1)] {
            let image = noise(width, height);
            for size in [1, 96, 224] {
                assert_eq!(crop_resize(&image, Rect::whole(&image), size, size).width(), size);
            }
        }
    }

    #[test]
    #[should_panic(expected = "is not in 4 x 4 pixels")]
    fn a_box_outside_the_image_is_our_own_mistake() {
        let source = Rect { left: 2, top: 0, width: 3, height: 1 };
        crop_resize(&Image8::filled(4, 4, &[0; 3]), source, 1, 1);
    }
}
