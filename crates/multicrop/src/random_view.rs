//! [`RandomView`]: the model's input while a linear probe is trained, a random box of the image.

use rand::Rng;

use crate::augment::normalize::Element;
use crate::augment::{crop, flip};
use crate::eval_view::resize_to;
use crate::image::{Pixels, Rect};
use crate::resize::Resize;

/// Resizes a random box to a square, flips it or not, and normalizes.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomView {
    /// Side of the square, in pixels.
    pub size: u32,
    /// Range of the box's area as a fraction of the image's area.
    pub scale: (f64, f64),
    /// Range of the aspect ratio, width / height, of the box.
    pub aspect: (f64, f64),
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Mean of each channel, of values in [0, 1]; its length is the number of channels.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, of values in [0, 1].
    pub std: Vec<f32>,
}

impl RandomView {
    /// The view of the linear probes of DINO and iBOT: torchvision's `RandomResizedCrop` and
    /// `RandomHorizontalFlip` with their defaults. They resize by a bilinear filter, this by a bicubic one.
    pub fn linear_probe(size: u32, mean: Vec<f32>, std: Vec<f32>) -> Self {
        Self { size, scale: (0.08, 1.0), aspect: (3.0 / 4.0, 4.0 / 3.0), flip: 0.5, mean, std }
    }

    /// Draws the box and the flip for an image of this width and height.
    pub fn draw(&self, (width, height): (u32, u32), rng: &mut impl Rng) -> (Rect, bool) {
        let source = crop::sample((width, height), self.scale, self.aspect, rng);
        (source, flip::sample(self.flip, rng))
    }

    /// Makes the normalized view of what `rng` draws; `out` is `[channels, size, size]`.
    ///
    /// # Panics
    /// If `out` has the wrong length, `size` is zero, or the image has the wrong number of channels.
    pub fn apply<'a, T: Element>(
        &self,
        image: impl Into<Pixels<'a>>,
        rng: &mut impl Rng,
        out: &mut [T],
    ) {
        let image = image.into();
        let (source, flip) = self.draw((image.width(), image.height()), rng);
        let size = (self.size, self.size);
        let resize = Resize { flip, ..Resize::whole(source, size) };
        resize_to(image, &resize).normalize(&self.mean, &self.std, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::normalize;
    use crate::image::Image8;
    use crate::loader::crop_stream;
    use crate::resize::crop_resize;

    fn noise(width: u32, height: u32) -> Image8 {
        let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        Image8::new(width, height, (0..width * height * 3).map(value).collect()).unwrap()
    }

    /// The same box by `crop_resize`, which has Pillow's bits, and the flip by hand.
    #[test]
    fn the_view_is_the_box_that_was_drawn_resized_and_flipped() {
        let image = noise(50, 40);
        let view = RandomView::linear_probe(16, vec![0.5; 3], vec![0.25; 3]);
        let mut flips = 0;
        for i in 0..20 {
            let stream = || crop_stream(0, 0, i, 0);
            let (source, flip) = view.draw((50, 40), &mut stream());
            let mut expected = crop_resize(&image, source, 16, 16);
            if flip {
                crate::augment::flip::apply(&mut expected);
                flips += 1;
            }
            let mut wanted = vec![0.0f32; 3 * 256];
            normalize::apply(&expected, [0.5; 3], [0.25; 3], &mut wanted);
            let mut found = vec![f32::NAN; 3 * 256];
            view.apply(&image, &mut stream(), &mut found);
            assert_eq!(found, wanted, "view {i}");
        }
        assert!((4..=16).contains(&flips), "{flips} of 20 are flipped");
    }
}
