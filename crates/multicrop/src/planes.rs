//! [`Planes`]: an image with separate channels, the layout that vector instructions need.

use crate::image::{RGB, Raster};

/// An image, `[channels, height, width]`, with reusable memory: of 8-bit values, or of floats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planes<T = u8> {
    width: usize,
    height: usize,
    values: Vec<T>,
}

/// A [deep image](crate::image::DeepImage), `[channels, height, width]`.
pub type DeepPlanes = Planes<f32>;

impl<T: Copy + Default> Planes<T> {
    /// Converts from interleaved channels.
    pub fn from_image(image: &Raster<T>) -> Self {
        let mut planes = Self::default();
        planes.reset(image.width() as usize, image.height() as usize, image.channels());
        for (channel, plane) in planes.iter_mut().enumerate() {
            let values = image.pixels()[channel..].iter().step_by(image.channels());
            plane.iter_mut().zip(values).for_each(|(out, &value)| *out = value);
        }
        planes
    }

    /// Converts to interleaved channels.
    ///
    /// # Panics
    /// If there are no pixels, as in [`Planes::default`].
    pub fn to_image(&self) -> Raster<T> {
        let channels = self.channels();
        let mut pixels = vec![T::default(); self.values.len()];
        for (channel, plane) in self.iter().enumerate() {
            let values = pixels[channel..].iter_mut().step_by(channels);
            values.zip(plane).for_each(|(out, &value)| *out = value);
        }
        let (width, height) = (self.width as u32, self.height as u32);
        Raster::with_channels(width, height, channels, pixels).expect("planes with pixels")
    }

    /// Applies `change` to the planes of `image`.
    pub(crate) fn edit(image: &mut Raster<T>, change: impl FnOnce(&mut Self)) {
        let mut planes = Self::from_image(image);
        change(&mut planes);
        *image = planes.to_image();
    }

    /// Resizes the memory to this shape; the values are arbitrary.
    pub(crate) fn reset(&mut self, width: usize, height: usize, channels: usize) {
        (self.width, self.height) = (width, height);
        self.values.resize(channels * height * width, T::default());
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.values.len().checked_div(self.width * self.height).unwrap_or(0)
    }

    /// All values, `[channels, height, width]`.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// All values, `[channels, height, width]`, mutable.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Iterates over the channels, `[height, width]` each.
    pub fn iter(&self) -> impl Iterator<Item = &[T]> {
        self.values.chunks_exact((self.width * self.height).max(1))
    }

    /// Iterates over the channels, `[height, width]` each, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        self.values.chunks_exact_mut((self.width * self.height).max(1))
    }

    /// Red, green and blue, `[height, width]` each; `None` if there are not three channels.
    pub fn colors(&self) -> Option<[&[T]; RGB]> {
        let (red, rest) = self.values.split_at_checked(self.width * self.height)?;
        let (green, blue) = rest.split_at_checked(red.len())?;
        (blue.len() == red.len()).then_some([red, green, blue])
    }

    /// As [`colors`](Self::colors), mutable.
    pub fn colors_mut(&mut self) -> Option<[&mut [T]; RGB]> {
        let (red, rest) = self.values.split_at_mut_checked(self.width * self.height)?;
        let (green, blue) = rest.split_at_mut_checked(red.len())?;
        (blue.len() == red.len()).then_some([red, green, blue])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image8;

    #[test]
    fn an_image_of_any_number_of_channels_survives_conversion_to_planes_and_back() {
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
