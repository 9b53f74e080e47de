//! Random erasing: a box of a normalized image becomes noise from N(0, 1), each value on its own.
//!
//! The box has 2 % to a third of the area and an aspect ratio between 0.3 and 1/0.3, whose logarithm is uniform. Ten
//! attempts are made to fit one inside the image.
//!
//! Source: Zhong et al., arXiv:1708.04896, as `RandomErasing` of timm in its mode `pixel`.

use multicrop::image::Rect;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

const AREA: (f64, f64) = (0.02, 1.0 / 3.0);
const ASPECT: f64 = 0.3;
const ATTEMPTS: usize = 10;

/// Draws a box in an image of this side; `None` if nothing is erased.
pub fn sample(probability: f64, side: u32, rng: &mut impl Rng) -> Option<Rect> {
    if rng.random::<f64>() >= probability {
        return None;
    }
    for _ in 0..ATTEMPTS {
        let area = f64::from(side).powi(2) * rng.random_range(AREA.0..AREA.1);
        let aspect = rng.random_range(ASPECT.ln()..-ASPECT.ln()).exp();
        let height = (area * aspect).sqrt().round_ties_even() as u32;
        let width = (area / aspect).sqrt().round_ties_even() as u32;
        if width < side && height < side {
            let (top, left) =
                (rng.random_range(0..=side - height), rng.random_range(0..=side - width));
            return Some(Rect { left, top, width, height });
        }
    }
    None
}

/// Fills the box with noise in all channels of an image, `[channels, side, side]`.
pub fn apply(erased: Rect, side: u32, rng: &mut impl Rng, image: &mut [f32]) {
    let [left, top, width, height, side] =
        [erased.left, erased.top, erased.width, erased.height, side].map(|x| x as usize);
    for plane in image.chunks_exact_mut(side * side) {
        for row in plane.chunks_exact_mut(side).skip(top).take(height) {
            row[left..left + width].iter_mut().for_each(|x| *x = StandardNormal.sample(rng));
        }
    }
}

#[cfg(test)]
mod tests {
    use streams::{Key, Purpose};

    use super::*;

    fn stream(i: u64) -> streams::Stream {
        Key::new(2, Purpose::Augment).index(i).open()
    }

    #[test]
    fn a_quarter_is_erased_and_boxes_have_the_areas_of_the_paper() {
        let boxes: Vec<Rect> =
            (0..4000).filter_map(|i| sample(0.25, 100, &mut stream(i))).collect();
        assert!(boxes.len().abs_diff(1000) < 110, "{}", boxes.len()); // four standard deviations
        for erased in boxes {
            assert!(erased.lies_inside(100, 100), "{erased:?}");
            let area = f64::from(erased.width * erased.height) / 10_000.0;
            assert!((0.018..0.345).contains(&area), "{erased:?}");
            let aspect = f64::from(erased.height) / f64::from(erased.width);
            assert!((0.27..3.7).contains(&aspect), "{erased:?}");
        }
        assert!((0..100).all(|i| sample(0.0, 100, &mut stream(i)).is_none()));
    }

    #[test]
    fn the_box_has_unit_noise_and_the_rest_stays() {
        let erased = Rect { left: 10, top: 20, width: 50, height: 60 };
        let mut image = vec![7.0; 3 * 100 * 100];
        apply(erased, 100, &mut stream(0), &mut image);
        let noise: Vec<f32> = image.iter().copied().filter(|x| *x != 7.0).collect();
        assert_eq!(noise.len(), 3 * 50 * 60);
        let square = noise.iter().map(|x| x * x).sum::<f32>() / noise.len() as f32;
        let mean = noise.iter().sum::<f32>() / noise.len() as f32;
        assert!((square - 1.0).abs() < 0.06 && mean.abs() < 0.05, "{square} {mean}");
        assert_eq!((image[20 * 100 + 9], image[19 * 100 + 10]), (7.0, 7.0));
    }
}
