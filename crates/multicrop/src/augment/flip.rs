//! Horizontal and vertical flips.

use rand::Rng;

use super::{chance, rotate90};
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

/// Reverses the order of the rows.
pub fn apply_vertical<T: Copy + Default>(planes: &mut Planes<T>) {
    let width = planes.width();
    planes.iter_mut().for_each(|plane| rotate90::flip_rows(plane, width));
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
    fn the_first_row_becomes_the_last_one() {
        let mut planes = Planes::from_image(&Image8::new(2, 2, (1..=12).collect()).unwrap());
        apply_vertical(&mut planes);
        assert_eq!(planes.to_image().pixels(), [7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6]);
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
