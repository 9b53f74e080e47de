//! From samples of components to rows of pixels.

use crate::color::{self, Space};
use crate::error::Error;
use crate::frame::{Component, Geometry};
use crate::strip::Strip;
use crate::upsample::{self, Line, Method};

/// What the values of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// One value.
    Gray,
    /// Red, green and blue.
    Rgb,
    /// Cyan, magenta, yellow and black as the file has them: Adobe's programs store 255 less the ink.
    Cmyk,
}

impl Color {
    /// Values of a pixel.
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
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What the values of a pixel are.
    pub color: Color,
    /// `[height, width, color.channels()]`.
    pub pixels: Vec<u8>,
}

/// Turns strips into pixels, MCU row by MCU row.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) strips: Vec<Strip>,
    methods: Vec<Method>,
    lines: Vec<Line>,
    space: Space,
    size: (usize, usize),
    /// Rows of pixels that an MCU row makes.
    rows: usize,
    /// Rows of pixels that wait for the next MCU row, because upsampling looks at it.
    held: usize,
    pixels: Vec<u8>,
}

impl Output {
    /// Takes the memory for an image.
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

    /// Writes the rows that can be written when MCU row `row` of `of` is in the strips.
    pub(crate) fn emit(&mut self, row: usize, of: usize) {
        for strip in &mut self.strips {
            strip.transform();
        }
        let held = if row + 1 == of { 0 } else { self.held };
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
