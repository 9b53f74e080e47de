//! Random changes of brightness, contrast, saturation and hue, in random order.

mod deep;
mod hue;

use dispatch::kernel;
use rand::{Rng, RngExt};

use super::grayscale::luma;
use super::{chance, uniform};
use crate::image::{Image8, RGB};
use crate::planes::Planes;

pub use deep::apply_deep;

/// Probability and strength of color changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ColorJitter {
    /// Probability of a change.
    pub probability: f64,
    /// Brightness factors are drawn from `1 ± brightness`, but never below 0.
    pub brightness: f64,
    /// Contrast factors are drawn from `1 ± contrast`, but never below 0.
    pub contrast: f64,
    /// Saturation factors are drawn from `1 ± saturation`, but never below 0.
    pub saturation: f64,
    /// Hue shifts are drawn from `± hue`, in turns of the color wheel, at most ½.
    pub hue: f64,
}

/// One kind of color change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjustment {
    /// Scales all values.
    Brightness,
    /// Scales the differences from the mean luma.
    Contrast,
    /// Scales the differences from the luma of the pixel.
    Saturation,
    /// Rotates the color wheel.
    Hue,
}

impl Adjustment {
    /// All four, in the order in which torchvision numbers them.
    pub const ALL: [Self; 4] = [Self::Brightness, Self::Contrast, Self::Saturation, Self::Hue];

    /// Whether it changes images with this number of channels.
    pub fn changes(self, channels: usize) -> bool {
        match self {
            Self::Brightness | Self::Contrast => [1, RGB].contains(&channels),
            Self::Saturation | Self::Hue => channels == RGB,
        }
    }
}

/// The color changes of one crop. A factor of 1 changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Jitter {
    /// Order of the changes.
    pub order: [Adjustment; 4],
    /// Factor; 0 gives black.
    pub brightness: f64,
    /// Factor; 0 gives the mean luma everywhere.
    pub contrast: f64,
    /// Factor; 0 gives gray.
    pub saturation: f64,
    /// Shift in turns. Exactly 0 changes nothing; any other shift converts to 8-bit hue, saturation
    /// and value and back, which rounds.
    pub hue: f64,
}

impl ColorJitter {
    /// Draws whether colors change, and if so the order, brightness, contrast, saturation and hue.
    ///
    /// # Source
    /// `RandomApply` of `ColorJitter.get_params` of torchvision.
    pub fn sample(&self, rng: &mut impl Rng) -> Option<Jitter> {
        if !chance(self.probability, rng) {
            return None;
        }
        let mut order = Adjustment::ALL;
        for i in (1..order.len()).rev() {
            order.swap(i, rng.random_range(0..=i));
        }
        let mut factor = |strength: f64| uniform(((1.0 - strength).max(0.0), 1.0 + strength), rng);
        Some(Jitter {
            order,
            brightness: factor(self.brightness),
            contrast: factor(self.contrast),
            saturation: factor(self.saturation),
            hue: uniform((-self.hue, self.hue), rng),
        })
    }
}

/// Changes colors in the order of `jitter`, and rounds to 8 bits after each change.
///
/// Changes that torchvision does not define are skipped: saturation and hue need red, green and
/// blue; brightness and contrast need these or a single channel.
///
/// # Accuracy
/// Equal to torchvision's functions on Pillow 11.3 images in every bit (`tests/golden_augment.rs`).
pub fn apply(jitter: &Jitter, image: &mut Image8) {
    Planes::edit(image, |planes| apply_to(jitter, planes));
}

/// As [`apply`], on planes.
pub fn apply_to(jitter: &Jitter, planes: &mut Planes) {
    for adjustment in jitter.order {
        match adjustment {
            Adjustment::Brightness => adjust_brightness(planes, jitter.brightness),
            Adjustment::Contrast => adjust_contrast(planes, jitter.contrast),
            Adjustment::Saturation => adjust_saturation(planes, jitter.saturation),
            Adjustment::Hue => hue::adjust(planes, jitter.hue),
        }
    }
}

