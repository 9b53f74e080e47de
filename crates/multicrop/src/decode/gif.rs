//! The decoder of GIF files; of animations it reads the first frame.

use std::borrow::Cow;

use ::gif::{ColorOutput, DecodeOptions, MemoryLimit};
use ::image::metadata::Orientation;

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged};
use crate::error::SampleError;
use crate::image::RGB;

/// Reads the first frame onto a canvas of the size in the header, enlarged if the frame exceeds it.
/// Pixels outside the frame get the transparent color, or the first color of the palette.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let mut settings = DecodeOptions::new();
    settings.set_color_output(ColorOutput::Indexed);
    settings.set_memory_limit(MemoryLimit::Unlimited); // sizes are checked here
    let bytes = with_palette(bytes);
    let mut decoder = settings.read_info(&bytes[..]).map_err(damaged)?;
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.next_frame_info().map_err(damaged)?;
    let frame = frame.ok_or_else(|| damaged("there is no frame in it"))?.clone();
    let [left, top, frame_width, frame_height] =
        [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    let (width, height) = (screen.0.max(left + frame_width), screen.1.max(top + frame_height));
    options.check_size(width as u32, height as u32, RGB as u64)?;
    let mut indices = vec![0; frame_width * frame_height];
    decoder.read_into_buffer(&mut indices).map_err(damaged)?;
    let mut canvas = vec![frame.transparent.unwrap_or(0); width * height];
    if frame_width > 0 {
        for (y, row) in indices.chunks_exact(frame_width).enumerate() {
            canvas[(top + y) * width + left..][..frame_width].copy_from_slice(row);
        }
    }
    let palette = frame.palette.as_deref().or(decoder.global_palette()).unwrap_or_default();
    let values = look_up(&canvas, palette, frame.transparent);
    let layout = if frame.transparent.is_some() { Layout::Rgba } else { Layout::Rgb };
    let samples = Samples::bytes(width as u32, height as u32, layout, values);
    Ok(Decoded::new(samples, Orientation::NoTransforms))
}

/// Adds a gray palette for all frames if the file has none. Without it, the decoder would refuse
/// frames that have no palette of their own.
fn with_palette(bytes: &[u8]) -> Cow<'_, [u8]> {
    const PACKED: usize = 10;
    const HEADER: usize = 13;
    if bytes.len() < HEADER || bytes[PACKED] & 0x80 != 0 {
        return Cow::Borrowed(bytes);
    }
    let mut whole = bytes[..HEADER].to_vec();
    whole[PACKED] |= 0x87; // there is a palette, of 256 colors
    whole.extend((0..=255).flat_map(|gray| [gray; RGB]));
    whole.extend(&bytes[HEADER..]);
    Cow::Owned(whole)
}

/// Looks up the colors of palette indices, with alpha if one index is transparent. Indices beyond
/// the palette are black.
fn look_up(indices: &[u8], palette: &[u8], transparent: Option<u8>) -> Vec<u8> {
    let mut colors = [[0, 0, 0, 255]; 256];
    for (color, found) in colors.iter_mut().zip(palette.as_chunks::<RGB>().0) {
        color[..RGB].copy_from_slice(found);
    }
    let Some(transparent) = transparent else {
        let colors = colors.map(|[r, g, b, _]| [r, g, b]);
        return indices.iter().flat_map(|&index| colors[usize::from(index)]).collect();
    };
    colors[usize::from(transparent)][RGB] = 0;
    indices.iter().flat_map(|&index| colors[usize::from(index)]).collect()
}
