//! Inversion of the bright values.

use dispatch::kernel;
use rand::Rng;

use super::chance;
use crate::image::Image8;
use crate::planes::Planes;

/// The darkest value that is inverted.
pub const THRESHOLD: u8 = 128;

/// Draws whether to solarize.
pub fn sample(probability: f64, rng: &mut impl Rng) -> bool {
    chance(probability, rng)
}

/// `x → 255 − x` for each value `x ≥ 128` of each channel.
pub fn apply(image: &mut Image8) {
    invert_bright(image.pixels_mut());
}

/// [`apply`], to planes.
pub fn apply_to(planes: &mut Planes) {
    invert_bright(planes.values_mut());
}

kernel! {
    fn invert_bright(values: &mut [u8]) {
        for value in values {
            *value = if *value < THRESHOLD { *value } else { 255 - *value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_128_on_are_inverted() {
        let mut image = Image8::new(2, 1, vec![0, 1, 127, 128, 254, 255]).unwrap();
        apply(&mut image);
        assert_eq!(image.pixels(), [0, 1, 127, 127, 1, 0]);
    }
}
