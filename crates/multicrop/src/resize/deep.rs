//! [`DeepResizer`]: the resize of this module for images of floats.
//!
//! The weights are the same and are not rounded to integers, sums are in single precision, and
//! nothing is rounded between rows and columns. The result is cut off at 0 and 1, where the kernel
//! overshoots.

use std::ops::Range;

use dispatch::kernel;

use super::taps::{Window, keys};
use super::{Resize, offset};
use crate::image::{DeepImage, Rect};
use crate::planes::DeepPlanes;

/// Side of the tiles of a transposition, which fit into the L1 cache.
const TILE: usize = 32;

/// Resizes parts of one deep image many times; holds the transposed image and scratch memory.
#[derive(Debug, Clone, Default)]
pub struct DeepResizer {
    region: Option<Rect>, // the part of the image in `columns`
    channels: usize,
    columns: Vec<f32>, // [channels, region.width, region.height]
    narrow: Vec<f32>,  // one channel after the first pass, [window.width, rows]
    rows: Vec<f32>,    // its transpose, [rows, window.width]
}

impl DeepResizer {
    /// Loads the pixels of `image` in `region`.
    ///
    /// # Panics
    /// If the region is empty or exceeds the image.
    pub fn load(&mut self, image: &DeepImage, region: Rect) {
        let inside = region.lies_inside(image.width(), image.height());
        assert!(inside, "{region:?} is not in {} x {} pixels", image.width(), image.height());
        let (channels, width, height) =
            (image.channels(), region.width as usize, region.height as usize);
        (self.region, self.channels) = (Some(region), channels);
        self.columns.resize(channels * width * height, 0.0);
        let stride = image.width() as usize * channels;
        let first = region.top as usize * stride + region.left as usize * channels;
        for (channel, columns) in self.columns.chunks_exact_mut(width * height).enumerate() {
            let pixels = &image.pixels()[first + channel..];
            let at = |x: usize, y: usize| pixels[y * stride + x * channels];
            for left in (0..width).step_by(TILE) {
                for top in (0..height).step_by(TILE) {
                    for x in left..width.min(left + TILE) {
                        for y in top..height.min(top + TILE) {
                            columns[x * height + y] = at(x, y);
                        }
                    }
                }
            }
        }
    }

    /// Resizes a part of the loaded region.
    ///
    /// # Panics
    /// If `source` is empty or exceeds the region, or `window` is empty or exceeds the resized
    /// image.
    pub fn resize(&mut self, parameters: &Resize, out: &mut DeepPlanes) {
        let &Resize { source, size, window, flip } = parameters;
        let region = self.region.expect("an image is loaded before it is resized");
        let (left, top) = offset(region, source);
        assert!(window.lies_inside(size.0, size.1), "{window:?} is not in {} x {}", size.0, size.1);
        let across = Axis::new((left, source.width), size.0, (window.left, window.width), flip);
        let down = Axis::new((top, source.height), size.1, (window.top, window.height), false);
        let (width, height) = (window.width as usize, window.height as usize);
        let (all, rows) = (region.height as usize, down.span());
        out.reset(width, height, self.channels);
        self.narrow.resize(width * rows.len(), 0.0);
        self.rows.resize(width * rows.len(), 0.0);
        let columns = self.columns.chunks_exact(region.width as usize * all);
        for (columns, plane) in columns.zip(out.iter_mut()) {
            for (taps, line) in across.taps.iter().zip(self.narrow.chunks_exact_mut(rows.len())) {
                sum_lines(&columns[taps.start * all + rows.start..], all, &taps.weights, line);
            }
            transpose(&self.narrow, rows.len(), &mut self.rows, width);
            for (taps, line) in down.taps.iter().zip(plane.chunks_exact_mut(width)) {
                let lines = &self.rows[(taps.start - rows.start) * width..];
                sum_lines(lines, width, &taps.weights, line);
                line.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
            }
        }
    }
}

/// The inputs and weights of each output of an axis.
struct Axis {
    taps: Vec<Taps>,
}

