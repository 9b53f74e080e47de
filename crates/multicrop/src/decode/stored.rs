//! [`Stored`]: an image in the units of its file, and how a range maps these units to \[0, 1\].

use std::fmt;

use super::{Options, damaged};
use crate::error::SampleError;
use crate::image::{DeepImage, Image, Raster};

/// Share of the values of an image of floats that may lie outside \[0, 1\] if no range is set.
const OUTSIDE: f64 = 0.01;

/// The type of the values of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueType {
    /// Integers or floats.
    pub kind: Kind,
    /// Bits of a value.
    pub bits: usize,
    /// The smallest and the largest value of the type; 0 and 1 for floats. The range of the image,
    /// unless one is set.
    pub full: [f32; 2],
}

/// The kind of the values of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Integers from 0.
    Unsigned,
    /// Integers around 0.
    Signed,
    /// Floats.
    Float,
}

impl ValueType {
    /// Bytes.
    pub const BYTES: Self = Self { kind: Kind::Unsigned, bits: 8, full: [0.0, 255.0] };

    /// The type of these bits with its full range.
    pub(super) fn new(kind: Kind, bits: usize) -> Self {
        let half = 2_f32.powi(bits as i32 - 1);
        let full = match kind {
            // whole numbers of more than 24 bits are rounded
            Kind::Unsigned => [0.0, ((1_u128 << bits) - 1) as f32],
            Kind::Signed => [-half, half - 1.0],
            Kind::Float => [0.0, 1.0],
        };
        Self { kind, bits, full }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Unsigned => "unsigned integers",
            Kind::Signed => "signed integers",
            Kind::Float => "floats",
        };
        write!(f, "{}-bit {kind}", self.bits)
    }
}

/// An image in the units of its file, with the requested channels.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its values; floats if the file has more than 8 bits.
    pub pixels: Image,
    /// Their type.
    pub value_type: ValueType,
    /// Number of channels in the file; a palette counts with the channels of its colors.
    pub channels: usize,
    /// Number of pages in the file; 1 for formats without pages.
    pub pages: usize,
}

impl Stored {
    /// Number of values that are NaN or infinite.
    pub fn non_finite(&self) -> usize {
        match &self.pixels {
            Image::U8(_) => 0,
            Image::F32(image) => image.pixels().iter().filter(|value| !value.is_finite()).count(),
        }
    }

    /// Maps the values to \[0, 1\] by the range of `options`.
    ///
    /// ```text
    /// y = (x − low) / (high − low), cut off at 0 and 1
    /// ```
    ///
    /// Without a range, bytes stay as they are. Other integers have the full range of their type.
    /// Floats have [0, 1], and at most 1 % of them may lie outside. NaN becomes 0; infinities are
    /// cut off like other values.
    ///
    /// # Errors
    /// If no value is finite, or floats do not lie in [0, 1] and no range is set.
    pub fn into_image(self, options: &Options) -> Result<Image, SampleError> {
        let Self { pixels, value_type, .. } = self;
        let image = match (pixels, &options.range) {
            (Image::U8(image), None) => return Ok(image.into()),
            (Image::U8(image), Some(_)) => floats(&image)?,
            (Image::F32(image), _) => image,
        };
        if !image.pixels().iter().any(|value| value.is_finite()) {
            return Err(damaged("all of its values are NaN or infinite"));
        }
        match &options.range {
            Some(ranges) => Ok(scaled(image, ranges).into()),
            None => {
                if value_type.kind == Kind::Float {
                    check_unit(&image)?;
                }
                Ok(scaled(image, &[value_type.full.map(f64::from)]).into())
            }
        }
    }
}

/// The same values as floats.
fn floats(image: &Raster<u8>) -> Result<DeepImage, SampleError> {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let values = image.pixels().iter().map(|&value| f32::from(value)).collect();
    DeepImage::with_channels(width, height, channels, values)
        .ok_or_else(|| damaged("it has no pixels"))
}

/// Refuses floats that do not lie in \[0, 1\], but for 1 % of them.
fn check_unit(image: &DeepImage) -> Result<(), SampleError> {
    let finite = || image.pixels().iter().copied().filter(|value| value.is_finite());
    let outside = finite().filter(|value| !(0.0..=1.0).contains(value)).count();
    if outside as f64 <= OUTSIDE * image.pixels().len() as f64 {
        return Ok(());
    }
    let low = finite().fold(f32::INFINITY, f32::min);
    let high = finite().fold(f32::NEG_INFINITY, f32::max);
    Err(SampleError::NoRange { low: low.to_string(), high: high.to_string() })
}

/// Maps the values of each channel to \[0, 1\]; `ranges` has one range for each channel, or one for
/// all.
fn scaled(mut image: DeepImage, ranges: &[[f64; 2]]) -> DeepImage {
    let channels = image.channels();
    let ranges: Vec<_> = ranges.iter().copied().cycle().take(channels).collect();
    for pixel in image.pixels_mut().chunks_exact_mut(channels) {
        for (value, [low, high]) in pixel.iter_mut().zip(&ranges) {
            let unit = ((f64::from(*value) - low) / (high - low)) as f32;
            *value = if unit.is_nan() { 0.0 } else { unit.clamp(0.0, 1.0) };
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(kind: Kind, bits: usize, values: &[f32]) -> Stored {
        let image = DeepImage::with_channels(values.len() as u32, 1, 1, values.to_vec());
        let value_type = ValueType::new(kind, bits);
        Stored { pixels: image.unwrap().into(), value_type, channels: 1, pages: 1 }
    }

    fn image(stored: Stored, range: Option<[f64; 2]>) -> Result<Vec<f32>, SampleError> {
        let options = Options { range: range.map(|range| vec![range]), ..Options::default() };
        match stored.into_image(&options)? {
            Image::F32(image) => Ok(image.into_pixels()),
            Image::U8(_) => panic!("bytes"),
        }
    }

    #[test]
    fn integers_have_the_full_range_of_their_type_or_the_one_that_is_set() {
        let deep = || stored(Kind::Unsigned, 16, &[0.0, 13_107.0, 65_535.0]);
        assert_eq!(image(deep(), None).unwrap(), [0.0, 0.2, 1.0]);
        assert_eq!(image(deep(), Some([0.0, 26_214.0])).unwrap(), [0.0, 0.5, 1.0]);
        let signed = stored(Kind::Signed, 8, &[-128.0, -77.0, 127.0]);
        assert_eq!(image(signed, None).unwrap(), [0.0, 0.2, 1.0]);
    }

    #[test]
    fn floats_lie_between_0_and_1_or_need_a_range() {
        let wide = || stored(Kind::Float, 32, &[-2.0, 0.5, 3.0]);
        let error = image(wide(), None).unwrap_err().to_string();
        assert!(error.contains("from -2 to 3") && error.contains("data.range"), "{error}");
        assert_eq!(image(wide(), Some([-2.0, 3.0])).unwrap(), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn nan_becomes_0_and_infinities_are_cut_off() {
        let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.25];
        let some = stored(Kind::Float, 32, &values);
        assert_eq!(some.non_finite(), 3);
        assert_eq!(image(some, None).unwrap(), [0.0, 1.0, 0.0, 0.25]);
        let error = image(stored(Kind::Float, 32, &values[..3]), None).unwrap_err().to_string();
        assert!(error.contains("all of its values are NaN or infinite"), "{error}");
    }
}
