//! Bytes of an image file to [`Image8`], the format guessed from the bytes.

use std::io::Cursor;

use ::image::codecs::gif::GifDecoder;
use ::image::codecs::png::PngDecoder;
use ::image::codecs::webp::WebPDecoder;
use ::image::error::ImageError;
use ::image::{
    AnimationDecoder, ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat,
    ImageReader,
};

use crate::error::SampleError;
use crate::image::{Image8, RGB};

/// Most pixels that are decoded: 64 Mi, above any camera's photograph of one shot.
pub const MAX_PIXELS: u64 = 64 << 20;

/// The form in which images are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Values of a pixel: 3 for red, green and blue.
    pub channels: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { channels: RGB }
    }
}

/// The format of these first bytes of a file (16 suffice), if it is one that [`decode`] reads.
pub fn format(start: &[u8]) -> Option<ImageFormat> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    let format = ::image::guess_format(start).ok()?;
    [Jpeg, Png, WebP, Bmp, Gif, Tiff].contains(&format).then_some(format)
}

/// The image in these bytes.
///
/// Gray values are repeated for red, green and blue, palettes are looked up, alpha is dropped, as
/// Pillow's `convert("RGB")` does. An EXIF orientation is not applied, as in the reference loader.
pub fn decode(bytes: &[u8], options: &Options) -> Result<Image8, SampleError> {
    if bytes.is_empty() {
        return Err(SampleError::Empty);
    }
    let format = format(bytes).ok_or(SampleError::NotAnImage)?;
    refuse_other_forms(bytes, format)?;
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    check_color(decoder.color_type(), decoder.original_color_type())?;
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?.into_rgb8();
    let (width, height) = image.dimensions();
    let image = Image8::new(width, height, image.into_raw());
    convert(image.ok_or_else(|| damaged_size(width, height))?, options)
}

/// Brings an image to the number of channels that `options` asks for: gray values are repeated for
/// red, green and blue.
pub fn convert(image: Image8, options: &Options) -> Result<Image8, SampleError> {
    match (image.channels(), options.channels) {
        (found, wanted) if found == wanted => Ok(image),
        (1, RGB) => {
            let (width, height) = (image.width(), image.height());
            let colors = image.pixels().iter().flat_map(|&value| [value; RGB]).collect();
            Image8::new(width, height, colors).ok_or_else(|| damaged_size(width, height))
        }
        (found, wanted) => Err(unsupported(&format!("{found} channels where {wanted} are wanted"))),
    }
}

fn damaged_size(width: u32, height: u32) -> SampleError {
    SampleError::Damaged { reason: format!("{width} x {height} pixels") }
}

/// Forms that the decoders would read as something else: several frames, CMYK, a missing end.
fn refuse_other_forms(bytes: &[u8], format: ImageFormat) -> Result<(), SampleError> {
    let animated = match format {
        ImageFormat::Jpeg => return check_jpeg(bytes),
        ImageFormat::Png => {
            let decoder = PngDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
            decoder.is_apng().map_err(damaged)?
        }
        ImageFormat::WebP => WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?.has_animation(),
        ImageFormat::Gif => {
            let decoder = GifDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
            let (width, height) = decoder.dimensions();
            check_size(width, height)?;
            decoder.into_frames().nth(1).is_some()
        }
        _ => false,
    };
    if animated { Err(unsupported("animation")) } else { Ok(()) }
}

/// Reads a JPEG's frame header, and looks for its end: the decoder fills what is missing with gray.
fn check_jpeg(bytes: &[u8]) -> Result<(), SampleError> {
    let cut = || SampleError::Damaged { reason: "the JPEG data end too early".into() };
    let mut rest = &bytes[2..];
    loop {
        // any number of fill bytes may stand before a marker
        let start = rest.iter().position(|&byte| byte == 0xFF).ok_or_else(cut)?;
        let skip = rest[start..].iter().position(|&byte| byte != 0xFF).ok_or_else(cut)?;
        let marker = rest[start + skip];
        rest = &rest[start + skip + 1..];
        if matches!(marker, 0x00 | 0x01 | 0xD0..=0xD8) {
            continue;
        }
        let len = rest.first_chunk().map_or(0, |&len| usize::from(u16::from_be_bytes(len)));
        let segment = rest.get(2..len).ok_or_else(cut)?;
        rest = &rest[len..];
        match marker {
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => check_frame(segment)?,
            0xDA => break,
            _ => {}
        }
    }
    // inside the compressed data 0xFF is always followed by zero or another marker
    if rest.windows(2).any(|pair| pair == [0xFF, 0xD9]) { Ok(()) } else { Err(cut()) }
}

/// A frame header: bits, height, width, number of components.
fn check_frame(segment: &[u8]) -> Result<(), SampleError> {
    match segment {
        [8, _, _, _, _, 1 | 3, ..] => Ok(()),
        [8, _, _, _, _, 4, ..] => Err(unsupported("CMYK")),
        [8, ..] => Err(unsupported("JPEG with a number of channels other than 1 and 3")),
        [12 | 16, ..] => Err(unsupported("more than 8 bits per channel")),
        _ => Err(SampleError::Damaged { reason: "the JPEG frame header is not valid".into() }),
    }
}

fn check_size(width: u32, height: u32) -> Result<(), SampleError> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(SampleError::TooLarge { width, height, limit: MAX_PIXELS });
    }
    Ok(())
}

fn check_color(color: ColorType, original: ExtendedColorType) -> Result<(), SampleError> {
    if matches!(original, ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) {
        return Err(unsupported("CMYK"));
    }
    match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => Ok(()),
        _ => Err(unsupported("more than 8 bits per channel")),
    }
}

fn unsupported(what: &str) -> SampleError {
    SampleError::Unsupported { what: what.into() }
}

fn damaged(error: ImageError) -> SampleError {
    match error {
        ImageError::Unsupported(error) => SampleError::Unsupported { what: error.to_string() },
        error => SampleError::Damaged { reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
