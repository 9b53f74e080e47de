//! [`TrainingView`] turns an image into one training image: box, flip, colors, normalization, erasing.
//!
//! ```text
//! image ─▶ random box, resized ─▶ flip ─▶ RandAugment, or color jitter ─▶ normalize ─▶ erase
//! ```
//!
//! Each image has a stream of its own, which depends on seed, epoch and image alone.
//!
//! Source: `create_transform` of timm with the settings of BEiT's fine-tuning: bicubic, areas from 8 %, aspect ratios
//! from 3/4 to 4/3.

use multicrop::augment::color_jitter::ColorJitter;
use multicrop::augment::{Crop, CropParameters, Scratch, crop, flip, normalize};
use multicrop::image::{Image, Image8, Rect};
use multicrop::loader::{Augmentation, Group};
use serde::{Deserialize, Serialize};
use streams::Stream;

use crate::erasing;
use crate::rand_augment::RandAugment;

const ASPECT: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

/// Random changes of training images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Smallest area of the box that is cut out, as a fraction of the image.
    pub smallest_area: f64,
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Magnitude of RandAugment, from 0 to 10; `None` turns it off.
    pub rand_augment: Option<f64>,
    /// Strength of color jitter, which RandAugment replaces; 0 turns it off.
    pub color_jitter: f64,
    /// Probability of random erasing.
    pub erasing: f64,
}

/// How training images are made.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingView {
    /// Side of the training image in pixels.
    pub side: u32,
    /// Mean of each channel, of values in [0, 1].
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub std: Vec<f32>,
    /// Random changes.
    pub changes: Changes,
}

impl TrainingView {
    /// Makes the training image of `image` into `out`, `[channels, side, side]`.
    fn make(&self, image: &Image, rng: &mut Stream, out: &mut [f32], scratch: &mut Scratch) {
        let Self { side, mean, std, changes } = self;
        let (width, height) = (image.width(), image.height());
        scratch.load(image, Rect { left: 0, top: 0, width, height });
        let area = (changes.smallest_area, 1.0);
        let parameters = CropParameters {
            size: *side,
            source: crop::sample((width, height), area, ASPECT, rng),
            flip: flip::sample(changes.flip, rng),
            jitter: match changes.rand_augment {
                None => self.color_jitter().sample(rng),
                Some(_) => None,
            },
            flip_vertical: false,
            quarter_turns: 0,
            grayscale: false,
            blur: None,
            solarize: None,
        };
        let made = parameters.apply_to(scratch);
        match changes.rand_augment {
            None => made.normalize(mean, std, out),
            Some(magnitude) => {
                let mut bytes = in_bytes(made);
                RandAugment::new(magnitude, mean).augment(&mut bytes, rng);
                normalize::apply(&bytes, mean, std, out);
            }
        }
        if let Some(erased) = erasing::sample(changes.erasing, *side, rng) {
            erasing::apply(erased, *side, rng, out);
        }
    }

    /// BEiT's: the same strength for brightness, contrast and saturation, and no change of hue.
    fn color_jitter(&self) -> ColorJitter {
        let strength = self.changes.color_jitter;
        let probability = if strength > 0.0 { 1.0 } else { 0.0 };
        let (brightness, contrast, saturation) = (strength, strength, strength);
        ColorJitter { probability, brightness, contrast, saturation, hue: 0.0 }
    }
}

/// A crop in 8 bits, which RandAugment is defined for.
fn in_bytes(made: Crop<'_>) -> Image8 {
    match made {
        Crop::U8(planes) => planes.to_image(),
        Crop::F32(planes) => Image::from(planes.to_image()).into_8_bits(),
    }
}

impl Augmentation<f32> for TrainingView {
    fn groups(&self) -> [Group; 2] {
        let group = |crops| Group { crops, channels: self.mean.len(), size: self.side as usize };
        [group(1), group(0)]
    }

    fn augment(
        &self,
        image: &Image,
        stream: &dyn Fn(usize) -> Stream,
        outs: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) {
        for (i, out) in outs.iter_mut().enumerate() {
            self.make(image, &mut stream(i), out, scratch);
        }
    }
}
