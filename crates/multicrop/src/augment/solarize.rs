//! Solarization: inverts bright values.

use dispatch::kernel;
use rand::Rng;

use super::chance;
use crate::image::Image8;
use crate::planes::{DeepPlanes, Planes};

/// The threshold of the reference.
pub const THRESHOLD: u32 = 128;

/// Draws whether to solarize.
pub fn sample(probability: f64, rng: &mut impl Rng) -> bool {
    chance(probability, rng)
}

/// `x → 255 − x` for each value `x ≥ threshold` of each channel; a threshold of 256 changes
/// nothing.
pub fn apply(image: &mut Image8, threshold: u32) {
    invert(image.pixels_mut(), threshold);
}

/// As [`apply`], on planes.
pub fn apply_to(planes: &mut Planes, threshold: u32) {
    invert(planes.values_mut(), threshold);
}

/// `x → 1 − x` for each value `255 x ≥ threshold` of each channel of a deep image, so that a threshold
/// means the same brightness as for bytes.
pub fn apply_deep(planes: &mut DeepPlanes, threshold: u32) {
    invert_bright_floats(planes.values_mut(), threshold as f32);
}

fn invert(values: &mut [u8], threshold: u32) {
    if let Ok(threshold) = u8::try_from(threshold) {
        invert_bright(values, threshold);
    }
}

kernel! {
    fn invert_bright(values: &mut [u8], threshold: u8) {
        for value in values {
            *value = if *value < threshold { *value } else { 255 - *value };
        }
    }
}

kernel! {
    fn invert_bright_floats(values: &mut [f32], threshold: f32) {
        for value in values {
            *value = if 255.0 * *value < threshold { *value } else { 1.0 - *value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_the_threshold_on_are_inverted() {
        let solarized = |threshold| {
            let mut image = Image8::new(2, 1, vec![0, 1, 127, 128, 254, 255]).unwrap();
            apply(&mut image, threshold);
            image.pixels().to_vec()
        };
        assert_eq!(solarized(THRESHOLD), [0, 1, 127, 127, 1, 0]);
        assert_eq!(solarized(0), [255, 254, 128, 127, 1, 0]);
        assert_eq!(solarized(255), [0, 1, 127, 128, 254, 0]);
        assert_eq!(solarized(256), [0, 1, 127, 128, 254, 255]);
    }

    #[test]
    fn floats_from_the_same_brightness_on_are_inverted() {
        let image = crate::image::DeepImage::with_channels(4, 1, 1, vec![0.0, 0.5, 0.502, 1.0]);
        let mut planes = DeepPlanes::from_image(&image.unwrap());
        apply_deep(&mut planes, 256);
        assert_eq!(planes.values(), [0.0, 0.5, 0.502, 1.0]);
        apply_deep(&mut planes, THRESHOLD);
        assert_eq!(planes.values(), [0.0, 0.5, 1.0 - 0.502, 0.0]);
    }
}
