//! RandAugment: two random operations on an image in 8 bits.
//!
//! For each of two operations, drawn with replacement from [`Operation`]'s fifteen:
//!
//! ```text
//! with probability ½ nothing happens, else
//! level = clip(N(magnitude, ½²), 0, 10)        a larger level changes more
//! ```
//!
//! Source: Cubuk et al., arXiv:1909.13719, as `rand-m9-mstd0.5-inc1` of timm: its list of increasing operations.

mod color;
mod geometry;

use multicrop::augment::color_jitter::{self, Adjustment, Jitter};
use multicrop::augment::solarize;
use multicrop::image::{Image8, RGB};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// Operations on an image.
const OPERATIONS: usize = 2;
/// Probability that an operation is applied.
const PROBABILITY: f64 = 0.5;
/// Standard deviation of the level.
const LEVEL_STD: f64 = 0.5;
/// The highest level.
const HIGHEST: f64 = 10.0;
/// Largest shift, as a fraction of the side.
const SHIFT: f64 = 0.45;
/// Largest rotation, in degrees.
const TURN: f64 = 30.0;
/// Largest shear.
const SHEAR: f64 = 0.3;

/// RandAugment of one magnitude.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandAugment {
    magnitude: f64,
    fill: [u8; RGB],
}

/// A change of an image, with Pillow's arithmetic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Stretches each channel to 0 … 255.
    AutoContrast,
    /// Makes the histogram of each channel as flat as a table of values can.
    Equalize,
    /// `255 − x`.
    Invert,
    /// Turns against the clock, in degrees.
    Rotate(f64),
    /// Keeps so many high bits.
    Posterize(u8),
    /// `255 − x` from this value on.
    Solarize(u32),
    /// Adds this to values below 128.
    SolarizeAdd(u8),
    /// Blends with the gray image by this factor.
    Color(f64),
    /// Blends with the mean gray by this factor.
    Contrast(f64),
    /// Blends with black by this factor.
    Brightness(f64),
    /// Blends with the smoothed image by this factor.
    Sharpness(f64),
    /// Moves rows by a factor of their height.
    ShearX(f64),
    /// Moves columns by a factor of their distance from the left.
    ShearY(f64),
    /// Moves to the left by a fraction of the width.
    TranslateX(f64),
    /// Moves up by a fraction of the height.
    TranslateY(f64),
}

impl RandAugment {
    /// With this magnitude. What a geometric operation leaves empty gets the mean color, of values in [0, 1].
    pub fn new(magnitude: f64, mean: &[f32]) -> Self {
        let byte =
            |&mean: &f32| (255.0 * f64::from(mean)).round_ties_even().clamp(0.0, 255.0) as u8;
        let mut fill = [0; RGB];
        fill.iter_mut().zip(mean).for_each(|(fill, mean)| *fill = byte(mean));
        Self { magnitude, fill }
    }

    /// Changes an image. One that has no colors stays as it is.
    pub fn augment(&self, image: &mut Image8, rng: &mut impl Rng) {
        let operations = self.draw(rng);
        if image.is_rgb() {
            operations
                .into_iter()
                .flatten()
                .for_each(|operation| operation.apply(image, self.fill));
        }
    }

    /// Draws the operations, in the order in which they are applied.
    fn draw(&self, rng: &mut impl Rng) -> [Option<Operation>; OPERATIONS] {
        [(); OPERATIONS].map(|()| {
            let kind = rng.random_range(0..Operation::COUNT);
            let is_applied = rng.random::<f64>() < PROBABILITY;
            let normal: f64 = StandardNormal.sample(rng);
            let level = (self.magnitude + LEVEL_STD * normal).clamp(0.0, HIGHEST);
            let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
            is_applied.then(|| Operation::of(kind, level, sign))
        })
    }
}

impl Operation {
    /// Number of kinds.
    pub const COUNT: usize = 15;

    /// The operation of a kind at a level from 0 to 10; `sign` is 1 or −1.
    ///
    /// # Panics
    /// If there is no such kind.
    pub fn of(kind: usize, level: f64, sign: f64) -> Self {
        let share = level / HIGHEST;
        let factor = (1.0 + sign * 0.9 * share).max(0.1);
        match kind {
            0 => Self::AutoContrast,
            1 => Self::Equalize,
            2 => Self::Invert,
            3 => Self::Rotate(sign * TURN * share),
            4 => Self::Posterize(4 - (4.0 * share) as u8),
            5 => Self::Solarize(256 - (256.0 * share) as u32),
            6 => Self::SolarizeAdd((110.0 * share) as u8),
            7 => Self::Color(factor),
            8 => Self::Contrast(factor),
            9 => Self::Brightness(factor),
            10 => Self::Sharpness(factor),
            11 => Self::ShearX(sign * SHEAR * share),
            12 => Self::ShearY(sign * SHEAR * share),
            13 => Self::TranslateX(sign * SHIFT * share),
            14 => Self::TranslateY(sign * SHIFT * share),
            _ => panic!("operation {kind} of {}", Self::COUNT),
        }
    }

    /// Changes an image with colors. `fill` is the color of what comes from outside of it.
    pub fn apply(self, image: &mut Image8, fill: [u8; RGB]) {
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        match self {
            Self::AutoContrast => color::auto_contrast(image),
            Self::Equalize => color::equalize(image),
            Self::Invert => solarize::apply(image, 0),
            Self::Posterize(bits) => color::posterize(image, bits),
            Self::Solarize(threshold) => solarize::apply(image, threshold),
            Self::SolarizeAdd(added) => color::solarize_add(image, added),
            Self::Color(saturation) => color_jitter::apply(&Jitter { saturation, ..SAME }, image),
            Self::Contrast(contrast) => color_jitter::apply(&Jitter { contrast, ..SAME }, image),
            Self::Brightness(brightness) => {
                color_jitter::apply(&Jitter { brightness, ..SAME }, image);
            }
            Self::Sharpness(factor) => color::sharpen(image, factor),
            Self::Rotate(degrees) => {
                let turn = geometry::rotation(degrees, width, height);
                geometry::transform(image, turn, fill);
            }
            Self::ShearX(factor) => {
                geometry::transform(image, [1.0, factor, 0.0, 0.0, 1.0, 0.0], fill);
            }
            Self::ShearY(factor) => {
                geometry::transform(image, [1.0, 0.0, 0.0, factor, 1.0, 0.0], fill);
            }
            Self::TranslateX(part) => {
                geometry::transform(image, [1.0, 0.0, part * width, 0.0, 1.0, 0.0], fill);
            }
            Self::TranslateY(part) => {
                geometry::transform(image, [1.0, 0.0, 0.0, 0.0, 1.0, part * height], fill);
            }
        }
    }
}

/// Changes no color.
const SAME: Jitter =
    Jitter { order: Adjustment::ALL, brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.0 };

#[cfg(test)]
mod tests;
