//! WebP, of animations the first frame.

use std::io::Cursor;

use ::image::codecs::webp::WebPDecoder;
use ::image::{ColorType, ImageDecoder};

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged, metadata};
use crate::error::SampleError;

/// Reads a WebP as red, green, blue and, where the file has it, alpha.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let layout = match decoder.color_type() {
        ColorType::Rgba8 => Layout::Rgba,
        _ => Layout::Rgb,
    };
    options.check_size(width, height, layout.len() as u64)?;
    let mut values = vec![0; width as usize * height as usize * layout.len()];
    decoder.read_image(&mut values).map_err(damaged)?;
    let samples = Samples { width, height, layout, values };
    Ok(Decoded { samples, orientation: metadata::of_webp(bytes) })
}