/// The first input of an output, and the weights of the inputs from there on.
struct Taps {
    start: usize,
    weights: Vec<f32>,
}

impl Axis {
    /// The axis that resizes `source`, (first, length), to `size`, for the outputs in `window`,
    /// (first, length), last output first if `reversed`.
    fn new(source: (u32, u32), size: u32, window: (u32, u32), reversed: bool) -> Self {
        let (first, from) = source;
        let taps = |i: u32| {
            if from == size {
                return Taps { start: (first + i) as usize, weights: vec![1.0] };
            }
            let Window { start, end, center, shrink } = Window::new(from, size, i);
            let kernel = (start..end).map(|input| keys((f64::from(input) - center + 0.5) * shrink));
            let kernel: Vec<f64> = kernel.collect();
            let total: f64 = kernel.iter().sum();
            let weights = kernel.iter().map(|weight| (weight / total) as f32).collect();
            Taps { start: (first + start) as usize, weights }
        };
        let mut taps: Vec<_> = (window.0..window.0 + window.1).map(taps).collect();
        if reversed {
            taps.reverse();
        }
        Self { taps }
    }

    /// The inputs that any output needs.
    fn span(&self) -> Range<usize> {
        let start = self.taps.iter().map(|taps| taps.start).min();
        let end = self.taps.iter().map(|taps| taps.start + taps.weights.len()).max();
        start.unwrap_or(0)..end.unwrap_or(0)
    }
}

kernel! {
    /// `out = Σ_t w_t line_t`, for lines at a distance of `stride`.
    fn sum_lines(lines: &[f32], stride: usize, weights: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for (t, &weight) in weights.iter().enumerate() {
            let line = &lines[t * stride..][..out.len()];
            for (sum, &value) in out.iter_mut().zip(line) {
                *sum += weight * value;
            }
        }
    }
}

/// Transposes `[width, len]` to `[len, width]`.
fn transpose(lines: &[f32], len: usize, out: &mut [f32], width: usize) {
    for left in (0..width).step_by(TILE) {
        for top in (0..len).step_by(TILE) {
            for y in top..len.min(top + TILE) {
                for x in left..width.min(left + TILE) {
                    out[y * width + x] = lines[x * len + y];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image8;
    use crate::planes::Planes;
    use crate::resize::Resizer;
    use proptest::prelude::*;

    proptest! {
        /// Bytes and their fractions of 255 are resized alike; bytes are rounded twice. The values are
        /// so far from 0 and 255 that nothing is cut off between the passes.
        #[test]
        fn bytes_and_floats_agree_up_to_rounding(
            (width, height) in (1_u32..40, 1_u32..40),
            size in (1_u32..40, 1_u32..40),
            channels in 1_usize..6,
            (seed, flip) in (any::<u32>(), any::<bool>()),
        ) {
            let noise = |i: usize| 64 + ((i as u32 ^ seed).wrapping_mul(2_654_435_761) >> 25) as u8;
            let pixels: Vec<u8> = (0..(width * height) as usize * channels).map(noise).collect();
            let floats = pixels.iter().map(|&value| f32::from(value) / 255.0).collect();
            let bytes = Image8::with_channels(width, height, channels, pixels).unwrap();
            let floats = DeepImage::with_channels(width, height, channels, floats).unwrap();
            let source = Rect {
                left: width / 3, top: height / 4, width: width - width / 3, height: height - height / 4,
            };
            let parameters = Resize { flip, ..Resize::whole(source, size) };
            let (mut resizer, mut expected) = (Resizer::default(), Planes::default());
            resizer.load(&bytes, Rect::whole(&bytes));
            resizer.resize(&parameters, &mut expected);
            let (mut resizer, mut found) = (DeepResizer::default(), DeepPlanes::default());
            resizer.load(&floats, Rect::whole(&floats));
            resizer.resize(&parameters, &mut found);
            for (&found, &expected) in found.values().iter().zip(expected.values()) {
                prop_assert!((255.0 * found - f32::from(expected)).abs() < 1.6, "{found} {expected}");
            }
        }
    }
}
