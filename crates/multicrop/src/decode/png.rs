//! The decoder of PNG files; of animations it reads the first image.

use std::io::Cursor;

use ::png::{ColorType, DecodeOptions, Decoder, Limits, Transformations};

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged, metadata, unsupported};
use crate::error::SampleError;

mod chunks;

/// Reads a PNG file: palettes are looked up, fewer than 8 bits are scaled to 0..=255, and 16 bits
/// are reduced to the high byte.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    chunks::check_headers(bytes)?;
    let bytes = chunks::with_small_gray(chunks::closed(bytes));
    let samples = read_pixels(&bytes, options)?;
    let text = chunks::Metadata::read(&bytes);
    let orientation = metadata::from_blocks(text.exif.as_deref(), text.xmp.as_deref());
    Ok(Decoded { samples, orientation })
}

fn read_pixels(bytes: &[u8], options: &Options) -> Result<Samples, SampleError> {
    let mut settings = DecodeOptions::default();
    // `check_headers` has checked those of headers; like Pillow, ignore those of pixels
    settings.set_ignore_checksums(true);
    settings.set_ignore_text_chunk(true);
    settings.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), settings);
    let limit = options.max_pixels.saturating_mul(8);
    decoder.set_limits(Limits { bytes: usize::try_from(limit).unwrap_or(usize::MAX) });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = reader.info().size();
    options.check_size(width, height, reader.info().bytes_per_pixel() as u64)?;
    let len = reader.output_buffer_size().ok_or_else(|| damaged("its size overflows"))?;
    let mut values = vec![0; len];
    let info = reader.next_frame(&mut values).map_err(damaged)?;
    let layout = match info.color_type {
        ColorType::Grayscale => Layout::Gray,
        ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => return Err(damaged("it has no palette")),
    };
    Ok(Samples { width, height, layout, values })
}
