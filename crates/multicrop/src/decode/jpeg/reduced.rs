//! JPEG at a half, a quarter or an eighth of its size, by a shorter inverse transform of each block.

use jpeg_decoder::{Decoder, Error, PixelFormat};

use super::super::samples::{Layout, Samples};
use super::super::{MAX_BYTES, damaged, unsupported};
use super::Header;
use crate::error::SampleError;

/// True if half of the image still has `shorter` pixels on its shorter side. Four components are
/// always read in full, because the reduced ones would not become Pillow's colors.
pub(super) fn is_worthwhile(header: &Header<'_>, shorter: u32) -> bool {
    header.components != 4 && header.width.min(header.height).div_ceil(2) >= shorter.max(1)
}

/// The smallest form of the image that has `shorter` pixels or more on its shorter side.
pub(super) fn read(
    bytes: &[u8],
    header: &Header<'_>,
    shorter: u32,
) -> Result<Samples, SampleError> {
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MAX_BYTES as usize);
    let shorter = u16::try_from(shorter).unwrap_or(u16::MAX);
    // one side that is large enough suffices for this decoder, so the longer one is asked for too much
    let (width, height) =
        if header.width <= header.height { (shorter, u16::MAX) } else { (u16::MAX, shorter) };
    let (width, height) = decoder.scale(width, height).map_err(explain)?;
    let values = decoder.decode().map_err(explain)?;
    let layout = match decoder.info().map(|info| info.pixel_format) {
        Some(PixelFormat::L8) => Layout::Gray,
        Some(PixelFormat::RGB24) => Layout::Rgb,
        found => return Err(unsupported(format!("JPEG with pixels of the form {found:?}"))),
    };
    Ok(Samples { width: u32::from(width), height: u32::from(height), layout, values })
}

fn explain(error: Error) -> SampleError {
    match error {
        Error::Unsupported(what) => unsupported(format!("JPEG with {what:?}")),
        error => damaged(error),
    }
}
