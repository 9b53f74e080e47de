//! Bytes of an image file to [`Image8`], the format found from the bytes and never from a name.
//!
//! | format | what is read | what it becomes |
//! | --- | --- | --- |
//! | JPEG | Huffman and arithmetic coding, sequential and progressive, any scans and sampling factors; gray, YCbCr, RGB, CMYK, YCCK; 8 bits | gray or color, with the pixels of Pillow, bit for bit; CMYK is taken as inverted, with or without Adobe's marker, as Pillow does |
//! | PNG | 1 to 16 bits, gray, color, palette, alpha, interlaced | 16 bits: the high byte; transparent colors become alpha |
//! | WebP | lossy, lossless, alpha | color or color with alpha |
//! | TIFF, BigTIFF | strips, tiles, planes; uncompressed, LZW, deflate, PackBits, fax, JPEG, zstd, WebP; 1, 2, 4, 8, 16 bits; gray, color, palette, CMYK, YCbCr, any number of bands | 16 bits: the high byte; premultiplied alpha is divided out; extra samples are left out |
//! | BMP | 1 to 32 bits, run lengths, with or without file header | color |
//! | GIF | all | color of the palette; where the frame leaves the screen free: the transparent, else the first color |
//! | JPEG XL | lossless, lossy, gray, color, alpha | turned as the format says; more than 8 bits are rounded |
//! | PBM, PGM, PPM | P1 to P6, any largest value | spread over 0..=255; more than 8 bits: the high byte |
//!
//! Of animations and of files with several pages the first one is read. What is not read is refused by
//! its name: other image formats, TIFF samples that are signed, floating-point or wider than 16 bits,
//! JPEG of more than 8 bits or without losses.
//!
//! What is made of it means what Pillow's `Image.open(file).convert(mode)` means, for all modes from
//! red, green and blue (`tests/decode.rs`). The exception is gray of 16 bits, which Pillow clips at
//! 255: here it becomes its high byte, as color of 16 bits does in Pillow too.
//!
//! Bad bytes are a [`SampleError`]. Sizes are checked against [`Options::max_pixels`] before memory is
//! taken.

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

/// Most pixels that are decoded unless [`Options::max_pixels`] says otherwise: where Pillow refuses an
/// image as a decompression bomb, twice its `MAX_IMAGE_PIXELS`.
pub const MAX_PIXELS: u64 = 178_956_970;

/// The form in which images are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Values of a pixel.
    ///
    /// * 1: luma, `(19595 R + 38470 G + 7471 B + 32768) >> 16` (ITU-R BT.601).
    /// * 3: red, green, blue. Gray is repeated, alpha dropped.
    /// * 4: red, green, blue, alpha, 255 where there is none; the samples of a TIFF that has four of
    ///   red, green, blue and anything, or of no color at all.
    /// * Else the image must have exactly so many samples per pixel, which are taken as they are.
    pub channels: usize,
    /// Turn and mirror as the EXIF tag in JPEG, PNG and WebP says, like `ImageOps.exif_transpose`.
    ///
    /// Without it pixels stay as they are stored, as in the reference loader. A TIFF's own tag is
    /// always obeyed: Pillow does so when it opens the file.
    pub orientation: bool,
    /// Decode a JPEG at 1/2, 1/4 or 1/8 of its size, the smallest that leaves the shorter side this
    /// many pixels; `None` for all of it, which is exact.
    ///
    /// Worthwhile for photographs of many megapixels: decoding takes less time, and
    /// everything after it has up to 64 times fewer pixels. Crops become those of a softer image.
    pub reduced_for: Option<u32>,
    /// Most pixels of an image; larger ones are refused before memory is taken. A JPEG of one scan
    /// counts with the pixels that [`reduced_for`](Self::reduced_for) leaves.
    ///
    /// A pixel takes 3 bytes in color, 4 with alpha, and twice that in progressive JPEGs and where the
    /// image is turned: measured, 0.3 GiB for 108 megapixels, 0.6 GiB if turned or progressive, 0.6 GiB
    /// for 200 megapixels, for each worker that decodes one.
    pub max_pixels: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { channels: RGB, orientation: true, reduced_for: None, max_pixels: MAX_PIXELS }
    }
}

impl Options {
    /// Refuses what would take too much memory, before it is taken. Wide pixels count more: 8 bytes
    /// are as many as any decoder here takes for one.
    fn check_size(&self, width: u32, height: u32, bytes_per_pixel: u64) -> Result<(), SampleError> {
        let limit = self.max_pixels.min(self.max_pixels.saturating_mul(8) / bytes_per_pixel.max(1));
        if u64::from(width) * u64::from(height) > limit {
            return Err(SampleError::TooLarge { width, height, limit });
        }
        Ok(())
    }
}

/// The format of these first bytes of a file (16 suffice), if it is one that [`decode`] reads.
pub fn format(start: &[u8]) -> Option<Format> {
    Format::of(start)
}

/// The image in these bytes, see the [module](self).
pub fn decode(bytes: &[u8], options: &Options) -> Result<Image8, SampleError> {
    decode_with_channels(bytes, options).map(|(image, _)| image)
}

/// The image in these bytes as [`decode`] returns it, and the channels that the file has; indices into
/// a palette have those of its colors.
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
    // The decoders come from elsewhere. A panic of one of them, an index out of bounds say, shall
    // cost this image and not the run. All that they change is theirs and dropped on the way.
    let decoded = guarded(|| read(bytes, format, options));
    let decoded = decoded.unwrap_or_else(|| Err(damaged("its decoder gave up")))?;
    let channels = match format {
        Format::Tiff => tiff::channels(bytes),
        _ => None,
    };
    let channels = channels.unwrap_or(decoded.samples.layout.len());
    let image = decoded.samples.into_image(options.channels)?;
    Ok((orient::apply(image, decoded.orientation), channels))
}

/// Brings an image to the number of channels that `options` asks for, as [`decode`] does: one channel
/// is gray, three are red, green and blue, four have alpha.
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

/// What a file holds, and how it is to be turned.
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
