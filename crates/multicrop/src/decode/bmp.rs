//! BMP.

use std::io::Cursor;

use ::image::codecs::bmp::BmpDecoder;
use ::image::error::ImageError;
use ::image::metadata::Orientation;
use ::image::{ColorType, ImageDecoder};

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged, unsupported};
use crate::error::SampleError;

/// Reads a bitmap as red, green, blue and, where its header names it, alpha.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    read_with(BmpDecoder::new(Cursor::new(bytes)).map_err(explain)?, options)
}

pub(super) fn read_dib(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let decoder = BmpDecoder::new_without_file_header(Cursor::new(bytes)).map_err(explain)?;
    read_with(decoder, options)
}

fn read_with(decoder: BmpDecoder<Cursor<&[u8]>>, options: &Options) -> Result<Decoded, SampleError> {
    let (width, height) = decoder.dimensions();
    let layout = match decoder.color_type() {
        ColorType::L8 => Layout::Gray,
        ColorType::Rgba8 => Layout::Rgba,
        _ => Layout::Rgb,
    };
    options.check_size(width, height, layout.len() as u64)?;
    let mut values = vec![0; width as usize * height as usize * layout.len()];
    decoder.read_image(&mut values).map_err(explain)?;
    let samples = Samples { width, height, layout, values };
    Ok(Decoded { samples, orientation: Orientation::NoTransforms })
}

fn explain(error: ImageError) -> SampleError {
    match error {
        ImageError::Unsupported(error) => unsupported(error),
        error => damaged(error),
    }
}
