//! The decoder of PNG files; of animations it reads the first image.

use std::io::Cursor;

use ::png::{BitDepth, ColorType, DecodeOptions, Decoder, Limits, Transformations};

use super::samples::{Layout, Samples};
use super::stored::{Kind, ValueType};
use super::{AnySamples, Decoded, Depth, Options, damaged, metadata, unsupported};
use crate::error::SampleError;

mod chunks;

/// Bytes that the decoder needs beside the pixels.
const TABLES: u64 = 1 << 20;

/// Reads a PNG file: palettes are looked up, and fewer than 8 bits are scaled to 0..=255. As bytes, 16
/// bits are reduced to the high byte; in full depth they are kept.
pub(super) fn read(bytes: &[u8], options: &Options, depth: Depth) -> Result<Decoded, SampleError> {
    chunks::check_headers(bytes)?;
    let bytes = chunks::with_small_gray(chunks::closed(bytes));
    let samples = read_pixels(&bytes, options, depth)?;
    let text = chunks::Metadata::read(&bytes);
    let orientation = metadata::from_blocks(text.exif.as_deref(), text.xmp.as_deref());
    Ok(Decoded { samples, orientation, channels: None, pages: 1 })
}

fn read_pixels(bytes: &[u8], options: &Options, depth: Depth) -> Result<AnySamples, SampleError> {
    let mut settings = DecodeOptions::default();
    // `check_headers` has checked those of headers; like Pillow, ignore those of pixels
    settings.set_ignore_checksums(true);
    settings.set_ignore_text_chunk(true);
    settings.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), settings);
    // The largest image that is allowed, and room to read the size of one that is not.
    let limit = options.max_pixels.saturating_mul(8).saturating_add(TABLES);
    decoder.set_limits(Limits { bytes: usize::try_from(limit).unwrap_or(usize::MAX) });
    decoder.set_transformations(match depth {
        Depth::Bytes => Transformations::normalize_to_color8(),
        Depth::Full => Transformations::EXPAND,
    });
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
    if info.bit_depth != BitDepth::Sixteen {
        return Ok(AnySamples::Bytes(Samples::bytes(width, height, layout, values)));
    }
    let values = values.as_chunks().0.iter().map(|&pair| f32::from(u16::from_be_bytes(pair)));
    let value_type = ValueType::new(Kind::Unsigned, 16);
    let samples = Samples { width, height, layout, values: values.collect(), white: 65_535.0 };
    Ok(AnySamples::Deep(samples, value_type))
}
