//! One image in memory: 8-bit RGB, the only pixel format behind the decoder.

/// Bytes of a pixel: red, green, blue.
pub const CHANNELS: usize = 3;

/// An 8-bit RGB image, `[height, width, 3]`, rows from the top without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8 {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Rgb8 {
    /// The image with these pixels, `[height, width, 3]`.
    ///
    /// `None` if a side is zero or `pixels` is not `height * width * 3` bytes long.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        let bytes = byte_len(width, height)?;
        (bytes > 0 && pixels.len() == bytes).then_some(Self { width, height, pixels })
    }

    /// The image whose pixels all have this color.
    ///
    /// # Panics
    /// If a side is zero or the image would not fit into the address space.
    pub fn filled(width: u32, height: u32, color: [u8; CHANNELS]) -> Self {
        let bytes = byte_len(width, height).filter(|&bytes| bytes > 0);
        let bytes = bytes.expect("an image has at least one pixel and fits into memory");
        Self { width, height, pixels: color.repeat(bytes / CHANNELS) }
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All pixels, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All pixels, `[height, width, 3]`, to be changed in place.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The pixels without their shape, `[height, width, 3]`.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// Row `y`, `[width, 3]`.
    ///
    /// # Panics
    /// If `y` is not below the height.
    pub fn row(&self, y: u32) -> &[u8] {
        let len = self.width as usize * CHANNELS;
        &self.pixels[y as usize * len..][..len]
    }

    /// The pixels as `[height * width]` triples of red, green and blue.
    pub fn colors(&self) -> &[[u8; CHANNELS]] {
        self.pixels.as_chunks().0
    }

    /// [`colors`](Self::colors), to be changed in place.
    pub fn colors_mut(&mut self) -> &mut [[u8; CHANNELS]] {
        self.pixels.as_chunks_mut().0
    }
}

/// Bytes of an image of this size; `None` if they overflow `usize`.
fn byte_len(width: u32, height: u32) -> Option<usize> {
    (width as usize).checked_mul(height as usize)?.checked_mul(CHANNELS)
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
    pub fn whole(image: &Rgb8) -> Self {
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
        assert!(Rgb8::new(2, 3, vec![0; 18]).is_some());
        assert!(Rgb8::new(2, 3, vec![0; 17]).is_none());
        assert!(Rgb8::new(0, 3, vec![]).is_none());
        assert!(Rgb8::new(u32::MAX, u32::MAX, vec![]).is_none());
    }

    #[test]
    fn rows_start_at_the_top() {
        let image = Rgb8::new(1, 2, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!((image.row(0), image.row(1)), (&[1, 2, 3][..], &[4, 5, 6][..]));
        assert_eq!(image.colors(), [[1, 2, 3], [4, 5, 6]]);
    }

    #[test]
    fn a_box_that_sticks_out_or_is_empty_does_not_lie_inside() {
        let inside = |left, top, width, height| Rect { left, top, width, height }.lies_inside(4, 3);
        assert!(inside(0, 0, 4, 3) && inside(3, 2, 1, 1));
        assert!(!inside(0, 0, 5, 3) && !inside(1, 0, 4, 3) && !inside(0, 0, 0, 1));
        assert!(!inside(u32::MAX, 0, 2, 1));
    }
}
