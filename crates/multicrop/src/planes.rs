//! A crop in the making: each channel for itself, which is what vector instructions are for.

use crate::image::{Image8, RGB};

/// An image of 8-bit values, `[channels, height, width]`, whose memory is used again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planes {
    width: usize,
    height: usize,
    values: Vec<u8>,
}

impl Planes {
    /// The pixels of `image`, channel by channel.
    pub fn from_image(image: &Image8) -> Self {
        let mut planes = Self::default();
        planes.reset(image.width() as usize, image.height() as usize, image.channels());
        for (channel, plane) in planes.iter_mut().enumerate() {
            let values = image.pixels()[channel..].iter().step_by(image.channels());
            plane.iter_mut().zip(values).for_each(|(out, &value)| *out = value);
        }
        planes
    }

    /// The pixels, with the channels of each side by side.
    ///
    /// # Panics
    /// If there are no pixels, as in [`Planes::default`].
    pub fn to_image(&self) -> Image8 {
        let channels = self.channels();
        let mut pixels = vec![0; self.values.len()];
        for (channel, plane) in self.iter().enumerate() {
            let values = pixels[channel..].iter_mut().step_by(channels);
            values.zip(plane).for_each(|(out, &value)| *out = value);
        }
        let (width, height) = (self.width as u32, self.height as u32);
        Image8::with_channels(width, height, channels, pixels).expect("planes with pixels")
    }

    /// Does to `image` what `change` does to its planes.
    pub(crate) fn edit(image: &mut Image8, change: impl FnOnce(&mut Self)) {
        let mut planes = Self::from_image(image);
        change(&mut planes);
        *image = planes.to_image();
    }

    /// Takes this size; the values are arbitrary.
    pub(crate) fn reset(&mut self, width: usize, height: usize, channels: usize) {
        (self.width, self.height) = (width, height);
        self.values.resize(channels * height * width, 0);
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Values of a pixel.
    pub fn channels(&self) -> usize {
        self.values.len().checked_div(self.width * self.height).unwrap_or(0)
    }

    /// All values, `[channels, height, width]`.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    /// All values, `[channels, height, width]`, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [u8] {
        &mut self.values
    }

    /// The channels one after the other, `[height, width]` each.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.values.chunks_exact((self.width * self.height).max(1))
    }

    /// The channels one after the other, `[height, width]` each, to be changed in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.values.chunks_exact_mut((self.width * self.height).max(1))
    }

    /// Red, green and blue, `[height, width]` each; `None` if the channels are not these.
    pub fn colors(&self) -> Option<[&[u8]; RGB]> {
        let (red, rest) = self.values.split_at_checked(self.width * self.height)?;
        let (green, blue) = rest.split_at_checked(red.len())?;
        (blue.len() == red.len()).then_some([red, green, blue])
    }

    /// [`colors`](Self::colors), to be changed in place.
    pub fn colors_mut(&mut self) -> Option<[&mut [u8]; RGB]> {
        let (red, rest) = self.values.split_at_mut_checked(self.width * self.height)?;
        let (green, blue) = rest.split_at_mut_checked(red.len())?;
        (blue.len() == red.len()).then_some([red, green, blue])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_any_number_of_channels_survives_the_way_to_planes_and_back() {
        for channels in 1..=6 {
            let pixels = (0..5 * 3 * channels).map(|i| (i * 7) as u8).collect();
            let image = Image8::with_channels(5, 3, channels, pixels).unwrap();
            let planes = Planes::from_image(&image);
            assert_eq!((planes.width(), planes.height(), planes.channels()), (5, 3, channels));
            assert_eq!(planes.iter().next().unwrap()[1], image.pixels()[channels]);
            assert_eq!(planes.colors().is_some(), channels == RGB);
            assert_eq!(planes.to_image(), image);
        }
    }
}
