//! [`Samples`] holds pixels as a file stores them, and converts them to the requested channels.

use super::damaged;
use crate::error::SampleError;
use crate::image::{Image8, RGB};

/// Number of values of a pixel with alpha.
const RGBA: usize = 4;

/// The meaning of the samples of a pixel, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
    /// Amounts of ink: 255 is the maximum.
    Cmyk,
    /// This number of samples, without a color.
    Bands(usize),
}

impl Layout {
    /// Number of samples of a pixel.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => RGB,
            Self::Rgba | Self::Cmyk => RGBA,
            Self::Bands(n) => n,
        }
    }
}

/// The pixels of a file.
pub(super) struct Samples {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// `[height, width, layout.len()]`.
    pub(super) values: Vec<u8>,
}

impl Samples {
    /// Converts to an image with `wanted` channels, see
    /// [`Options::channels`](super::Options::channels).
    pub(super) fn into_image(self, wanted: usize) -> Result<Image8, SampleError> {
        let (width, height) = (self.width, self.height);
        let values = self.into_channels(wanted)?;
        Image8::with_channels(width, height, wanted, values)
            .ok_or_else(|| damaged(format!("its samples do not fill {width} x {height} pixels")))
    }

    fn into_channels(self, wanted: usize) -> Result<Vec<u8>, SampleError> {
        let Self { layout, values, .. } = self;
        let as_stored = layout.len() == wanted && layout != Layout::Cmyk;
        if as_stored || layout == Layout::Rgba && wanted == RGB {
            return Ok(if as_stored { values } else { without_alpha(values) });
        }
        let colors = match wanted {
            1 => to_channels(layout, &values, |color| [luma(color)]),
            RGB => to_channels(layout, &values, |[r, g, b, _]| [r, g, b]),
            RGBA => to_channels(layout, &values, |color| color),
            _ => None,
        };
        colors.ok_or(SampleError::Channels { found: layout.len(), wanted })
    }
}

/// Removes every fourth value in place, so that a large image is not in memory twice.
fn without_alpha(mut values: Vec<u8>) -> Vec<u8> {
    let pixels = values.len() / RGBA;
    for pixel in 0..pixels {
        values.copy_within(pixel * RGBA..pixel * RGBA + RGB, pixel * RGB);
    }
    values.truncate(pixels * RGB);
    values
}

/// Converts each pixel to red, green, blue and alpha, then with `convert`; `None` if bands have no
/// color.
fn to_channels<const N: usize>(
    layout: Layout,
    values: &[u8],
    convert: impl Fn([u8; RGBA]) -> [u8; N],
) -> Option<Vec<u8>> {
    Some(match layout {
        Layout::Gray => each(values, |[v]| convert([v, v, v, 255])),
        Layout::GrayAlpha => each(values, |[v, a]| convert([v, v, v, a])),
        Layout::Rgb => each(values, |[r, g, b]| convert([r, g, b, 255])),
        Layout::Rgba => each(values, convert),
        Layout::Cmyk => each(values, |ink| convert(color_of_inks(ink))),
        Layout::Bands(_) => return None,
    })
}

fn each<const FROM: usize, const TO: usize>(
    values: &[u8],
    convert: impl Fn([u8; FROM]) -> [u8; TO],
) -> Vec<u8> {
    let pixels: Vec<[u8; TO]> = values.as_chunks().0.iter().map(|&pixel| convert(pixel)).collect();
    pixels.into_flattened()
}

/// Luma of ITU-R BT.601 in 16-bit fixed point, as Pillow's `convert("L")`.
fn luma([r, g, b, _]: [u8; RGBA]) -> u8 {
    let [r, g, b] = [r, g, b].map(u32::from);
    ((19_595 * r + 38_470 * g + 7_471 * b + 0x8000) >> 16) as u8
}

/// The color of paper with these inks, as Pillow's `convert("RGB")`: the light that black reflects,
/// minus the part that each ink absorbs.
fn color_of_inks([c, m, y, k]: [u8; RGBA]) -> [u8; RGBA] {
    let light = 255 - k;
    let [r, g, b] = [c, m, y].map(|ink| light - times(ink, light));
    [r, g, b, 255]
}

/// `a b / 255`, rounded.
fn times(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(layout: Layout, values: &[u8], wanted: usize) -> Result<Vec<u8>, SampleError> {
        let samples = Samples { width: 1, height: 1, layout, values: values.to_vec() };
        samples.into_image(wanted).map(Image8::into_pixels)
    }

    #[test]
    fn gray_is_repeated_and_alpha_kept_only_if_wanted() {
        assert_eq!(image(Layout::Gray, &[7], 3).unwrap(), [7, 7, 7]);
        assert_eq!(image(Layout::GrayAlpha, &[7, 9], 4).unwrap(), [7, 7, 7, 9]);
        assert_eq!(image(Layout::GrayAlpha, &[7, 9], 1).unwrap(), [7]);
        assert_eq!(image(Layout::Rgb, &[1, 2, 3], 4).unwrap(), [1, 2, 3, 255]);
        assert_eq!(image(Layout::Rgba, &[1, 2, 3, 4], 3).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn luma_of_gray_is_gray() {
        for v in 0..=255 {
            assert_eq!(image(Layout::Rgb, &[v, v, v], 1).unwrap(), [v]);
        }
        assert_eq!(image(Layout::Rgb, &[255, 0, 0], 1).unwrap(), [76]);
    }

    #[test]
    fn inks_take_light_away() {
        assert_eq!(image(Layout::Cmyk, &[0, 0, 0, 0], 3).unwrap(), [255, 255, 255]);
        assert_eq!(image(Layout::Cmyk, &[255, 0, 0, 55], 4).unwrap(), [0, 200, 200, 255]);
        assert_eq!(image(Layout::Cmyk, &[9, 9, 9, 255], 1).unwrap(), [0]);
    }

    #[test]
    fn bands_are_taken_as_they_are_or_not_at_all() {
        assert_eq!(image(Layout::Bands(5), &[1, 2, 3, 4, 5], 5).unwrap(), [1, 2, 3, 4, 5]);
        let error = image(Layout::Bands(5), &[1, 2, 3, 4, 5], 3).unwrap_err();
        assert_eq!(error, SampleError::Channels { found: 5, wanted: 3 });
        assert!(image(Layout::Rgb, &[1, 2, 3], 2).is_err());
        assert!(image(Layout::Gray, &[1], 0).is_err());
    }
}
