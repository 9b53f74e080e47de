//! [`WholeView`]: an image as the input of a network, with its aspect ratio, for maps of its patches.

use crate::eval_view::{resize_to, resized_size};
use crate::image::{Image8, Pixels, Rect};
use crate::resize::Resize;

/// Longest side in units of the shorter one. Of longer images the middle is taken: the tokens of a panorama would
/// need more memory than there is.
const MAX_ASPECT: u32 = 4;

/// Resizes the shorter side to `resize` pixels, cuts both sides down to whole patches around the center, and
/// normalizes. Of images longer than 4 : 1, the middle part of this shape is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeView {
    /// Length of the shorter side, in pixels; `None` keeps the image's size.
    pub resize: Option<u32>,
    /// Side of a patch, in pixels. Sides of the view are multiples of it, at least one.
    pub patch_size: u32,
    /// Mean of each channel, of values in \[0, 1\]; its length is the number of channels.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, of values in \[0, 1\].
    pub std: Vec<f32>,
}

/// A view of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// What the network sees, in 8 bits, for people.
    pub picture: Image8,
    /// Normalized, `[channels, height, width]`.
    pub pixels: Vec<f32>,
}

impl WholeView {
    /// The part of an image that is taken, and its width and height after resizing, before both are cut down to
    /// whole patches.
    fn size(&self, (width, height): (u32, u32)) -> (Rect, (u32, u32)) {
        let short = width.min(height);
        let most = short.saturating_mul(MAX_ASPECT);
        let (w, h) = (width.min(most), height.min(most));
        let source = Rect { left: (width - w) / 2, top: (height - h) / 2, width: w, height: h };
        let target = self.resize.unwrap_or(short).max(self.patch_size);
        (source, resized_size((w, h), target))
    }

    /// Width and height of the view of an image, in pixels.
    pub fn view_size(&self, image: (u32, u32)) -> (u32, u32) {
        let (width, height) = self.size(image).1;
        let whole = |side: u32| side / self.patch_size * self.patch_size;
        (whole(width), whole(height))
    }

    /// The view of an image.
    ///
    /// # Panics
    /// If `patch_size` is zero, or the image has another number of channels than `mean`.
    pub fn of<'a>(&self, image: impl Into<Pixels<'a>>) -> Whole {
        let image = image.into();
        let (source, size) = self.size((image.width(), image.height()));
        let (width, height) = self.view_size((image.width(), image.height()));
        let (left, top) = ((size.0 - width) / 2, (size.1 - height) / 2);
        let window = Rect { left, top, width, height };
        let view = resize_to(image, &Resize { window, ..Resize::whole(source, size) });
        let mut pixels = vec![0.0; self.mean.len() * width as usize * height as usize];
        view.normalize(&self.mean, &self.std, &mut pixels);
        Whole { picture: view.into_image().into_8_bits(), pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval_view::EvalView;

    fn view(resize: Option<u32>, patch_size: u32) -> WholeView {
        let EvalView { mean, std, .. } = EvalView::imagenet();
        WholeView { resize, patch_size, mean, std }
    }

    #[test]
    fn sides_are_whole_patches() {
        assert_eq!(view(Some(480), 14).view_size((640, 425)), (714, 476));
        assert_eq!(view(Some(480), 16).view_size((425, 640)), (480, 720));
        assert_eq!(view(None, 16).view_size((100, 70)), (96, 64));
        assert_eq!(view(None, 16).view_size((5, 5)), (16, 16), "a patch at least");
        assert_eq!(view(Some(32), 16).view_size((200_000_000, 1)), (128, 32), "4 : 1 at most");
    }

    #[test]
    fn a_square_is_that_of_evaluations() {
        let pixels = (0..40 * 40 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let image = Image8::new(40, 40, pixels).unwrap();
        let square = EvalView { resize: Some(24), crop: 24, ..EvalView::imagenet() };
        let mut expected = vec![0.0; square.output_len()];
        square.apply(&image, &mut expected);
        let found = view(Some(24), 8).of(&image);
        assert_eq!(found.pixels, expected);
        assert_eq!(found.picture, square.view(&image).into_8_bits());
    }
}