/// `x → factor · x`.
fn adjust_brightness(planes: &mut Planes, factor: f64) {
    if [1, RGB].contains(&planes.channels()) {
        blend_with_constant(planes.values_mut(), 0, factor as f32);
    }
}

/// `x → m + factor · (x − m)` with the mean luma `m` of the image.
fn adjust_contrast(planes: &mut Planes, factor: f64) {
    let (width, pixels) = (planes.width(), planes.width() * planes.height());
    let sum: u64 = match (planes.colors(), planes.channels()) {
        (Some([red, green, blue]), _) => {
            let rows = red.chunks_exact(width).zip(green.chunks_exact(width));
            let rows = rows.zip(blue.chunks_exact(width));
            rows.map(|((red, green), blue)| u64::from(sum_lumas(red, green, blue))).sum()
        }
        (None, 1) => planes.values().iter().map(|&value| u64::from(value)).sum(),
        _ => return,
    };
    let mean = sum as f64 / pixels as f64;
    blend_with_constant(planes.values_mut(), (mean + 0.5) as u8, factor as f32);
}

/// `x → L + factor · (x − L)` with the luma `L` of the pixel.
fn adjust_saturation(planes: &mut Planes, factor: f64) {
    if let Some([red, green, blue]) = planes.colors_mut() {
        blend_with_luma(red, green, blue, factor as f32);
    }
}

kernel! {
    /// Sum of the lumas of fewer than 2²⁴ pixels.
    fn sum_lumas(red: &[u8], green: &[u8], blue: &[u8]) -> u32 {
        let mut sum = 0;
        for ((&red, &green), &blue) in red.iter().zip(green).zip(blue) {
            sum += u32::from(luma([red, green, blue]));
        }
        sum
    }
}

kernel! {
    /// [`blend`] of every value with the same `from`.
    fn blend_with_constant(values: &mut [u8], from: u8, factor: f32) {
        for value in values {
            *value = blend(from, *value, factor);
        }
    }
}

kernel! {
    /// [`blend`] of every value with the luma of its pixel.
    fn blend_with_luma(red: &mut [u8], green: &mut [u8], blue: &mut [u8], factor: f32) {
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let gray = luma([*red, *green, *blue]);
            *red = blend(gray, *red, factor);
            *green = blend(gray, *green, factor);
            *blue = blend(gray, *blue, factor);
        }
    }
}

/// `from + factor · (to − from)` in single precision, clipped to 0..=255 and truncated.
#[inline(always)]
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let difference = f32::from(to) - f32::from(from);
    let value = f32::from(from) + factor * difference;
    let value = if value > 0.0 { value } else { 0.0 };
    whole(if value < 255.0 { value } else { 255.0 }) as u8
}

/// Truncates a number with `0 ≤ value < 2²³`.
///
/// Not `as u32`, which the compiler does not vectorize because of its checks: adding 2²³ moves the
/// integer part to the low bits.
#[inline(always)]
fn whole(value: f32) -> u32 {
    const WHOLE: f32 = 8_388_608.0; // 2²³
    (value.trunc() + WHOLE).to_bits() & 0x7f_ffff
}

#[cfg(test)]
mod tests {
    use super::super::test_stream;
    use super::*;
    use proptest::prelude::*;

    const DINO: ColorJitter =
        ColorJitter { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1 };

    fn drawn(jitter: &ColorJitter, count: u64) -> Vec<Jitter> {
        (0..count).filter_map(|i| jitter.sample(&mut test_stream(i))).collect()
    }

