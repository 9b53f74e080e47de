//! The decoder of BMP files of Windows and OS/2, with or without the file header. It supports the
//! same variants as Pillow's `BmpImagePlugin`, with the same pixels.

use ::image::metadata::Orientation;

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged, unsupported};
use crate::error::SampleError;
use crate::image::RGB;

mod runs;

/// Length of the file header, which precedes the bitmap header.
const FILE_HEADER: usize = 14;
/// Values of the compression field.
const NONE: u32 = 0;
const RUNS_OF_8: u32 = 1;
const RUNS_OF_4: u32 = 2;
const MASKS: u32 = 3;

/// Reads a bitmap as red, green, blue and, if its header declares it, alpha.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let offset = u32_at(bytes, 10).ok_or_else(cut)?;
    read_at(bytes, FILE_HEADER, offset as usize, options)
}

/// Reads a bitmap without a file header, as it is on the clipboard.
pub(super) fn read_dib(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    read_at(bytes, 0, 0, options)
}

fn read_at(
    bytes: &[u8],
    start: usize,
    offset: usize,
    options: &Options,
) -> Result<Decoded, SampleError> {
    let header = Header::read(bytes, start)?;
    let format = header.pixel_format(bytes)?;
    let layout = format.layout();
    options.check_size(header.width, header.height, layout.len() as u64)?;
    let at = header.pixels_at(offset);
    let pixels = bytes.get(at..).ok_or_else(cut)?;
    let values = if let RUNS_OF_8 | RUNS_OF_4 = header.compression {
        let (width, height) = (header.width as usize, header.height as usize);
        let indices = runs::read(pixels, width, height, header.compression == RUNS_OF_4)?;
        let rows = indices.chunks_exact(width);
        header.upright(rows, |row, out| format.convert(row.iter().copied(), out))
    } else {
        let rows = header.rows(pixels)?;
        header.upright(rows, |row, out| match header.bits {
            bits @ (1 | 4 | 8) => format.convert(indices(row, bits, header.width as usize), out),
            _ => format.convert_colors(row, out),
        })
    };
    let samples = Samples::bytes(header.width, header.height, layout, values);
    Ok(Decoded::new(samples, Orientation::NoTransforms))
}

/// Unpacks the palette indices of a row.
fn indices(row: &[u8], bits: u16, width: usize) -> impl Iterator<Item = u8> {
    let per_byte = usize::from(8 / bits);
    let largest = u8::MAX >> (8 - bits);
    (0..width).map(move |x| {
        let shift = (per_byte - 1 - x % per_byte) * usize::from(bits);
        row[x / per_byte] >> shift & largest
    })
}

/// The bitmap header.
struct Header {
    width: u32,
    height: u32,
    bits: u16,
    compression: u32,
    /// Whether the top row is stored first.
    top_down: bool,
    /// Number of colors of the palette.
    colors: usize,
    /// Bytes of a color of the palette.
    color_len: usize,
    /// Offset of the header.
    start: usize,
    /// Offset of the end of the header.
    end: usize,
}

