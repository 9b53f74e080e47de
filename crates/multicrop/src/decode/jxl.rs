//! The decoder of JPEG XL files; of animations it reads the first frame.

use std::io::Cursor;

use jxl_oxide::{AllocTracker, JxlImage, JxlThreadPool, PixelFormat};

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged, unsupported};
use crate::error::SampleError;
use ::image::metadata::Orientation;

/// Limit on the decoder's memory per pixel, in bytes: its planes have 32 bits, and filters need
/// copies.
const BYTES_PER_PIXEL: u64 = 64;
/// Limit on the decoder's memory for tables, in bytes, independent of the image size.
const TABLES: u64 = 64 << 20;

/// Reads a JPEG XL file as gray or color with 8 bits per sample; more bits are rounded. The decoder
/// applies the orientation, which is part of the format.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let limit = options.max_pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(TABLES);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let image = JxlImage::builder()
        // images are decoded in parallel, so a single image needs no threads
        .pool(JxlThreadPool::none())
        .alloc_tracker(AllocTracker::with_limit(limit))
        .read(Cursor::new(bytes))
        .map_err(damaged)?;
    let (width, height) = (image.width(), image.height());
    let layout = match image.pixel_format() {
        PixelFormat::Gray => Layout::Gray,
        PixelFormat::Graya => Layout::GrayAlpha,
        PixelFormat::Rgb => Layout::Rgb,
        PixelFormat::Rgba => Layout::Rgba,
        PixelFormat::Cmyk | PixelFormat::Cmyka => return Err(unsupported("JPEG XL with inks")),
    };
    options.check_size(width, height, layout.len() as u64)?;
    if !image.is_loading_done() {
        return Err(damaged("the JPEG XL data end too early"));
    }
    let frame = image.render_frame(0).map_err(damaged)?;
    let mut values = vec![0; width as usize * height as usize * layout.len()];
    let written = frame.stream().write_to_buffer(&mut values);
    if written != values.len() {
        return Err(damaged(format!("{written} of {} values", values.len())));
    }
    let samples = Samples::bytes(width, height, layout, values);
    Ok(Decoded::new(samples, Orientation::NoTransforms))
}
