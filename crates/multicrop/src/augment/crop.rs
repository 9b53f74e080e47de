//! Random crop boxes: random area, aspect ratio and position.

use rand::{Rng, RngExt};

use super::uniform;
use crate::image::Rect;

/// Number of attempts to draw a box that fits, before the largest centered box is used.
const ATTEMPTS: usize = 10;

/// Draws a box inside a `width` × `height` image. The same `rng` state gives the same box.
///
/// ```text
/// a = width · height · U(scale)          r = exp U(log aspect)
/// box = round √(a r) × round √(a / r)    at a uniform position
/// ```
///
/// Makes up to ten attempts. Each draws `a`, then `r`, and, if the box fits, its top and left. If
/// none fits, returns the largest centered box with an allowed aspect ratio. `scale` is a range of
/// fractions of the image's area, `aspect` a range of width / height. Rounds half to even.
///
/// # Source
/// `RandomResizedCrop.get_params` of torchvision 0.26. It draws the area and the logarithm in
/// single precision; this draws both in double precision.
pub fn sample(
    (width, height): (u32, u32),
    scale: (f64, f64),
    aspect: (f64, f64),
    rng: &mut impl Rng,
) -> Rect {
    let image_area = f64::from(width) * f64::from(height);
    let log_aspect = (aspect.0.ln(), aspect.1.ln());
    for _ in 0..ATTEMPTS {
        let area = image_area * uniform(scale, rng);
        let ratio = uniform(log_aspect, rng).exp();
        let box_width = (area * ratio).sqrt().round_ties_even() as u32;
        let box_height = (area / ratio).sqrt().round_ties_even() as u32;
        if (1..=width).contains(&box_width) && (1..=height).contains(&box_height) {
            let top = rng.random_range(0..=height - box_height);
            let left = rng.random_range(0..=width - box_width);
            return Rect { left, top, width: box_width, height: box_height };
        }
    }
    largest_centered(width, height, aspect)
}

/// The largest centered box with an allowed aspect ratio, at least one pixel wide and high.
fn largest_centered(width: u32, height: u32, aspect: (f64, f64)) -> Rect {
    let ratio = f64::from(width) / f64::from(height);
    let (mut box_width, mut box_height) = (width, height);
    if ratio < aspect.0 {
        box_height = (f64::from(width) / aspect.0).round_ties_even() as u32;
    } else if ratio > aspect.1 {
        box_width = (f64::from(height) * aspect.1).round_ties_even() as u32;
    }
    let (box_width, box_height) = (box_width.clamp(1, width), box_height.clamp(1, height));
    Rect {
        left: (width - box_width) / 2,
        top: (height - box_height) / 2,
        width: box_width,
        height: box_height,
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_stream;
    use super::*;
    use proptest::prelude::*;

    const ASPECT: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

    /// For a square image and less than half of the area, every first attempt fits.
    #[test]
    fn area_and_logarithm_of_the_aspect_are_uniform() {
        let boxes: Vec<_> = (0..4000)
            .map(|i| sample((400, 400), (0.1, 0.5), ASPECT, &mut test_stream(i)))
            .collect();
        let area = |b: &Rect| f64::from(b.width) * f64::from(b.height) / 160_000.0;
        let log_aspect = |b: &Rect| (f64::from(b.width) / f64::from(b.height)).ln();
        assert_uniform(boxes.iter().map(area).collect(), (0.1, 0.5));
        assert_uniform(boxes.iter().map(log_aspect).collect(), (ASPECT.0.ln(), ASPECT.1.ln()));
        let left = |b: &Rect| f64::from(b.left) / f64::from(400 - b.width);
        let top = |b: &Rect| f64::from(b.top) / f64::from(400 - b.height);
        assert_uniform(boxes.iter().map(left).collect(), (0.0, 1.0));
        assert_uniform(boxes.iter().map(top).collect(), (0.0, 1.0));
    }

    /// Kolmogorov–Smirnov: a larger distance than 1.63 / √n has probability 1 %; 0.005 allows for
    /// whole pixels.
    fn assert_uniform(mut values: Vec<f64>, (low, high): (f64, f64)) {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let expected = |value: f64| (value - low) / (high - low);
        let distance = |(i, value): (usize, &f64)| (expected(*value) - i as f64 / n).abs();
        let worst = values.iter().enumerate().map(distance).fold(0.0, f64::max);
        assert!(worst < 1.63 / n.sqrt() + 0.005, "distance {worst} from U({low}, {high})");
    }

    #[test]
    fn an_image_that_no_box_fits_gives_its_center() {
        let wide = sample((3000, 1), (0.9, 1.0), ASPECT, &mut test_stream(0));
        assert_eq!(wide, Rect { left: 1499, top: 0, width: 1, height: 1 });
        let high = sample((30, 90), (1.0, 1.0), ASPECT, &mut test_stream(0));
        assert_eq!(high, Rect { left: 0, top: 25, width: 30, height: 40 });
    }

    /// A box of the whole area fits a square image only if its aspect is 1 up to rounding, with a
    /// probability of 2 % in each attempt. The fallback is the whole image.
    #[test]
    fn ten_attempts_are_made_before_the_fallback() {
        let aspect = (0.5_f64, 2.0_f64);
        let whole = Rect { left: 0, top: 0, width: 40, height: 40 };
        for i in 0..200 {
            let mut rng = test_stream(i);
            let drawn = sample((40, 40), (1.0, 1.0), aspect, &mut rng);
            // the same draws, counted: each attempt takes two, a box that fits two more
            let mut counting = test_stream(i);
            let fits = |rng: &mut streams::Stream| {
                uniform((1.0, 1.0), rng);
                let ratio = uniform((aspect.0.ln(), aspect.1.ln()), rng).exp();
                let side = |part: f64| (1600.0 * part).sqrt().round_ties_even() as u32;
                side(ratio) == 40 && side(1.0 / ratio) == 40
            };
            let fitted = (0..10).any(|_| fits(&mut counting));
            assert_eq!(drawn, whole);
            if !fitted {
                assert_eq!(rng.random::<u64>(), counting.random::<u64>(), "draws of {i}");
            }
        }
    }

    proptest! {
        #[test]
        fn boxes_lie_inside_any_image(
            (width, height) in (1_u32..3001, 1_u32..3001),
            (scale, aspect) in ((0.0..1.0, 0.0..1.0), (0.01..100.0, 0.01..100.0)),
            index in any::<u64>(),
        ) {
            let sort = |(a, b): (f64, f64)| (a.min(b), a.max(b));
            let drawn = |(width, height)| {
                sample((width, height), sort(scale), sort(aspect), &mut test_stream(index))
            };
            for size in [(width, height), (1, height), (width, 1), (1, 1)] {
                prop_assert!(drawn(size).lies_inside(size.0, size.1));
                prop_assert_eq!(drawn(size), drawn(size));
            }
        }
    }
}
