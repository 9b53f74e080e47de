//! Crops and resizes in one step: bicubic with antialiasing, with the bits of Pillow.
//!
//! ```text
//! y_i = clip((2²¹ + Σ_j w_ij x_j) >> 22)      w_ij = round(2²² k_ij / Σ_j k_ij)
//! k_ij = K((j + ½ − c_i) / s)                  c_i = (i + ½) r,  r = n_in / n_out,  s = max(r, 1)
//! ```
//!
//! `K` is Keys' cubic with `a = −½`, and `j` runs over the pixels of the image within `2 s` of the
//! center `c_i`. Rows are resized first and rounded to 8 bits, then columns. An axis that keeps its
//! size is copied.
//!
//! # Memory layout
//! Vector instructions multiply many values by one weight. So both passes work on a layout in which
//! values with the same weights are adjacent:
//!
//! ```text
//! image [h, w, c] ─ transpose ─▶ [w, c, h] ─ sum columns ─▶ [w', h] ─ transpose ─▶ [h, w']
//!       once for all crops                   for each channel        ─ sum rows ─▶ [h', w']
//! ```
//!
//! # Accuracy
//! Equal to `Image.crop(box).resize(size, BICUBIC)` of Pillow 11.3 in every bit
//! (`tests/golden_augment.rs`). Pillow 13 resizes columns first for some shapes, and differs by 1.
//!
//! # Source
//! The arithmetic of Pillow's `Resample.c`: weights are computed in double precision in the same
//! order of operations, then rounded to 22-bit integers.

mod deep;
mod lines;
mod taps;

use crate::image::{Image8, Rect};
use crate::planes::Planes;
use lines::{LANES, Lines, Out, Outputs, WORD, sum_lines, transpose};
use taps::Taps;

pub use deep::DeepResizer;

/// Resizes the pixels of `image` in `source` to `width` × `height`.
///
/// Pixels outside the box have no influence, as if the box had been cut out first.
///
/// # Panics
/// If the box is empty or exceeds the image, or if `width` or `height` is zero.
pub fn crop_resize(image: &Image8, source: Rect, width: u32, height: u32) -> Image8 {
    let (mut resizer, mut planes) = (Resizer::default(), Planes::default());
    resizer.load(image, source);
    resizer.resize(&Resize::whole(source, (width, height)), &mut planes);
    planes.to_image()
}

/// Parameters of [`Resizer::resize`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resize {
    /// The pixels of the image that are resized; others have no influence.
    pub source: Rect,
    /// Width and height that `source` is resized to.
    pub size: (u32, u32),
    /// The part of the resized image to compute.
    pub window: Rect,
    /// Whether to flip the window horizontally.
    pub flip: bool,
}

impl Resize {
    /// Resizes `source` to `size`, without a flip; the window is the whole result.
    pub fn whole(source: Rect, size: (u32, u32)) -> Self {
        let window = Rect { left: 0, top: 0, width: size.0, height: size.1 };
        Self { source, size, window, flip: false }
    }
}

/// Resizes parts of one image many times; holds the transposed image and scratch memory.
#[derive(Debug, Clone, Default)]
pub struct Resizer {
    region: Option<Rect>, // the part of the image in `columns`
    channels: usize,
    columns: Vec<u8>, // [region.width, channels, column_stride]
    column_stride: usize,
    across: Taps,
    down: Taps,
    narrow: Vec<u8>, // a few columns of one channel after the first pass, [WORD, rows]
    rows: Vec<u8>,   // all columns after the first pass, transposed, [rows, window.width]
}

impl Resizer {
    /// Loads the pixels of `image` in `region`.
    ///
    /// # Panics
    /// If the region is empty or exceeds the image.
    pub fn load(&mut self, image: &Image8, region: Rect) {
        let inside = region.lies_inside(image.width(), image.height());
        assert!(inside, "{region:?} is not in {} x {} pixels", image.width(), image.height());
        let (channels, height) = (image.channels(), region.height as usize);
        let stride = image.width() as usize * channels;
        let first = region.top as usize * stride + region.left as usize * channels;
        let columns = region.width as usize * channels;
        (self.region, self.channels) = (Some(region), channels);
        self.column_stride = line_stride(height);
        grow(&mut self.columns, columns * self.column_stride);
        let rows = Lines { values: &image.pixels()[first..], stride };
        transpose(rows, height, columns, &mut self.columns, self.column_stride);
    }

    /// Resizes a part of the loaded region.
    ///
    /// # Panics
    /// If `source` is empty or exceeds the region, or `window` is empty or exceeds the resized
    /// image.
    pub fn resize(&mut self, parameters: &Resize, out: &mut Planes) {
        let &Resize { source, size, window, flip } = parameters;
        let region = self.region.expect("an image is loaded before it is resized");
        let (left, top) = offset(region, source);
        assert!(window.lies_inside(size.0, size.1), "{window:?} is not in {} x {}", size.0, size.1);
        self.across.fill((left, source.width), size.0, (window.left, window.width));
        self.down.fill((top, source.height), size.1, (window.top, window.height));
        let (width, height) = (window.width as usize, window.height as usize);
        out.reset(width, height, self.channels);
        let (span, rows) = (self.across.span(), self.down.span());
        let (narrow_stride, row_stride) = (line_stride(rows.len()), line_stride(width));
        grow(&mut self.narrow, WORD * narrow_stride);
        grow(&mut self.rows, rows.len() * row_stride);
        for (channel, plane) in out.iter_mut().enumerate() {
            let first = (span.start * self.channels + channel) * self.column_stride + rows.start;
            let stride = self.channels * self.column_stride;
            let columns = Lines { values: &self.columns[first..], stride };
            for first in (0..width).step_by(WORD) {
                let count = WORD.min(width - first);
                let stride = narrow_stride;
                let narrow = Out { values: &mut self.narrow, stride, len: rows.len() };
                sum_lines(columns, &self.across, Outputs { first, count, reversed: flip }, narrow);
                let narrow = Lines { values: &self.narrow, stride };
                transpose(narrow, count, rows.len(), &mut self.rows[first..], row_stride);
            }
            let rows = Lines { values: &self.rows, stride: row_stride };
            let all = Outputs { first: 0, count: height, reversed: false };
            sum_lines(rows, &self.down, all, Out { values: plane, stride: width, len: width });
        }
    }
}

/// Left and top of `source`, relative to the region.
///
/// # Panics
/// If it does not lie inside.
fn offset(region: Rect, source: Rect) -> (u32, u32) {
    let inside = source.left.checked_sub(region.left).zip(source.top.checked_sub(region.top));
    let inside = inside.filter(|&(left, top)| {
        Rect { left, top, ..source }.lies_inside(region.width, region.height)
    });
    inside.unwrap_or_else(|| panic!("{source:?} is not in {region:?}"))
}

/// Stride of lines of `len` bytes: rounded up to whole words.
fn line_stride(len: usize) -> usize {
    len.next_multiple_of(WORD)
}

/// Grows a buffer to `len` bytes, plus the bytes that are read past its end.
fn grow(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < len + LANES {
        buffer.resize(len + LANES, 0);
    }
}

#[cfg(test)]
mod tests;
