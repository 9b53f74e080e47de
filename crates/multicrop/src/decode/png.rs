//! PNG, of animations the first image.

use std::io::Cursor;

use ::png::{ColorType, Decoder, Limits, Transformations};

use super::samples::{Layout, Samples};
use super::{Decoded, MAX_BYTES, check_size, damaged, exif_orientation};
use crate::error::SampleError;

/// Reads a PNG: palettes are looked up, few bits spread over 0..=255, of 16 bits the high byte kept.
pub(super) fn read(bytes: &[u8]) -> Result<Decoded, SampleError> {
    let limits = Limits { bytes: MAX_BYTES as usize };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = reader.info().size();
    check_size(width, height, reader.info().bytes_per_pixel() as u64)?;
    let len = reader.output_buffer_size().ok_or_else(|| damaged("its size overflows"))?;
    let mut values = vec![0; len];
    let info = reader.next_frame(&mut values).map_err(damaged)?;
    // EXIF may follow the pixels; whatever else does, and its faults, say nothing about them
    let _ = reader.finish();
    let layout = match info.color_type {
        ColorType::Grayscale => Layout::Gray,
        ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => return Err(damaged("it has no palette")),
    };
    let samples = Samples { width, height, layout, values };
    let exif = reader.info().exif_metadata.as_deref();
    Ok(Decoded { samples, orientation: exif_orientation(exif) })
}
