//! [`Image8`]: an image in memory with 8 bits per channel and any number of channels, the only
//! pixel format after the decoder.

/// Number of channels of a color image: red, green, blue.
pub const RGB: usize = 3;

/// An image of 8-bit values, `[height, width, channels]`, rows from the top without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image8 {
    width: u32,
    height: u32,
    channels: usize,
    pixels: Vec<u8>,
}

impl Image8 {
    /// Creates an image from red, green and blue values, `[height, width, 3]`.
    ///
    /// `None` if a side is zero or `pixels` is not `height * width * 3` bytes long.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        Self::with_channels(width, height, RGB, pixels)
    }

    /// Creates an image from values, `[height, width, channels]`.
    ///
    /// `None` if a side or `channels` is zero, or `pixels` has another length.
    pub fn with_channels(
        width: u32,
        height: u32,
        channels: usize,
        pixels: Vec<u8>,
    ) -> Option<Self> {
        let bytes = byte_len(width, height, channels)?;
        let fits = bytes > 0 && pixels.len() == bytes;
        fits.then_some(Self { width, height, channels, pixels })
    }

    /// Creates an image whose pixels all equal `pixel`.
    ///
    /// # Panics
    /// If a side is zero, `pixel` is empty, or the size overflows the address space.
    pub fn filled(width: u32, height: u32, pixel: &[u8]) -> Self {
        let channels = pixel.len();
        let bytes = byte_len(width, height, channels).filter(|&bytes| bytes > 0);
        let bytes = bytes.expect("an image has at least one value and fits into memory");
        Self { width, height, channels, pixels: pixel.repeat(bytes / channels) }
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
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All values, `[height, width, channels]`, mutable.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Returns the values, `[height, width, channels]`.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Row `y`, `[width, channels]`.
    ///
    /// # Panics
    /// If `y` is not below the height.
    pub fn row(&self, y: u32) -> &[u8] {
        let len = self.width as usize * self.channels;
        &self.pixels[y as usize * len..][..len]
    }

    /// The pixels as `[height * width]` triples of red, green and blue.
    ///
    /// # Panics
    /// If the image [has no colors](Self::is_rgb).
    pub fn colors(&self) -> &[[u8; RGB]] {
        assert!(self.is_rgb(), "{} channels are no colors", self.channels);
        self.pixels.as_chunks().0
    }

    /// As [`colors`](Self::colors), mutable.
    pub fn colors_mut(&mut self) -> &mut [[u8; RGB]] {
        assert!(self.is_rgb(), "{} channels are no colors", self.channels);
        self.pixels.as_chunks_mut().0
    }
}

/// Bytes of an image of this size; `None` if they overflow `usize`.
fn byte_len(width: u32, height: u32, channels: usize) -> Option<usize> {
    (width as usize).checked_mul(height as usize)?.checked_mul(channels)
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
    pub fn whole(image: &Image8) -> Self {
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
