//! The decoder of JPEG files, with the crate `jpeg`: the pixels are Pillow's, bit for bit.

use jpeg::{Color, Decoder, Error, Scale};

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged, metadata, unsupported};
use crate::error::SampleError;

pub(super) use jpeg::frame_size;

/// Reads a JPEG, at a reduced size if `options` allow it.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let decoder = Decoder::new(bytes).map_err(explain)?;
    let (width, height) = (decoder.width(), decoder.height());
    let scale = scale(width.min(height), options.reduced_for);
    let components = decoder.components() as u64;
    if decoder.has_several_scans() {
        // the decoder keeps 2 bytes of coefficients for each sample, at any scale
        options.check_size(width, height, 2 * components)?;
    } else {
        options.check_size(scale.scaled(width), scale.scaled(height), components)?;
    }
    let orientation = metadata::from_blocks(Some(decoder.exif()), decoder.xmp());
    let image = decoder.decode(scale).map_err(explain)?;
    let (layout, values) = match image.color {
        Color::Gray => (Layout::Gray, image.pixels),
        Color::Rgb => (Layout::Rgb, image.pixels),
        Color::Cmyk => (Layout::Cmyk, inks(image.pixels)),
    };
    let samples = Samples::bytes(image.width, image.height, layout, values);
    Ok(Decoded::new(samples, orientation))
}

/// The smallest scale at which a side of `shorter` pixels has at least `wanted`.
fn scale(shorter: u32, wanted: Option<u32>) -> Scale {
    let reduced = [Scale::Eighth, Scale::Quarter, Scale::Half].into_iter();
    let is_enough =
        |scale: &Scale| wanted.is_some_and(|wanted| scale.scaled(shorter) >= wanted.max(1));
    reduced.into_iter().find(is_enough).unwrap_or(Scale::Full)
}

/// Amounts of ink. Pillow treats every JPEG with four components as inverted, with or without
/// Adobe's segment.
fn inks(mut stored: Vec<u8>) -> Vec<u8> {
    stored.iter_mut().for_each(|value| *value = 255 - *value);
    stored
}

fn explain(error: Error) -> SampleError {
    match error {
        Error::Unsupported(what) => unsupported(what),
        error => damaged(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_scale_that_is_large_enough_is_chosen() {
        assert_eq!(scale(1000, None), Scale::Full);
        assert_eq!(scale(1000, Some(501)), Scale::Full);
        assert_eq!(scale(1000, Some(500)), Scale::Half);
        assert_eq!(scale(1001, Some(501)), Scale::Half, "sizes are rounded up");
        assert_eq!(scale(1000, Some(125)), Scale::Eighth);
        assert_eq!(scale(1, Some(0)), Scale::Eighth);
    }
}
