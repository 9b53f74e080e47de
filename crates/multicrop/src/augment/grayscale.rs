//! Colors replaced by their luma.

use rand::Rng;

use super::chance;
use crate::image::Image8;

/// Draws whether to remove the colors.
pub fn sample(probability: f64, rng: &mut impl Rng) -> bool {
    chance(probability, rng)
}

/// Sets all three channels to the luma.
pub fn apply(image: &mut Image8) {
    for color in image.colors_mut() {
        *color = [luma(*color); 3];
    }
}

/// Luma of ITU-R BT.601 in 16-bit fixed point, as Pillow's mode `L`.
///
/// ```text
/// L = (19595 R + 38470 G + 7471 B + 2¹⁵) >> 16
/// ```
pub fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    ((sum + (1 << 15)) >> 16) as u8
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
    fn all_channels_become_the_luma() {
        let mut image = Image8::new(3, 1, vec![255, 0, 0, 0, 255, 0, 0, 0, 255]).unwrap();
        apply(&mut image);
        assert_eq!(image.pixels(), [76, 76, 76, 150, 150, 150, 29, 29, 29]);
    }
}
