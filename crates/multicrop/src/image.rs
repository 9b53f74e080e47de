//! [`Raster`]: an image in memory with any number of channels. Its values are bytes ([`Image8`]) or
//! floats ([`DeepImage`]); an [`Image`] is either.

/// Number of channels of a color image: red, green, blue.
pub const RGB: usize = 3;

/// An image, `[height, width, channels]`, rows from the top without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster<T> {
    width: u32,
    height: u32,
    channels: usize,
    pixels: Vec<T>,
}

/// An image of 8-bit values.
pub type Image8 = Raster<u8>;

/// An image of floats: in \[0, 1\] once its [range](crate::decode::Options::range) is applied, before that in
/// the units of its file.
pub type DeepImage = Raster<f32>;

impl<T: Copy> Raster<T> {
    /// Creates an image from red, green and blue values, `[height, width, 3]`.
    ///
    /// `None` if a side is zero or `pixels` does not have `height * width * 3` values.
    pub fn new(width: u32, height: u32, pixels: Vec<T>) -> Option<Self> {
        Self::with_channels(width, height, RGB, pixels)
    }

    /// Creates an image from values, `[height, width, channels]`.
    ///
    /// `None` if a side or `channels` is zero, or `pixels` has another length.
    pub fn with_channels(width: u32, height: u32, channels: usize, pixels: Vec<T>) -> Option<Self> {
        let len = value_count(width, height, channels)?;
        let fits = len > 0 && pixels.len() == len;
        fits.then_some(Self { width, height, channels, pixels })
    }

    /// Creates an image whose pixels all equal `pixel`.
    ///
    /// # Panics
    /// If a side is zero, `pixel` is empty, or the size overflows the address space.
    pub fn filled(width: u32, height: u32, pixel: &[T]) -> Self {
        let channels = pixel.len();
        let len = value_count(width, height, channels).filter(|&len| len > 0);
        let len = len.expect("an image has at least one value and fits into memory");
        Self { width, height, channels, pixels: pixel.repeat(len / channels) }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// True if the channels are red, green and blue, so that color operations are defined.
    pub fn is_rgb(&self) -> bool {
        self.channels == RGB
    }

    /// All values, `[height, width, channels]`.
    pub fn pixels(&self) -> &[T] {
        &self.pixels
    }

    /// All values, `[height, width, channels]`, mutable.
    pub fn pixels_mut(&mut self) -> &mut [T] {
        &mut self.pixels
    }

    /// Returns the values, `[height, width, channels]`.
    pub fn into_pixels(self) -> Vec<T> {
        self.pixels
    }

    /// Row `y`, `[width, channels]`.
    ///
    /// # Panics
    /// If `y` is not below the height.
    pub fn row(&self, y: u32) -> &[T] {
        let len = self.width as usize * self.channels;
        &self.pixels[y as usize * len..][..len]
    }

    /// The pixels as `[height * width]` triples of red, green and blue.
    ///
    /// # Panics
    /// If the image [has no colors](Self::is_rgb).
    pub fn colors(&self) -> &[[T; RGB]] {
        assert!(self.is_rgb(), "{} channels are no colors", self.channels);
        self.pixels.as_chunks().0
    }

    /// As [`colors`](Self::colors), mutable.
    pub fn colors_mut(&mut self) -> &mut [[T; RGB]] {
        assert!(self.is_rgb(), "{} channels are no colors", self.channels);
        self.pixels.as_chunks_mut().0
    }
}

/// Number of values of an image of this size; `None` if it overflows `usize`.
fn value_count(width: u32, height: u32, channels: usize) -> Option<usize> {
    (width as usize).checked_mul(height as usize)?.checked_mul(channels)
}

/// An image as the decoder returns it: 8-bit values, or floats where a file has more precision or a
/// range is set.
#[derive(Debug, Clone, PartialEq)]
pub enum Image {
    /// 8-bit values.
    U8(Image8),
    /// Floats.
    F32(DeepImage),
}

impl Image {
    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.pixels().width()
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.pixels().height()
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.pixels().channels()
    }

