//! Decodes the bytes of an image file to an [`Image8`]. The format follows from the bytes, never
//! from the name of the file.
//!
//! | format | supported | result |
//! | --- | --- | --- |
//! | JPEG | Huffman and arithmetic coding, sequential and progressive, any scans and sampling factors; gray, YCbCr, RGB, CMYK, YCCK; 8 bits | gray or color, with the pixels of Pillow, bit for bit; CMYK is treated as inverted, with or without Adobe's marker, as in Pillow |
//! | PNG | 1 to 16 bits, gray, color, palette, alpha, interlaced | 16 bits: the high byte; transparent colors become alpha |
//! | WebP | lossy, lossless, alpha | color or color with alpha |
//! | TIFF, BigTIFF | strips, tiles, planes; uncompressed, LZW, deflate, PackBits, fax, JPEG, zstd, WebP; 1, 2, 4, 8, 16 bits; gray, color, palette, CMYK, YCbCr, any number of bands | 16 bits: the high byte; premultiplied alpha is divided out; extra samples are left out |
//! | BMP | 1 to 32 bits, run lengths, with or without file header | color |
//! | GIF | all | colors of the palette; outside the frame the transparent color, or else the first |
//! | JPEG XL | lossless, lossy, gray, color, alpha | oriented as the format specifies; more than 8 bits are rounded |
//! | PBM, PGM, PPM | P1 to P6, any largest value | scaled to 0..=255; more than 8 bits: the high byte |
//!
//! Of animations and files with several pages, the first image is read. Everything else is refused
//! with an error that names it: other image formats, TIFF samples that are signed, floating-point
//! or wider than 16 bits, JPEG with more than 8 bits, and lossless JPEG.
//!
//! The result equals Pillow's `Image.open(file).convert(mode)` for all modes and color files
//! (`tests/decode.rs`). The exception is 16-bit gray, which Pillow clips at 255. Here it becomes
//! its high byte, as 16-bit color does in Pillow too.
//!
//! Bad bytes give a [`SampleError`]. Sizes are checked against [`Options::max_pixels`] before
//! allocating.

use std::fmt::Display;

use ::image::metadata::Orientation;

use crate::error::SampleError;
use crate::guard::guarded;
use crate::image::{Image8, RGB};
use samples::{Layout, Samples};

mod bmp;
mod gif;
mod jpeg;
mod jxl;
mod metadata;
mod orient;
mod png;
mod pnm;
mod samples;
mod signature;
mod tiff;
mod webp;

pub use signature::Format;

/// Default of [`Options::max_pixels`]: twice Pillow's `MAX_IMAGE_PIXELS`, the size from which
/// Pillow refuses an image as a decompression bomb.
pub const MAX_PIXELS: u64 = 178_956_970;

/// How images are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Number of channels of the result; 3 by default.
    ///
    /// * 1: luma, `(19595 R + 38470 G + 7471 B + 32768) >> 16` (ITU-R BT.601).
    /// * 3: red, green, blue. Gray is repeated, alpha dropped.
    /// * 4: red, green, blue, alpha; 255 if the image has no alpha. A TIFF with four samples keeps
    ///   them if they are red, green, blue and anything, or have no color at all.
    /// * Any other number: the image must have exactly this many samples per pixel, which are
    ///   returned unchanged.
    pub channels: usize,
    /// Whether to rotate and mirror according to the EXIF tag in JPEG, PNG and WebP, as
    /// `ImageOps.exif_transpose` does; true by default.
    ///
    /// Without it pixels stay as they are stored, as in the reference loader. The tag of a TIFF is
    /// always applied, because Pillow does so when it opens the file.
    pub orientation: bool,
    /// Decodes a JPEG at 1/2, 1/4 or 1/8 of its size: the smallest size whose shorter side has at
    /// least this many pixels. `None`, the default, decodes at full size, which is exact.
    ///
    /// Use it for photographs of many megapixels: decoding is faster, and everything after it has
    /// up to 64 times fewer pixels. The price is that crops come from a softer image.
    pub reduced_for: Option<u32>,
    /// Limit on the pixels of an image, [`MAX_PIXELS`] by default; larger images are refused before
    /// allocating. A JPEG with one scan counts with its reduced size, see
    /// [`reduced_for`](Self::reduced_for).
    ///
    /// A pixel takes 3 bytes in color and 4 with alpha, and twice that in progressive JPEGs and in
    /// images that are rotated. Measured for each worker: 0.3 GiB for 108 megapixels, 0.6 GiB if
    /// rotated or progressive, 0.6 GiB for 200 megapixels.
    pub max_pixels: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { channels: RGB, orientation: true, reduced_for: None, max_pixels: MAX_PIXELS }
    }
}

