//! [`EvalView`]: the model's input in evaluation, one centered square without randomness.

use crate::augment::normalize::{self, Element, IMAGENET_MEAN, IMAGENET_STD};
use crate::image::{Image, Pixels, Rect};
use crate::planes::{DeepPlanes, Planes};
use crate::resize::{DeepResizer, Resize, Resizer};

/// Resizes the short side to `resize` pixels, crops the centered square of side `crop`, and
/// normalizes.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalView {
    /// Length of the short side before the crop, in pixels; `None` keeps the image's size.
    pub resize: Option<u32>,
    /// Side of the square, in pixels.
    pub crop: u32,
    /// Mean of each channel, of values in [0, 1]; its length is the number of channels.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, of values in [0, 1].
    pub std: Vec<f32>,
}

impl EvalView {
    /// The view of ImageNet evaluations: short side 256, crop 224, the normalization of ImageNet.
    pub fn imagenet() -> Self {
        Self {
            resize: Some(256),
            crop: 224,
            mean: IMAGENET_MEAN.to_vec(),
            std: IMAGENET_STD.to_vec(),
        }
    }

    /// Number of values of the view: `channels · crop²`.
    pub fn output_len(&self) -> usize {
        self.mean.len() * self.crop as usize * self.crop as usize
    }

    /// Makes the normalized view; `out` is `[channels, crop, crop]`.
    ///
    /// # Panics
    /// If `out` has the wrong length, `crop` or `resize` is zero, or the image has the wrong number
    /// of channels.
    pub fn apply<'a, T: Element>(&self, image: impl Into<Pixels<'a>>, out: &mut [T]) {
        self.planes(image.into()).normalize(&self.mean, &self.std, out);
    }

    /// The view before normalization, `[crop, crop, channels]`.
    ///
    /// If `resize` is below `crop`, or is `None` and the image is smaller than `crop`, the short
    /// side is resized to `crop`. Unlike torchvision, this never pads with black.
    ///
    /// # Accuracy
    /// Equal to `resize` and `center_crop` of torchvision 0.26 on Pillow 11.3 images in every bit
    /// (`tests/golden_augment.rs`).
    ///
    /// # Panics
    /// If `crop` or `resize` is zero.
    pub fn view<'a>(&self, image: impl Into<Pixels<'a>>) -> Image {
        self.planes(image.into()).into_image()
    }

    /// As [`view`](Self::view), with separate channels.
    fn planes(&self, image: Pixels<'_>) -> View {
        let short = image.width().min(image.height());
        let target = self.resize.unwrap_or(short).max(self.crop);
        let (width, height) = resized_size((image.width(), image.height()), target);
        // an odd remainder is split by rounding half to even
        let start = |length: u32| (f64::from(length - self.crop) / 2.0).round_ties_even() as u32;
        let (left, top) = (start(width), start(height));
        let window = Rect { left, top, width: self.crop, height: self.crop };
        let source = Rect { left: 0, top: 0, width: image.width(), height: image.height() };
        resize_to(image, &Resize { window, ..Resize::whole(source, (width, height)) })
    }
}

/// A view with separate channels, before normalization.
pub(crate) enum View {
    U8(Planes),
    F32(DeepPlanes),
}

impl View {
    /// The view as an image.
    pub(crate) fn into_image(self) -> Image {
        match self {
            Self::U8(planes) => planes.to_image().into(),
            Self::F32(planes) => planes.to_image().into(),
        }
    }

    /// The normalized values, `[channels, height, width]`.
    pub(crate) fn normalize<T: Element>(&self, mean: &[f32], std: &[f32], out: &mut [T]) {
        match self {
            Self::U8(planes) => normalize::apply_to(planes, mean, std, out),
            Self::F32(planes) => normalize::apply_deep(planes, mean, std, out),
        }
    }
}

/// A part of `image`, resized.
pub(crate) fn resize_to(image: Pixels<'_>, resize: &Resize) -> View {
    match image {
        Pixels::U8(image) => {
            let (mut resizer, mut planes) = (Resizer::default(), Planes::default());
            resizer.load(image, resize.source);
            resizer.resize(resize, &mut planes);
            View::U8(planes)
        }
        Pixels::F32(image) => {
            let (mut resizer, mut planes) = (DeepResizer::default(), DeepPlanes::default());
            resizer.load(image, resize.source);
            resizer.resize(resize, &mut planes);
            View::F32(planes)
        }
    }
}

/// Width and height of an image after its short side is resized to `target`, with its aspect ratio
/// kept.
///
/// ```text
/// long' = ⌊target · long / short⌋
/// ```
///
/// # Panics
/// If a side is zero, or if the long side would be 2³² pixels or more.
pub fn resized_size((width, height): (u32, u32), target: u32) -> (u32, u32) {
    let scaled = |long: u32, short: u32| {
        let length = u64::from(target) * u64::from(long) / u64::from(short);
        u32::try_from(length).expect("the resized image has fewer than 2^32 rows and columns")
    };
    if width <= height { (target, scaled(height, width)) } else { (scaled(width, height), target) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Image8;
    use proptest::prelude::*;

    fn columns(width: u32, height: u32) -> Image8 {
        let color = |i: u32| [(i % width) as u8, (i / width) as u8, 0];
        Image8::new(width, height, (0..width * height).flat_map(color).collect()).unwrap()
    }

    fn native(crop: u32) -> EvalView {
        EvalView { resize: None, crop, ..EvalView::imagenet() }
    }

    #[test]
    fn the_center_is_rounded_half_to_even() {
        let first = |length: u32| native(2).view(&columns(length, 2)).into_8_bits().pixels()[0];
        assert_eq!([2, 3, 4, 5, 6, 7].map(first), [0, 0, 1, 2, 2, 2]);
    }

    #[test]
    fn the_long_side_is_cut_off_not_rounded() {
        assert_eq!(resized_size((100, 67), 10), (14, 10));
        assert_eq!(resized_size((67, 100), 10), (10, 14));
    }

    #[test]
    fn native_size_keeps_the_pixels() {
        assert_eq!(native(8).view(&columns(8, 8)), columns(8, 8).into());
    }

    proptest! {
        #[test]
        fn any_image_fills_the_view(
            (width, height) in prop_oneof![(1_u32..90, 1_u32..90), Just((1, 60_000)), Just((60_000, 1))],
            resize in prop::option::of(1_u32..60),
            crop in 1_u32..50,
        ) {
            let view = EvalView { resize, ..native(crop) };
            let mut out = vec![f32::NAN; view.output_len()];
            view.apply(&columns(width, height), &mut out);
            prop_assert!(out.iter().all(|value| value.is_finite()));
        }
    }
}
