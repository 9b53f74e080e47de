//! Decodes the bytes of an image file. The format follows from the bytes, never from the name of the
//! file.
//!
//! [`decode_stored`] keeps the precision of the file: bytes become an [`Image8`], everything deeper an
//! image of floats, which [`Stored::into_image`] scales by [`Options::range`]. [`decode`] reads 8 bits, as Pillow does.
//!
//! | format | supported | result |
//! | --- | --- | --- |
//! | JPEG | Huffman and arithmetic coding, sequential and progressive, any scans and sampling factors; gray, YCbCr, RGB, CMYK, YCCK; 8 bits | gray or color, with the pixels of Pillow, bit for bit; CMYK is treated as inverted, with or without Adobe's marker, as in Pillow |
//! | PNG | 1 to 16 bits, gray, color, palette, alpha, interlaced | transparent colors become alpha |
//! | WebP | lossy, lossless, alpha | color or color with alpha |
//! | TIFF, BigTIFF | strips, tiles, planes; uncompressed, LZW, deflate, PackBits, fax, JPEG, zstd, WebP; integers of 1, 2, 4, 8, 16, 32 and 64 bits, signed too, and floats of 16, 32 and 64 bits, with predictor 2 or 3; gray, color, palette, CMYK, YCbCr, any number of bands | premultiplied alpha is divided out; extra samples are left out |
//! | BMP | 1 to 32 bits, run lengths, with or without file header | color |
//! | GIF | all | colors of the palette; outside the frame the transparent color, or else the first |
//! | JPEG XL | lossless, lossy, gray, color, alpha | oriented as the format specifies; more than 8 bits are rounded |
//! | PBM, PGM, PPM | P1 to P6, any largest value | up to 8 bits are scaled to 0..=255 |
//!
//! Of animations the first image is read; of several pages those that [`Options::pages`] names.
//! Everything else is refused with an error that names it: other image formats, JPEG with more than 8
//! bits, and lossless JPEG.
//!
//! The result of [`decode`] equals Pillow's `Image.open(file).convert(mode)` for all modes and color
//! files (`tests/decode.rs`). The exception is 16-bit gray, which Pillow clips at 255. Here it becomes
//! its high byte, as 16-bit color does in Pillow too. The values of [`decode_stored`] are those of
//! `tifffile` and numpy (`tests/deep_python.rs`).
//!
//! Bad bytes give a [`SampleError`]. Sizes are checked against [`Options::max_pixels`] before
//! allocating.

use std::fmt::Display;

use ::image::metadata::Orientation;

use crate::error::SampleError;
use crate::guard::guarded;
use crate::image::{Image, Image8, RGB, Raster};
use samples::{Layout, Sample, Samples};

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
mod stored;
mod tiff;
mod webp;

pub use signature::Format;
pub use stored::{Kind, Stored, ValueType};

/// Default of [`Options::max_pixels`]: twice Pillow's `MAX_IMAGE_PIXELS`, the size from which
/// Pillow refuses an image as a decompression bomb.
pub const MAX_PIXELS: u64 = 178_956_970;

/// How images are decoded.
#[derive(Debug, Clone, PartialEq)]
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
    /// A pixel takes 3 bytes in color and 4 with alpha, four times that in files of more than 8 bits,
    /// and twice that in progressive JPEGs and in images that are rotated. Measured for each worker:
    /// 0.3 GiB for 108 megapixels, 0.6 GiB if rotated or progressive, 0.6 GiB for 200 megapixels.
    pub max_pixels: u64,
    /// The range of the values in the units of the files, low and high: one for all channels, or one
    /// for each. It is mapped to \[0, 1\], see [`Stored::into_image`].
    pub range: Option<Vec<[f64; 2]>>,
    /// The pages to read of files that have several; the first by default.
    pub pages: Pages,
}

/// The pages to read of a TIFF with several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// The page with this number, from 0. Reduced copies and masks of pages do not count.
    One(usize),
    /// All pages, which are the channels of one image.
    Channels,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            channels: RGB,
            orientation: true,
            reduced_for: None,
            max_pixels: MAX_PIXELS,
            range: None,
            pages: Pages::One(0),
        }
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

/// Number of pages of a file, without reduced copies and masks; 1 if its format has no pages.
pub fn page_count(bytes: &[u8]) -> usize {
    match format(bytes) {
        Some(Format::Tiff) => tiff::page_count(bytes),
        _ => 1,
    }
}

