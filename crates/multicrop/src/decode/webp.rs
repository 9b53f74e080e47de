//! WebP, of animations the first frame.

use std::io::Cursor;

use ::image::codecs::webp::WebPDecoder;
use ::image::{ColorType, ImageDecoder};

use super::samples::{Layout, Samples};
use super::{Decoded, check_size, damaged, exif_orientation};
use crate::error::SampleError;

/// Reads a WebP as red, green, blue and, where the file has it, alpha.
pub(super) fn read(bytes: &[u8]) -> Result<Decoded, SampleError> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let layout = match decoder.color_type() {
        ColorType::Rgba8 => Layout::Rgba,
        _ => Layout::Rgb,
    };
    check_size(width, height, layout.len() as u64)?;
    // a broken EXIF block says nothing about the pixels
    let exif = decoder.exif_metadata().ok().flatten();
    let orientation = exif_orientation(exif.as_deref());
    let mut values = vec![0; width as usize * height as usize * layout.len()];
    decoder.read_image(&mut values).map_err(damaged)?;
    Ok(Decoded { samples: Samples { width, height, layout, values }, orientation })
}
