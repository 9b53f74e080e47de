//! Replaces colors by their luma.

use dispatch::kernel;
use rand::Rng;

use super::chance;
use crate::image::Image8;
use crate::planes::{DeepPlanes, Planes};

/// Draws whether to remove the colors.
pub fn sample(probability: f64, rng: &mut impl Rng) -> bool {
    chance(probability, rng)
}

/// Sets all three channels to the luma; does nothing if there are no colors.
pub fn apply(image: &mut Image8) {
    Planes::edit(image, apply_to);
}

/// As [`apply`], on planes.
pub fn apply_to(planes: &mut Planes) {
    if let Some([red, green, blue]) = planes.colors_mut() {
        remove_colors(red, green, blue);
    }
}

/// Sets all three channels of a deep image to the luma, without rounding.
pub fn apply_deep(planes: &mut DeepPlanes) {
    if let Some([red, green, blue]) = planes.colors_mut() {
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let gray = luma_of_floats([*red, *green, *blue]);
            (*red, *green, *blue) = (gray, gray, gray);
        }
    }
}

kernel! {
    /// Sets three planes of equal length to the luma.
    fn remove_colors(red: &mut [u8], green: &mut [u8], blue: &mut [u8]) {
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let gray = luma([*red, *green, *blue]);
            (*red, *green, *blue) = (gray, gray, gray);
        }
    }
}

/// Luma of ITU-R BT.601 in 16-bit fixed point, as in Pillow's mode `L`.
///
/// ```text
/// L = (19595 R + 38470 G + 7471 B + 2¹⁵) >> 16
/// ```
#[inline(always)]
pub fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    ((sum + (1 << 15)) >> 16) as u8
}

/// The luma of floats, with the weights of [`luma`], which sum to 1.
#[inline(always)]
pub fn luma_of_floats([red, green, blue]: [f32; 3]) -> f32 {
    const UNIT: f32 = 1.0 / 65_536.0;
    19_595.0 * UNIT * red + 38_470.0 * UNIT * green + 7_471.0 * UNIT * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gray_pixel_keeps_its_value() {
        for value in 0..=255 {
            assert_eq!(luma([value; 3]), value);
        }
    }

    #[test]
    fn without_colors_nothing_changes() {
        for channels in [1, 2, 4] {
            let image = Image8::with_channels(2, 1, channels, (0..2 * channels as u8).collect());
            let mut changed = image.clone().unwrap();
            apply(&mut changed);
            assert_eq!(Some(changed), image);
        }
    }

    #[test]
    fn all_channels_become_the_luma() {
        let mut image = Image8::new(3, 1, vec![255, 0, 0, 0, 255, 0, 0, 0, 255]).unwrap();
        apply(&mut image);
        assert_eq!(image.pixels(), [76, 76, 76, 150, 150, 150, 29, 29, 29]);
    }
}
