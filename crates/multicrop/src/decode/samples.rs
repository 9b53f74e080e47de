//! [`Samples`] holds pixels as a file stores them, and converts them to the requested channels.

use super::damaged;
use crate::augment::grayscale::{self, luma_of_floats};
use crate::error::SampleError;
use crate::image::{RGB, Raster};

/// Number of values of a pixel with alpha.
const RGBA: usize = 4;

/// The meaning of the samples of a pixel, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
    /// Amounts of ink: white is the maximum.
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
pub(super) struct Samples<T = u8> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) layout: Layout,
    /// `[height, width, layout.len()]`.
    pub(super) values: Vec<T>,
    /// The value of white, of full ink and of full alpha.
    pub(super) white: T,
}

/// A type of samples: bytes, or floats in the units of a file.
pub(super) trait Sample: Copy {
    /// Luma of ITU-R BT.601.
    fn luma(color: [Self; RGBA]) -> Self;
    /// The color of paper with these inks.
    fn color_of_inks(ink: [Self; RGBA], white: Self) -> [Self; RGBA];
}

impl Samples {
    /// Samples of 8 bits.
    pub(super) fn bytes(width: u32, height: u32, layout: Layout, values: Vec<u8>) -> Self {
        Self { width, height, layout, values, white: 255 }
    }
}

impl<T: Sample> Samples<T> {
    /// Converts to an image with `wanted` channels, see
    /// [`Options::channels`](super::Options::channels).
    pub(super) fn into_image(self, wanted: usize) -> Result<Raster<T>, SampleError> {
        let (width, height) = (self.width, self.height);
        let values = self.into_channels(wanted)?;
        Raster::with_channels(width, height, wanted, values)
            .ok_or_else(|| damaged(format!("its samples do not fill {width} x {height} pixels")))
    }

    fn into_channels(self, wanted: usize) -> Result<Vec<T>, SampleError> {
        let Self { layout, values, white, .. } = self;
        let as_stored = layout.len() == wanted && layout != Layout::Cmyk;
        if as_stored || layout == Layout::Rgba && wanted == RGB {
            return Ok(if as_stored { values } else { without_alpha(values) });
        }
        let colors = match wanted {
            1 => to_channels(layout, &values, white, |color| [T::luma(color)]),
            RGB => to_channels(layout, &values, white, |[r, g, b, _]| [r, g, b]),
            RGBA => to_channels(layout, &values, white, |color| color),
            _ => None,
        };
        colors.ok_or(SampleError::Channels { found: layout.len(), wanted, pages: 1 })
    }
}

/// Removes every fourth value in place, so that a large image is not in memory twice.
fn without_alpha<T: Copy>(mut values: Vec<T>) -> Vec<T> {
    let pixels = values.len() / RGBA;
    for pixel in 0..pixels {
        values.copy_within(pixel * RGBA..pixel * RGBA + RGB, pixel * RGB);
    }
    values.truncate(pixels * RGB);
    values
}

/// Converts each pixel to red, green, blue and alpha, then with `convert`; `None` if bands have no
/// color.
fn to_channels<T: Sample, const N: usize>(
    layout: Layout,
    values: &[T],
    white: T,
    convert: impl Fn([T; RGBA]) -> [T; N],
) -> Option<Vec<T>> {
    Some(match layout {
        Layout::Gray => each(values, |[v]| convert([v, v, v, white])),
        Layout::GrayAlpha => each(values, |[v, a]| convert([v, v, v, a])),
        Layout::Rgb => each(values, |[r, g, b]| convert([r, g, b, white])),
        Layout::Rgba => each(values, convert),
        Layout::Cmyk => each(values, |ink| convert(T::color_of_inks(ink, white))),
        Layout::Bands(_) => return None,
    })
}

fn each<T: Copy, const FROM: usize, const TO: usize>(
    values: &[T],
    convert: impl Fn([T; FROM]) -> [T; TO],
) -> Vec<T> {
    let pixels: Vec<[T; TO]> = values.as_chunks().0.iter().map(|&pixel| convert(pixel)).collect();
    pixels.into_flattened()
}

impl Sample for u8 {
    /// In 16-bit fixed point, as Pillow's `convert("L")`.
    fn luma([r, g, b, _]: [u8; RGBA]) -> u8 {
        grayscale::luma([r, g, b])
    }

    /// As Pillow's `convert("RGB")`: the light that black reflects, minus the part that each ink
    /// absorbs.
    fn color_of_inks([c, m, y, k]: [u8; RGBA], white: u8) -> [u8; RGBA] {
        let light = white - k;
        let [r, g, b] = [c, m, y].map(|ink| light - times(ink, light));
        [r, g, b, white]
    }
}

/// The same formulas without rounding.
impl Sample for f32 {
    fn luma([r, g, b, _]: [f32; RGBA]) -> f32 {
        luma_of_floats([r, g, b])
    }

    fn color_of_inks([c, m, y, k]: [f32; RGBA], white: f32) -> [f32; RGBA] {
        let light = white - k;
        let [r, g, b] = [c, m, y].map(|ink| light - ink / white * light);
        [r, g, b, white]
    }
}

/// `a b / 255`, rounded.
fn times(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image8;

    fn image(layout: Layout, values: &[u8], wanted: usize) -> Result<Vec<u8>, SampleError> {
        let samples = Samples::bytes(1, 1, layout, values.to_vec());
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
        assert_eq!(error, SampleError::Channels { found: 5, wanted: 3, pages: 1 });
        assert!(image(Layout::Rgb, &[1, 2, 3], 2).is_err());
        assert!(image(Layout::Gray, &[1], 0).is_err());
    }
}
