//! Bytes of an image file to [`Image8`], the format found from the bytes and never from a name.
//!
//! | format | what is read | what it becomes |
//! | --- | --- | --- |
//! | JPEG | Huffman and arithmetic coding, sequential and progressive, any scans and sampling factors; gray, YCbCr, RGB, CMYK, YCCK; 8 bits | gray or color, with the pixels of Pillow, bit for bit; CMYK is taken as inverted, with or without Adobe's marker, as Pillow does |
//! | PNG | 1 to 16 bits, gray, color, palette, alpha, interlaced | 16 bits: the high byte; transparent colors become alpha |
//! | WebP | lossy, lossless, alpha | color or color with alpha |
//! | TIFF | strips, tiles, planes; uncompressed, LZW, deflate, PackBits, fax 4, JPEG; 1, 2, 4, 8, 16 bits; gray, color, palette, CMYK, YCbCr, any number of bands | 16 bits: the high byte; premultiplied alpha is divided out |
//! | BMP | 1 to 32 bits, run lengths | color |
//! | GIF | all | color of the palette; where the frame leaves the screen free: the transparent, else the first color |
//!
//! Of animations and of files with several pages the first one is read. Samples that are signed,
//! floating-point or wider than 16 bits, and JPEG of more than 8 bits or without losses, are refused.
//!
//! What is made of it means what Pillow's `Image.open(file).convert(mode)` means, for all modes from
//! red, green and blue (`tests/decode.rs`). The exception is gray of 16 bits, which Pillow clips at
//! 255: here it becomes its high byte, as color of 16 bits does in Pillow too.
//!
//! Bad bytes are a [`SampleError`]. Sizes are checked before memory is taken, and nothing that fits
//! [`MAX_PIXELS`] needs 1 GiB.

use std::fmt::Display;
use std::panic;

use ::image::ImageFormat;
use ::image::metadata::Orientation;

use crate::error::SampleError;
use crate::image::{Image8, RGB};
use samples::{Layout, Samples};

mod bmp;
mod gif;
mod jpeg;
mod orient;
mod png;
mod samples;
mod tiff;
mod webp;

/// Most pixels that are decoded: 64 Mi, above any camera's photograph of one shot.
pub const MAX_PIXELS: u64 = 64 << 20;

/// Most bytes of decoded samples, before they become what is wanted: 64 Mi pixels of 8 bytes.
const MAX_BYTES: u64 = MAX_PIXELS * 8;

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
}

impl Default for Options {
    fn default() -> Self {
        Self { channels: RGB, orientation: true, reduced_for: None }
    }
}

/// The format of these first bytes of a file (16 suffice), if it is one that [`decode`] reads.
pub fn format(start: &[u8]) -> Option<ImageFormat> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let format = ::image::guess_format(start).ok()?;
    [Jpeg, Png, WebP, Bmp, Gif, Tiff].contains(&format).then_some(format)
}

/// The image in these bytes, see the [module](self).
pub fn decode(bytes: &[u8], options: &Options) -> Result<Image8, SampleError> {
    if bytes.is_empty() {
        return Err(SampleError::Empty);
    }
    let format = format(bytes).ok_or(SampleError::NotAnImage)?;
    // The decoders come from elsewhere. A panic of one of them, an index out of bounds say, shall
    // cost this image and not the run. All that they change is theirs and dropped on the way.
    let decoded = panic::catch_unwind(|| read(bytes, format, options));
    let decoded = decoded.unwrap_or_else(|_| Err(damaged("its decoder panicked")))?;
    let image = decoded.samples.into_image(options.channels)?;
    Ok(orient::apply(image, decoded.orientation))
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

fn read(bytes: &[u8], format: ImageFormat, options: &Options) -> Result<Decoded, SampleError> {
    let mut decoded = match format {
        ImageFormat::Jpeg => jpeg::read(bytes, options)?,
        ImageFormat::Png => png::read(bytes)?,
        ImageFormat::WebP => webp::read(bytes)?,
        ImageFormat::Tiff => return tiff::read(bytes, options.channels),
        ImageFormat::Gif => gif::read(bytes)?,
        _ => bmp::read(bytes)?,
    };
    if !options.orientation {
        decoded.orientation = Orientation::NoTransforms;
    }
    Ok(decoded)
}

/// The orientation in an EXIF block, that of the stored pixels if there is none.
fn exif_orientation(exif: Option<&[u8]>) -> Orientation {
    // some programs write JPEG's name of the block into other formats too
    let exif = exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Refuses what would take too much memory, before it is taken.
fn check_size(width: u32, height: u32, bytes_per_pixel: u64) -> Result<(), SampleError> {
    let limit = MAX_PIXELS.min(MAX_BYTES / bytes_per_pixel.max(1));
    if u64::from(width) * u64::from(height) > limit {
        return Err(SampleError::TooLarge { width, height, limit });
    }
    Ok(())
}

fn damaged(reason: impl Display) -> SampleError {
    SampleError::Damaged { reason: reason.to_string() }
}

fn unsupported(what: impl Display) -> SampleError {
    SampleError::Unsupported { what: what.to_string() }
}

#[cfg(test)]
mod tests;
