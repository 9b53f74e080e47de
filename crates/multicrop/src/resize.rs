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
//! # The way of the pixels
//! Vector instructions sum many values with one weight, so in both passes the values that lie side
//! by side in memory are those that share their weights:
//!
//! ```text
//! image [h, w, c] ─ turned ─▶ [w, c, h] ─ sums of columns ─▶ [w', h] ─ turned ─▶ [h, w']
//!       once for all crops                for each channel        ─ sums of rows ─▶ [h', w']
//! ```
//!
//! # Accuracy
//! Equal to `Image.crop(box).resize(size, BICUBIC)` of Pillow 11.3 in every bit
//! (`tests/golden_augment.rs`). Pillow 13 takes columns first for some shapes and differs by 1.
//!
//! # Source
//! The arithmetic of Pillow's `Resample.c`: weights in double precision in its order, 22-bit
//! integers from there.

mod lines;
mod taps;

use crate::image::{Image8, Rect};
use crate::planes::Planes;
use lines::{LANES, Lines, Out, Outputs, WORD, sum_lines, transpose};
use taps::Taps;

/// The pixels of `image` in `source`, resized to `width` × `height`.
///
/// Pixels outside the box have no influence, as if the box had been cut out first.
///
/// # Panics
/// If the box is empty or sticks out of the image, or if `width` or `height` is zero.
pub fn crop_resize(image: &Image8, source: Rect, width: u32, height: u32) -> Image8 {
    let (mut resizer, mut planes) = (Resizer::default(), Planes::default());
    resizer.load(image, source);
    resizer.resize(&Resize::whole(source, (width, height)), &mut planes);
    planes.to_image()
}

/// What is made of the image that a [`Resizer`] has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resize {
    /// The pixels of the image that are resized; others have no influence.
    pub source: Rect,
    /// Width and height that `source` is resized to.
    pub size: (u32, u32),
    /// The part of the resized picture that is wanted; no other pixel is computed.
    pub window: Rect,
    /// True if left and right of the window are exchanged.
    pub flip: bool,
}

impl Resize {
    /// `source`, resized to `size`, all of it.
    pub fn whole(source: Rect, size: (u32, u32)) -> Self {
        let window = Rect { left: 0, top: 0, width: size.0, height: size.1 };
        Self { source, size, window, flip: false }
    }
}

/// An image that is ready to be resized many times, and the memory that this needs.
#[derive(Debug, Clone, Default)]
pub struct Resizer {
    region: Option<Rect>, // of the image, what `columns` holds
    channels: usize,
    columns: Vec<u8>, // [region.width, channels, column_stride]
    column_stride: usize,
    across: Taps,
    down: Taps,
    narrow: Vec<u8>, // a few columns of one channel after the first pass, [WORD, rows]
    rows: Vec<u8>,   // all of them, turned, [rows, window.width]
}

impl Resizer {
    /// Takes the pixels of `image` in `region`.
    ///
    /// # Panics
    /// If the region is empty or sticks out of the image.
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

    /// Resizes pixels of the region that was loaded.
    ///
    /// # Panics
    /// If a box is empty or sticks out: `source` of the region, `window` of the resized picture.
    pub fn resize(&mut self, wanted: &Resize, out: &mut Planes) {
        let &Resize { source, size, window, flip } = wanted;
        let (left, top) = self.offset(source);
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

    /// Left and top of `source`, counted from those of the region.
    fn offset(&self, source: Rect) -> (u32, u32) {
        let region = self.region.expect("an image is loaded before it is resized");
        let inside = source.left.checked_sub(region.left).zip(source.top.checked_sub(region.top));
        let inside = inside.filter(|&(left, top)| {
            Rect { left, top, ..source }.lies_inside(region.width, region.height)
        });
        inside.unwrap_or_else(|| panic!("{source:?} is not in {region:?}"))
    }
}

/// Bytes from one line of `len` bytes to the next: whole words.
fn line_stride(len: usize) -> usize {
    len.next_multiple_of(WORD)
}

/// Makes room for lines of `len` bytes in all, and for what is read behind the last one.
fn grow(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < len + LANES {
        buffer.resize(len + LANES, 0);
    }
}

#[cfg(test)]
mod tests;
