//! The output stage: samples of components to rows of pixels.

use crate::color::{self, Space};
use crate::error::Error;
use crate::frame::{Component, Geometry};
use crate::strip::Strip;
use crate::upsample::{self, Line, Method};

/// The color space of a decoded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// One value.
    Gray,
    /// Red, green and blue.
    Rgb,
    /// Cyan, magenta, yellow and black as stored in the file: Adobe's programs store 255 minus the
    /// ink.
    Cmyk,
}

impl Color {
    /// Number of values of a pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The color space of the pixels.
    pub color: Color,
    /// `[height, width, color.channels()]`.
    pub pixels: Vec<u8>,
}

/// Turns strips of samples into pixels, one MCU row at a time.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) strips: Vec<Strip>,
    methods: Vec<Method>,
    lines: Vec<Line>,
    space: Space,
    size: (usize, usize),
    /// Rows of pixels in an MCU row.
    rows: usize,
    /// Rows of pixels that have to wait for the next MCU row, because upsampling reads it.
    held: usize,
    pixels: Vec<u8>,
}

impl Output {
    /// Allocates the image.
    pub(crate) fn new(
        geometry: &Geometry,
        components: &[Component],
        space: Space,
    ) -> Result<Self, Error> {
        let methods = upsample::methods(components, geometry)?;
        let lines = methods.iter().zip(components);
        let (width, height) = geometry.output;
        let looks_ahead = methods.iter().any(|method| method.looks_ahead());
        Ok(Self {
            strips: components.iter().map(Strip::new).collect(),
            lines: lines.map(|(&method, c)| Line::new(method, c.samples.0)).collect(),
            methods,
            space,
            size: geometry.output,
            rows: geometry.max.1 * geometry.scale.side(),
            held: if looks_ahead { geometry.max.1 } else { 0 },
            pixels: vec![0; width * height * color_of(space).channels()],
        })
    }

    /// Writes the rows that are complete once MCU row `row` of `count` is in the strips.
    pub(crate) fn emit(&mut self, row: usize, count: usize) {
        for strip in &mut self.strips {
            strip.transform();
        }
        let held = if row + 1 == count { 0 } else { self.held };
        let start = (row * self.rows).saturating_sub(if row == 0 { 0 } else { self.held });
        let end = ((row + 1) * self.rows - held).min(self.size.1);
        for y in start..end {
            self.emit_row(y);
        }
    }

    fn emit_row(&mut self, y: usize) {
        let bytes = self.size.0 * color_of(self.space).channels();
        let out = &mut self.pixels[y * bytes..(y + 1) * bytes];
        let components = self.methods.iter().zip(&self.strips).zip(&mut self.lines);
        let mut rows =
            components.map(|((method, strip), line)| &method.row(strip, y, line)[..self.size.0]);
        let mut next = || rows.next().unwrap_or_default();
        if self.space == Space::Gray {
            out.copy_from_slice(next());
            return;
        }
        let (a, b, c) = (next(), next(), next());
        match self.space {
            Space::Gray => {}
            Space::YCbCr => color::rgb_of_ycbcr(a, b, c, out.as_chunks_mut().0),
            Space::Rgb => interleave(out.as_chunks_mut().0, [a, b, c]),
            Space::Cmyk => interleave(out.as_chunks_mut().0, [a, b, c, next()]),
            Space::Ycck => color::cmyk_of_ycck(a, b, c, next(), out.as_chunks_mut().0),
        }
    }

    pub(crate) fn finish(self) -> Image {
        let (width, height) = (self.size.0 as u32, self.size.1 as u32);
        Image { width, height, color: color_of(self.space), pixels: self.pixels }
    }
}

fn color_of(space: Space) -> Color {
    match space {
        Space::Gray => Color::Gray,
        Space::YCbCr | Space::Rgb => Color::Rgb,
        Space::Cmyk | Space::Ycck => Color::Cmyk,
    }
}

fn interleave<const N: usize>(out: &mut [[u8; N]], rows: [&[u8]; N]) {
    for (x, out) in out.iter_mut().enumerate() {
        *out = rows.map(|row| row[x]);
    }
}