impl Options {
    /// Refuses an image that is too large, before allocating. Pixels of more than 8 bytes count
    /// more.
    fn check_size(&self, width: u32, height: u32, bytes_per_pixel: u64) -> Result<(), SampleError> {
        let limit = self.max_pixels.min(self.max_pixels.saturating_mul(8) / bytes_per_pixel.max(1));
        if u64::from(width) * u64::from(height) > limit {
            return Err(SampleError::TooLarge { width, height, limit });
        }
        Ok(())
    }
}

/// The format of a file with these first bytes (16 are enough), if [`decode`] supports it.
pub fn format(start: &[u8]) -> Option<Format> {
    Format::detect(start)
}

/// Decodes an image, see the [module](self).
pub fn decode(bytes: &[u8], options: &Options) -> Result<Image8, SampleError> {
    decode_with_channels(bytes, options).map(|(image, _)| image)
}

/// Decodes an image as [`decode`] does, and also returns the number of channels in the file; a
/// palette counts with the channels of its colors.
pub fn decode_with_channels(
    bytes: &[u8],
    options: &Options,
) -> Result<(Image8, usize), SampleError> {
    if bytes.is_empty() {
        return Err(SampleError::Empty);
    }
    let Some(format) = format(bytes) else {
        let name = signature::unread(bytes);
        let name = name.or_else(|| signature::is_tga(bytes).then_some("TGA"));
        return Err(name.map_or(SampleError::NotAnImage, unsupported));
    };
    // Some decoders are third-party code. A panic in one of them, such as an index out of bounds,
    // must cost one image and not the run. They only change values of their own, which are dropped.
    let decoded = guarded(|| read(bytes, format, options));
    let decoded = decoded.unwrap_or_else(|| Err(damaged("its decoder panicked")))?;
    let channels = match format {
        Format::Tiff => tiff::channels(bytes),
        _ => None,
    };
    let channels = channels.unwrap_or(decoded.samples.layout.len());
    let image = decoded.samples.into_image(options.channels)?;
    Ok((orient::apply(image, decoded.orientation), channels))
}

/// Converts an image to `options.channels` channels, as [`decode`] does: one channel is gray, three
/// are red, green and blue, four have alpha.
pub fn convert(image: Image8, options: &Options) -> Result<Image8, SampleError> {
    let layout = match image.channels() {
        1 => Layout::Gray,
        3 => Layout::Rgb,
        4 => Layout::Rgba,
        n => Layout::Bands(n),
    };
    let (width, height) = (image.width(), image.height());
    Samples { width, height, layout, values: image.into_pixels() }.into_image(options.channels)
}

/// The pixels of a file, and the orientation to apply to them.
struct Decoded {
    samples: Samples,
    orientation: Orientation,
}

fn read(bytes: &[u8], format: Format, options: &Options) -> Result<Decoded, SampleError> {
    let mut decoded = match format {
        Format::Jpeg => jpeg::read(bytes, options)?,
        Format::Png => png::read(bytes, options)?,
        Format::WebP => webp::read(bytes, options)?,
        Format::Tiff => return tiff::read(bytes, options),
        Format::Gif => gif::read(bytes, options)?,
        Format::Pnm => pnm::read(bytes, options)?,
        Format::JpegXl => jxl::read(bytes, options)?,
        Format::Bmp => bmp::read(bytes, options)?,
        Format::Dib => bmp::read_dib(bytes, options)?,
    };
    if !options.orientation {
        decoded.orientation = Orientation::NoTransforms;
    }
    Ok(decoded)
}

fn damaged(reason: impl Display) -> SampleError {
    SampleError::Damaged { reason: reason.to_string() }
}

fn unsupported(what: impl Display) -> SampleError {
    SampleError::Unsupported { what: what.to_string() }
}

#[cfg(test)]
mod tests;