    /// The image in 8 bits, for people to look at: floats in \[0, 1\] become 0 to 255, rounded.
    pub fn into_8_bits(self) -> Image8 {
        match self {
            Self::U8(image) => image,
            Self::F32(Raster { width, height, channels, pixels }) => {
                // `as` clamps to 0..=255 and makes NaN 0
                let pixels = pixels.into_iter().map(|value| (255.0 * value).round() as u8);
                Raster { width, height, channels, pixels: pixels.collect() }
            }
        }
    }

    fn pixels(&self) -> Pixels<'_> {
        self.into()
    }
}

impl From<Image8> for Image {
    fn from(image: Image8) -> Self {
        Self::U8(image)
    }
}

impl From<DeepImage> for Image {
    fn from(image: DeepImage) -> Self {
        Self::F32(image)
    }
}

/// A borrowed [`Image`], [`Image8`] or [`DeepImage`].
#[derive(Debug, Clone, Copy)]
pub enum Pixels<'a> {
    /// 8-bit values.
    U8(&'a Image8),
    /// Floats.
    F32(&'a DeepImage),
}

impl Pixels<'_> {
    /// Width in pixels.
    pub fn width(self) -> u32 {
        match self {
            Self::U8(image) => image.width,
            Self::F32(image) => image.width,
        }
    }

    /// Height in pixels.
    pub fn height(self) -> u32 {
        match self {
            Self::U8(image) => image.height,
            Self::F32(image) => image.height,
        }
    }

    /// Number of channels.
    pub fn channels(self) -> usize {
        match self {
            Self::U8(image) => image.channels,
            Self::F32(image) => image.channels,
        }
    }
}

impl<'a> From<&'a Image> for Pixels<'a> {
    fn from(image: &'a Image) -> Self {
        match image {
            Image::U8(image) => Self::U8(image),
            Image::F32(image) => Self::F32(image),
        }
    }
}

impl<'a> From<&'a Image8> for Pixels<'a> {
    fn from(image: &'a Image8) -> Self {
        Self::U8(image)
    }
}

impl<'a> From<&'a DeepImage> for Pixels<'a> {
    fn from(image: &'a DeepImage) -> Self {
        Self::F32(image)
    }
}

/// An axis-aligned box of pixels: columns `left..left + width`, rows `top..top + height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl Rect {
    /// All pixels of `image`.
    pub fn whole<T>(image: &Raster<T>) -> Self {
        Self { left: 0, top: 0, width: image.width, height: image.height }
    }

    /// True if the box is not empty and lies inside an image of this size.
    pub fn lies_inside(&self, width: u32, height: u32) -> bool {
        let fits = |start: u32, len: u32, end: u32| {
            len > 0 && start.checked_add(len).is_some_and(|stop| stop <= end)
        };
        fits(self.left, self.width, width) && fits(self.top, self.height, height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_pixels_that_do_not_fill_the_image() {
        assert!(Image8::new(2, 3, vec![0; 18]).is_some());
        assert!(Image8::new(2, 3, vec![0; 17]).is_none());
        assert!(Image8::new(0, 3, vec![]).is_none());
        assert!(Image8::new(u32::MAX, u32::MAX, vec![]).is_none());
        assert!(Image8::with_channels(2, 2, 0, vec![]).is_none());
        assert!(Image8::with_channels(2, 2, 5, vec![0; 20]).is_some());
    }

    #[test]
    fn rows_start_at_the_top() {
        let image = Image8::new(1, 2, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!((image.row(0), image.row(1)), (&[1, 2, 3][..], &[4, 5, 6][..]));
        assert_eq!(image.colors(), [[1, 2, 3], [4, 5, 6]]);
    }

    #[test]
    fn a_box_that_is_empty_or_exceeds_the_image_does_not_lie_inside() {
        let inside = |left, top, width, height| Rect { left, top, width, height }.lies_inside(4, 3);
        assert!(inside(0, 0, 4, 3) && inside(3, 2, 1, 1));
        assert!(!inside(0, 0, 5, 3) && !inside(1, 0, 4, 3) && !inside(0, 0, 0, 1));
        assert!(!inside(u32::MAX, 0, 2, 1));
    }
}