impl Header {
    fn read(bytes: &[u8], start: usize) -> Result<Self, SampleError> {
        let size = u32_at(bytes, start).ok_or_else(cut)?;
        let header = bytes.get(start..start + size as usize).ok_or_else(cut)?;
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let long = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i]));
        let end = start + size as usize;
        let header = match size {
            12 => Self {
                width: u32::from(short(4)),
                height: u32::from(short(6)),
                bits: short(10),
                compression: NONE,
                top_down: false,
                colors: 0,
                color_len: 3,
                start,
                end,
            },
            40 | 52 | 56 | 64 | 108 | 124 => {
                let top_down = header[11] == 0xFF;
                Self {
                    width: long(4),
                    height: if top_down { long(8).wrapping_neg() } else { long(8) },
                    bits: short(14),
                    compression: long(16),
                    top_down,
                    colors: long(32) as usize,
                    color_len: 4,
                    start,
                    end,
                }
            }
            size => return Err(unsupported(format!("BMP with a header of {size} bytes"))),
        };
        header.checked()
    }

    fn checked(mut self) -> Result<Self, SampleError> {
        let Self { width, height, bits, compression, .. } = self;
        if !matches!(bits, 1 | 4 | 8 | 16 | 24 | 32) {
            return Err(unsupported(format!("BMP with {bits} bits per pixel")));
        }
        match (compression, bits) {
            (NONE, _) | (RUNS_OF_8, 8) | (RUNS_OF_4, 4) | (MASKS, 16 | 24 | 32) => {}
            _ => {
                let what = format!("BMP with compression {compression} of {bits} bits per pixel");
                return Err(unsupported(what));
            }
        }
        if width == 0 || height == 0 {
            return Err(damaged(format!("{width} x {height} pixels")));
        }
        if self.colors == 0 && bits <= 8 {
            self.colors = 1 << bits;
        }
        if bits <= 8 && self.colors > 65_536 {
            return Err(damaged(format!("a palette of {} colors", self.colors)));
        }
        Ok(self)
    }

    /// Offset of the pixels. The offset in the file header may ignore the palette, or be 0.
    fn pixels_at(&self, offset: usize) -> usize {
        let palette = if self.bits <= 8 { self.color_len * self.colors } else { 0 };
        let masks = if self.compression == MASKS && self.end - self.start == 40 { 12 } else { 0 };
        match offset {
            0 => self.end + masks + palette,
            offset if offset == self.end => offset + palette,
            offset => offset,
        }
    }

    /// How the bits of a pixel encode a color.
    fn pixel_format(&self, bytes: &[u8]) -> Result<PixelFormat, SampleError> {
        if self.bits <= 8 {
            return Ok(PixelFormat::Palette(self.palette(bytes)));
        }
        let masks = if self.compression == MASKS { Some(self.masks(bytes)?) } else { None };
        Ok(match (self.bits, masks) {
            (16, None | Some([0x7C00, 0x3E0, 0x1F, _])) => {
                PixelFormat::Short([(10, 31), (5, 31), (0, 31)])
            }
            (16, Some([0xF800, 0x7E0, 0x1F, _])) => {
                PixelFormat::Short([(11, 31), (5, 63), (0, 31)])
            }
            (24, None | Some([0xFF_0000, 0xFF00, 0xFF, _])) => PixelFormat::Bytes(3, [2, 1, 0]),
            (32, None | Some([0xFF_0000, 0xFF00, 0xFF, 0])) => PixelFormat::Bytes(4, [2, 1, 0]),
            (32, Some([0xFF00_0000, 0xFF_0000, 0xFF00, 0])) => PixelFormat::Bytes(4, [3, 2, 1]),
            (32, Some([0xFF00_0000, 0xFF00, 0xFF, 0])) => PixelFormat::Bytes(4, [3, 1, 0]),
            (32, Some([0xFF00_0000, 0xFF_0000, 0xFF00, 0xFF])) => {
                PixelFormat::WithAlpha([3, 2, 1, 0])
            }
            (32, Some([0xFF, 0xFF00, 0xFF_0000, 0xFF00_0000])) => {
                PixelFormat::WithAlpha([0, 1, 2, 3])
            }
            (32, Some([0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000] | [0, 0, 0, 0])) => {
                PixelFormat::WithAlpha([2, 1, 0, 3])
            }
            (32, Some([0xFF00_0000, 0xFF00, 0xFF, 0xFF_0000])) => {
                PixelFormat::WithAlpha([3, 1, 0, 2])
            }
            _ => return Err(unsupported("BMP with other masks than those of 8, 5 or 6 bits")),
        })
    }

    /// The bit masks of red, green, blue and alpha; older headers are followed by the first three.
    fn masks(&self, bytes: &[u8]) -> Result<[u32; 4], SampleError> {
        let has_alpha = self.end - self.start >= 56;
        let mask = |i: usize| u32_at(bytes, self.start + 40 + 4 * i).ok_or_else(cut);
        Ok([mask(0)?, mask(1)?, mask(2)?, if has_alpha { mask(3)? } else { 0 }])
    }

    /// The colors of the palette; missing colors are black.
    fn palette(&self, bytes: &[u8]) -> Box<[[u8; RGB]; 256]> {
        let stored = bytes.get(self.end..).unwrap_or_default();
        let mut palette = Box::new([[0; RGB]; 256]);
        let colors = stored.chunks_exact(self.color_len).take(self.colors);
        for (color, stored) in palette.iter_mut().zip(colors) {
            *color = [stored[2], stored[1], stored[0]];
        }
        palette
    }

    /// The stored rows, without their padding to 4 bytes, which the last row may lack.
    fn rows<'a>(&self, pixels: &'a [u8]) -> Result<impl Iterator<Item = &'a [u8]>, SampleError> {
        let bits = self.width as usize * usize::from(self.bits);
        let (len, stride) = (bits.div_ceil(8), bits.div_ceil(32) * 4);
        let needed = stride * (self.height as usize - 1) + len;
        let pixels = pixels.get(..needed).ok_or_else(cut)?;
        Ok(pixels.chunks(stride).map(move |row| &row[..len]))
    }

    /// All pixels, top row first; `convert` appends the pixels of a stored row.
    fn upright<R>(
        &self,
        rows: impl Iterator<Item = R>,
        convert: impl Fn(R, &mut Vec<u8>),
    ) -> Vec<u8> {
        let mut values = Vec::new();
        rows.for_each(|row| convert(row, &mut values));
        if !self.top_down {
            let row_len = values.len() / self.height as usize;
            let (mut top, mut bottom) = (0, self.height as usize - 1);
            while top < bottom {
                let (upper, lower) = values.split_at_mut(bottom * row_len);
                upper[top * row_len..][..row_len].swap_with_slice(&mut lower[..row_len]);
                (top, bottom) = (top + 1, bottom - 1);
            }
        }
        values
    }
}

