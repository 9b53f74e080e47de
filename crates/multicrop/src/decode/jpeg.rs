//! JPEG, by the crate `jpeg`: the pixels are Pillow's, bit for bit.

use ::image::metadata::Orientation;
use jpeg::{Color, Decoder, Error, Scale};

use super::samples::{Layout, Samples};
use super::{Decoded, Options, check_size, damaged, exif_orientation, unsupported};
use crate::error::SampleError;

pub(super) use jpeg::frame_size;

/// Reads a JPEG, smaller than it is if that was asked for.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let decoder = Decoder::new(bytes).map_err(explain)?;
    let (width, height) = (decoder.width(), decoder.height());
    // files of several scans keep 2 bytes of coefficients for each sample until their end
    check_size(width, height, 2 * decoder.components() as u64)?;
    let orientation = orientation(&decoder);
    let scale = scale(width.min(height), options.reduced_for);
    let image = decoder.decode(scale).map_err(explain)?;
    let (layout, values) = match image.color {
        Color::Gray => (Layout::Gray, image.pixels),
        Color::Rgb => (Layout::Rgb, image.pixels),
        Color::Cmyk => (Layout::Cmyk, inks(image.pixels)),
    };
    let samples = Samples { width: image.width, height: image.height, layout, values };
    Ok(Decoded { samples, orientation })
}

/// The smallest scale that leaves `wanted` pixels of a side of `shorter`.
fn scale(shorter: u32, wanted: Option<u32>) -> Scale {
    let reduced = [Scale::Eighth, Scale::Quarter, Scale::Half].into_iter();
    let is_enough = |scale: &Scale| wanted.is_some_and(|wanted| scale.of(shorter) >= wanted.max(1));
    reduced.into_iter().find(is_enough).unwrap_or(Scale::Full)
}

/// Amounts of ink. Pillow takes every JPEG of four components as inverted, with or without Adobe's
/// segment.
fn inks(mut stored: Vec<u8>) -> Vec<u8> {
    stored.iter_mut().for_each(|value| *value = 255 - *value);
    stored
}

/// The orientation that EXIF has, or else XMP, as in Pillow.
fn orientation(decoder: &Decoder<'_>) -> Orientation {
    match exif_orientation(decoder.exif()) {
        Orientation::NoTransforms => decoder.xmp().and_then(xmp_orientation),
        orientation => Some(orientation),
    }
    .unwrap_or(Orientation::NoTransforms)
}

/// The number behind `tiff:Orientation="` or `tiff:Orientation>`.
fn xmp_orientation(xmp: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let numbers = xmp.windows(NAME.len() + 3).filter_map(|window| {
        let digits = match window.strip_prefix(NAME)? {
            [b'=', b'"', digit] | [b'>', digit, _] => digit,
            _ => return None,
        };
        digits.is_ascii_digit().then(|| digits - b'0')
    });
    numbers.into_iter().next().and_then(Orientation::from_exif)
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
    fn the_smallest_scale_that_is_large_enough_is_taken() {
        assert_eq!(scale(1000, None), Scale::Full);
        assert_eq!(scale(1000, Some(501)), Scale::Full);
        assert_eq!(scale(1000, Some(500)), Scale::Half);
        assert_eq!(scale(1001, Some(501)), Scale::Half, "sizes are rounded up");
        assert_eq!(scale(1000, Some(125)), Scale::Eighth);
        assert_eq!(scale(1, Some(0)), Scale::Eighth);
    }

    #[test]
    fn xmp_has_the_orientation_as_an_attribute_or_as_an_element() {
        let of = |xmp: &str| xmp_orientation(xmp.as_bytes());
        assert_eq!(of("<x tiff:Orientation=\"6\"/>"), Some(Orientation::Rotate90));
        assert_eq!(of("<tiff:Orientation>3</tiff:Orientation>"), Some(Orientation::Rotate180));
        assert_eq!(of("<tiff:Orientation>x</tiff:Orientation>"), None);
        assert_eq!(of(""), None);
    }
}