    #[test]
    fn factors_cover_their_ranges_at_the_given_rate() {
        let drawn = drawn(&DINO, 5000);
        assert!(drawn.len().abs_diff(4000) < 114, "{}", drawn.len()); // 4 √(5000 · 0.16)
        assert_covers(drawn.iter().map(|jitter| jitter.brightness), (0.6, 1.4));
        assert_covers(drawn.iter().map(|jitter| jitter.contrast), (0.6, 1.4));
        assert_covers(drawn.iter().map(|jitter| jitter.saturation), (0.8, 1.2));
        assert_covers(drawn.iter().map(|jitter| jitter.hue), (-0.1, 0.1));
    }

    /// All values are in the range, some are near each end, and the mean is within 2 % of the
    /// middle.
    fn assert_covers(values: impl Iterator<Item = f64> + Clone, (low, high): (f64, f64)) {
        let (count, sum) = values.clone().fold((0, 0.0), |(n, sum), value| (n + 1, sum + value));
        let smallest = values.clone().fold(f64::INFINITY, f64::min);
        let largest = values.fold(f64::NEG_INFINITY, f64::max);
        let margin = 0.02 * (high - low);
        assert!((low..low + margin).contains(&smallest), "{smallest}");
        assert!((high - margin..=high).contains(&largest), "{largest}");
        assert!((sum / f64::from(count) - 0.5 * (low + high)).abs() < margin);
    }

    #[test]
    fn all_24_orders_occur_about_equally_often() {
        let drawn = drawn(&ColorJitter { probability: 1.0, ..DINO }, 4800);
        let number = |order: [Adjustment; 4]| order.map(|a| a as usize);
        let mut orders: Vec<_> = drawn.iter().map(|jitter| number(jitter.order)).collect();
        orders.sort_unstable();
        let counts: Vec<_> = orders.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        assert_eq!(counts.len(), 24);
        assert!(counts.iter().all(|count| (140..260).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_strength_above_1_never_draws_a_negative_factor() {
        let strong = ColorJitter { probability: 1.0, brightness: 1.5, ..DINO };
        assert_covers(drawn(&strong, 4000).iter().map(|jitter| jitter.brightness), (0.0, 2.5));
    }

    #[test]
    fn other_channels_change_only_if_torchvision_defines_how() {
        let strong = Jitter {
            order: Adjustment::ALL,
            brightness: 1.5,
            contrast: 0.5,
            saturation: 0.0,
            hue: 0.3,
        };
        for channels in [2, 4, 5, 6] {
            let image = Image8::filled(3, 2, &[10, 40, 90, 160, 200, 30][..channels]);
            let mut changed = image.clone();
            apply(&strong, &mut changed);
            assert_eq!(changed, image);
        }
        // 1.5 x, cut off: 15, 60, 151, 255; mean 120.25; then half way to 120
        let mut gray = Image8::with_channels(4, 1, 1, vec![10, 40, 101, 200]).unwrap();
        apply(&strong, &mut gray);
        assert_eq!(gray.pixels(), [67, 90, 135, 187]);
    }

    /// The definition: clipped and truncated.
    #[test]
    fn all_bytes_are_blended_as_written() {
        let factors = [0.0, 0.3, 0.6, 0.999_999, 1.0, 1.1, 1.4, 2.5, 1e9];
        for (from, to) in (0..=255_u8).flat_map(|from| (0..=255_u8).map(move |to| (from, to))) {
            for factor in factors {
                let exact = f32::from(from) + factor * (f32::from(to) - f32::from(from));
                assert_eq!(blend(from, to, factor), exact.clamp(0.0, 255.0) as u8);
            }
        }
    }

    proptest! {
        #[test]
        fn strength_0_changes_nothing(pixels in prop::collection::vec(any::<u8>(), 30)) {
            let still = ColorJitter {
                probability: 1.0, brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0,
            };
            let image = Image8::new(5, 2, pixels).unwrap();
            let mut changed = image.clone();
            apply(&still.sample(&mut test_stream(0)).unwrap(), &mut changed);
            prop_assert_eq!(changed, image);
        }
    }
}
