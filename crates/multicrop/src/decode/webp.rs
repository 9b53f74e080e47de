//! WebP, of animations the first frame.

use std::io::Cursor;

use ::image::codecs::webp::WebPDecoder;
use ::image::{ColorType, ImageDecoder};

use super::samples::{Layout, Samples};
use super::{Decoded, check_size, damaged, exif_orientation};
use crate::error::SampleError;

/// Reads a WebP as red, green, blue and, where the file has it, alpha.
pub(super) fn read(bytes: &[u8]) -> Result<Decoded, SampleError> {
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let layout = match decoder.color_type() {
        ColorType::Rgba8 => Layout::Rgba,
        _ => Layout::Rgb,
    };
    check_size(width, height, layout.len() as u64)?;
    let orientation = exif_orientation(exif(bytes));
    let mut values = vec![0; width as usize * height as usize * layout.len()];
    decoder.read_image(&mut values).map_err(damaged)?;
    Ok(Decoded { samples: Samples { width, height, layout, values }, orientation })
}

/// The EXIF chunk. The decoder's own access would take as much memory as the chunk says it has.
fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(12..)?; // `RIFF`, size, `WEBP`
    loop {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (len, body) = after.split_first_chunk()?;
        let len = u32::from_le_bytes(*len) as usize;
        if name == b"EXIF" {
            return body.get(..len);
        }
        rest = body.get(len.checked_next_multiple_of(2)?..)?;
    }
}
