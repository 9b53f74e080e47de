//! Horizontal flip.

use rand::Rng;

use super::chance;
use crate::image::Image8;
use crate::planes::Planes;

/// Draws whether to flip.
pub fn sample(probability: f64, rng: &mut impl Rng) -> bool {
    chance(probability, rng)
}

/// Reverses every row.
///
/// Crops do not need this: they are flipped while they are [resized](crate::resize::Resize::flip),
/// at no cost.
pub fn apply(image: &mut Image8) {
    let width = image.width() as usize;
    let flip = |planes: &mut Planes| {
        planes.values_mut().chunks_exact_mut(width).for_each(<[u8]>::reverse);
    };
    Planes::edit(image, flip);
}

#[cfg(test)]
mod tests {
    use super::super::test_stream;
    use super::*;

    #[test]
    fn rows_are_reversed_and_colors_kept_together() {
        let mut image = Image8::new(2, 2, (1..=12).collect()).unwrap();
        apply(&mut image);
        assert_eq!(image.pixels(), [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
    }

    #[test]
    fn a_third_is_flipped_at_probability_a_third() {
        let flipped = (0..6000).filter(|&i| sample(1.0 / 3.0, &mut test_stream(i))).count();
        // four standard deviations of the binomial, √(6000 · 2/9) = 36.5
        assert!(flipped.abs_diff(2000) < 146, "{flipped}");
    }

    #[test]
    fn probability_0_never_flips_and_1_always_does() {
        for i in 0..100 {
            assert!(!sample(0.0, &mut test_stream(i)) && sample(1.0, &mut test_stream(i)));
        }
    }
}