/// How the bits of a pixel encode a color.
enum PixelFormat {
    Palette(Box<[[u8; RGB]; 256]>),
    /// Shift and largest value of red, green and blue in 16 bits.
    Short([(u32, u32); RGB]),
    /// Bytes per pixel, and the positions of red, green and blue.
    Bytes(usize, [usize; RGB]),
    /// Positions of red, green, blue and alpha in four bytes.
    WithAlpha([usize; 4]),
}

impl PixelFormat {
    fn layout(&self) -> Layout {
        if matches!(self, Self::WithAlpha(_)) { Layout::Rgba } else { Layout::Rgb }
    }

    /// Appends the colors of palette indices.
    fn convert(&self, indices: impl Iterator<Item = u8>, out: &mut Vec<u8>) {
        if let Self::Palette(palette) = self {
            out.extend(indices.flat_map(|index| palette[usize::from(index)]));
        }
    }

    /// Appends the colors of a row without a palette.
    fn convert_colors(&self, row: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Palette(_) => {}
            Self::Short(parts) => out.extend(row.as_chunks::<2>().0.iter().flat_map(|&pair| {
                let pixel = u32::from(u16::from_le_bytes(pair));
                parts.map(|(shift, largest)| ((pixel >> shift & largest) * 255 / largest) as u8)
            })),
            Self::Bytes(len, order) => {
                out.extend(row.chunks_exact(*len).flat_map(|pixel| order.map(|i| pixel[i])));
            }
            Self::WithAlpha(order) => {
                let pixels = row.as_chunks::<4>().0.iter();
                out.extend(pixels.flat_map(|pixel| order.map(|i| pixel[i])));
            }
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn cut() -> SampleError {
    damaged("the file ends too early")
}
