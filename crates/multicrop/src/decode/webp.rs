//! The decoder of WebP files; of animations it reads the first frame.

use std::io::Cursor;

use ::image::codecs::webp::WebPDecoder;
use ::image::{ColorType, ImageDecoder};

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged, metadata};
use crate::error::SampleError;

/// Reads a WebP file as red, green, blue and, if the file has it, alpha.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    // libwebp refuses a file that is shorter than its header declares; this decoder would invent
    // pixels
    let len = bytes.get(4..8).and_then(|len| len.first_chunk()).map(|&len| u32::from_le_bytes(len));
    if len.is_none_or(|len| len as usize > bytes.len() - 8) {
        return Err(damaged("the file is shorter than its header says"));
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let layout = match decoder.color_type() {
        ColorType::Rgba8 => Layout::Rgba,
        _ => Layout::Rgb,
    };
    options.check_size(width, height, layout.len() as u64)?;
    let mut values = vec![0; width as usize * height as usize * layout.len()];
    decoder.read_image(&mut values).map_err(damaged)?;
    let samples = Samples::bytes(width, height, layout, values);
    Ok(Decoded::new(samples, metadata::from_webp(bytes)))
}
