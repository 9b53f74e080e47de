//! Rotation of a square crop by quarters of a turn, which moves pixels and changes none.

use rand::{Rng, RngExt};

use super::chance;
use crate::planes::Planes;

/// Draws the number of quarter turns against the clock: 0, or 1, 2 and 3 with the same probability.
/// Two draws, even if the first one decides.
pub fn sample(probability: f64, rng: &mut impl Rng) -> u8 {
    let turned = chance(probability, rng);
    let quarters = 1 + (3.0 * rng.random::<f64>()) as u8;
    if turned { quarters } else { 0 }
}

/// Turns a square image by this many quarters against the clock, as `numpy.rot90` and Pillow's
/// `ROTATE_90` do.
///
/// # Panics
/// If the image is not square.
pub fn apply_to<T: Copy + Default>(planes: &mut Planes<T>, quarters: u8) {
    let side = planes.width();
    assert_eq!(side, planes.height(), "only squares keep their shape");
    for plane in planes.iter_mut() {
        match quarters % 4 {
            0 => {}
            1 => {
                transpose(plane, side);
                flip_rows(plane, side);
            }
            2 => plane.reverse(),
            _ => {
                transpose(plane, side);
                plane.chunks_exact_mut(side).for_each(<[T]>::reverse);
            }
        }
    }
}

fn transpose<T>(plane: &mut [T], side: usize) {
    for y in 0..side {
        for x in y + 1..side {
            plane.swap(y * side + x, x * side + y);
        }
    }
}

/// Reverses the order of the rows.
pub(super) fn flip_rows<T>(plane: &mut [T], width: usize) {
    plane.reverse();
    plane.chunks_exact_mut(width).for_each(<[T]>::reverse);
}

#[cfg(test)]
mod tests {
    use super::super::test_stream;
    use super::*;
    use crate::image::Image8;

    fn turned(quarters: u8) -> Vec<u8> {
        // 1 2 3 / 4 5 6 / 7 8 9
        let image = Image8::with_channels(3, 3, 1, (1..=9).collect()).unwrap();
        let mut planes = Planes::from_image(&image);
        apply_to(&mut planes, quarters);
        planes.values().to_vec()
    }

    /// The values of `numpy.rot90(m, k)`.
    #[test]
    fn quarters_go_against_the_clock() {
        assert_eq!(turned(0), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(turned(1), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
        assert_eq!(turned(2), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(turned(3), [7, 4, 1, 8, 5, 2, 9, 6, 3]);
    }

    #[test]
    fn channels_stay_together_and_floats_turn_as_bytes_do() {
        let image = Image8::new(2, 2, (1..=12).collect()).unwrap();
        let mut planes = Planes::from_image(&image);
        apply_to(&mut planes, 1);
        assert_eq!(planes.to_image().pixels(), [4, 5, 6, 10, 11, 12, 1, 2, 3, 7, 8, 9]);
        let mut deep = Planes::<f32>::default();
        deep.reset(2, 2, 1);
        deep.values_mut().copy_from_slice(&[0.1, 0.2, 0.3, 0.4]);
        apply_to(&mut deep, 3);
        assert_eq!(deep.values(), [0.3, 0.1, 0.4, 0.2]);
    }

    #[test]
    fn each_turn_is_as_likely_as_the_others() {
        let mut counts = [0_usize; 4];
        (0..8000).for_each(|i| counts[usize::from(sample(0.75, &mut test_stream(i)))] += 1);
        // four standard deviations of the binomial, √(8000 · 3/16) = 38.7
        assert!(counts.iter().all(|count| count.abs_diff(2000) < 155), "{counts:?}");
        assert!((0..100).all(|i| sample(0.0, &mut test_stream(i)) == 0));
        assert!((0..100).all(|i| sample(1.0, &mut test_stream(i)) > 0));
    }
}