/// Decodes an image to 8 bits per value, see the [module](self). The range of the options does not
/// count.
pub fn decode(bytes: &[u8], options: &Options) -> Result<Image8, SampleError> {
    let decoded = read(bytes, options, Depth::Bytes)?;
    let orientation = decoded.orientation;
    let image = decoded.into_bytes()?.into_image(options.channels)?;
    Ok(orient::apply(image, orientation))
}

/// Decodes an image in the precision and in the units of its file.
pub fn decode_stored(bytes: &[u8], options: &Options) -> Result<Stored, SampleError> {
    let Decoded { samples, orientation, channels, pages } = read(bytes, options, Depth::Full)?;
    let (found, value_type) = match &samples {
        AnySamples::Bytes(samples) => (samples.layout.len(), ValueType::BYTES),
        AnySamples::Deep(samples, value_type) => (samples.layout.len(), *value_type),
    };
    let pixels = match samples {
        AnySamples::Bytes(samples) => {
            upright(samples, orientation, options, pages).map(Image::from)
        }
        AnySamples::Deep(samples, _) => {
            upright(samples, orientation, options, pages).map(Image::from)
        }
    }?;
    Ok(Stored { pixels, value_type, channels: channels.unwrap_or(found), pages })
}

/// The image with the channels and the orientation of the options. An error says how many pages the
/// file has.
fn upright<T: Sample + Default>(
    samples: Samples<T>,
    orientation: Orientation,
    options: &Options,
    pages: usize,
) -> Result<Raster<T>, SampleError> {
    let image = samples.into_image(options.channels).map_err(|error| match error {
        SampleError::Channels { found, wanted, .. } if options.pages != Pages::Channels => {
            SampleError::Channels { found, wanted, pages }
        }
        error => error,
    })?;
    Ok(orient::apply(image, orientation))
}

/// Converts an image of bytes to `options.channels` channels, as [`decode`] does: one channel is gray,
/// three are red, green and blue, four have alpha.
pub fn convert(image: Image8, options: &Options) -> Result<Stored, SampleError> {
    let channels = image.channels();
    let layout = match channels {
        1 => Layout::Gray,
        3 => Layout::Rgb,
        4 => Layout::Rgba,
        n => Layout::Bands(n),
    };
    let (width, height) = (image.width(), image.height());
    let samples = Samples::bytes(width, height, layout, image.into_pixels());
    let pixels = samples.into_image(options.channels)?.into();
    Ok(Stored { pixels, value_type: ValueType::BYTES, channels, pages: 1 })
}

/// The precision in which a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// 8 bits, as in Pillow.
    Bytes,
    /// All bits of the file.
    Full,
}

/// Samples of either depth.
enum AnySamples {
    Bytes(Samples),
    /// In the units of the file.
    Deep(Samples<f32>, ValueType),
}

/// The pixels of a file, and the orientation to apply to them.
struct Decoded {
    samples: AnySamples,
    orientation: Orientation,
    /// Number of channels of the file, if it is not that of the samples.
    channels: Option<usize>,
    pages: usize,
}

impl Decoded {
    fn new(samples: Samples, orientation: Orientation) -> Self {
        let samples = AnySamples::Bytes(samples);
        Self { samples, orientation, channels: None, pages: 1 }
    }

    fn deep(samples: Samples<f32>, value_type: ValueType, orientation: Orientation) -> Self {
        let samples = AnySamples::Deep(samples, value_type);
        Self { samples, orientation, channels: None, pages: 1 }
    }

    /// The samples of a file that has 8 bits or was read as [`Depth::Bytes`].
    fn into_bytes(self) -> Result<Samples, SampleError> {
        match self.samples {
            AnySamples::Bytes(samples) => Ok(samples),
            AnySamples::Deep(_, value_type) => Err(unsupported(format!("{value_type} as 8 bits"))),
        }
    }
}

fn read(bytes: &[u8], options: &Options, depth: Depth) -> Result<Decoded, SampleError> {
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
    let decoded = guarded(|| read_format(bytes, format, options, depth));
    decoded.unwrap_or_else(|| Err(damaged("its decoder panicked")))
}

fn read_format(
    bytes: &[u8],
    format: Format,
    options: &Options,
    depth: Depth,
) -> Result<Decoded, SampleError> {
    let mut decoded = match format {
        Format::Jpeg => jpeg::read(bytes, options)?,
        Format::Png => png::read(bytes, options, depth)?,
        Format::WebP => webp::read(bytes, options)?,
        Format::Tiff => return tiff::read(bytes, options, depth),
        Format::Gif => gif::read(bytes, options)?,
        Format::Pnm => pnm::read(bytes, options, depth)?,
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
