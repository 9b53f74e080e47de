//! Mixup and CutMix of a batch: image `i` is mixed with image `n − 1 − i`, all of them by the same share.
//!
//! ```text
//! mixup    x_i ← λ x_i + (1 − λ) x_j                   λ ~ Beta(α, α)
//! CutMix   x_i ← x_j inside a box of area 1 − λ        λ ← 1 − area of the box after it is cut at the border
//! ```
//!
//! With both, each batch takes one of them with probability ½.
//!
//! Source: `Mixup` of timm in its mode `batch`; CutMix with a square box of side `√(1 − λ)`, in units of the image's
//! side, around a center that is uniform in the image.

use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

/// Which images are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mixing {
    /// α of mixup; 0 turns it off.
    pub mixup: f64,
    /// α of CutMix; 0 turns it off.
    pub cutmix: f64,
}

/// How the images of one batch are mixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mix {
    /// Not at all.
    None,
    /// By mixup: the share of the own image.
    Mixup(f64),
    /// By CutMix: rows `top..bottom` and columns `left..right` come from the other image.
    CutMix {
        /// First row.
        top: usize,
        /// The row after the last one.
        bottom: usize,
        /// First column.
        left: usize,
        /// The column after the last one.
        right: usize,
        /// Side of the images, in pixels.
        side: usize,
    },
}

impl Mixing {
    /// Nothing is mixed.
    pub const OFF: Self = Self { mixup: 0.0, cutmix: 0.0 };

    /// Draws for a batch of images with this side.
    pub fn draw(&self, side: usize, rng: &mut impl Rng) -> Mix {
        let Self { mixup, cutmix } = *self;
        let cuts = match (mixup > 0.0, cutmix > 0.0) {
            (false, false) => return Mix::None,
            (true, true) => rng.random::<f64>() < 0.5,
            (_, cuts) => cuts,
        };
        let alpha = if cuts { cutmix } else { mixup };
        // Only an α that `Settings::validate` refuses gives no distribution.
        let share = Beta::new(alpha, alpha).map_or(1.0, |beta| beta.sample(rng));
        if !cuts {
            return Mix::Mixup(share);
        }
        let half = ((side as f64 * (1.0 - share).sqrt()) as usize) / 2;
        let mut span = || {
            let center = rng.random_range(0..side.max(1));
            (center.saturating_sub(half), (center + half).min(side))
        };
        let ((top, bottom), (left, right)) = (span(), span());
        Mix::CutMix { top, bottom, left, right, side }
    }
}

impl Mix {
    /// The share of the own image in the target.
    pub fn share(&self) -> f64 {
        match *self {
            Self::None => 1.0,
            Self::Mixup(share) => share,
            Self::CutMix { top, bottom, left, right, side } => {
                1.0 - ((bottom - top) * (right - left)) as f64 / (side * side) as f64
            }
        }
    }

    /// Mixes the images, `[images, channels, side, side]`.
    pub fn apply(&self, pixels: &mut [f32], images: usize) {
        let len = pixels.len() / images.max(1);
        for i in 0..images / 2 {
            let (before, after) = pixels.split_at_mut((images - 1 - i) * len);
            self.mix(&mut before[i * len..][..len], &mut after[..len]);
        }
    }

    /// Mixes two images with each other.
    fn mix(&self, a: &mut [f32], b: &mut [f32]) {
        match *self {
            Self::None => {}
            Self::Mixup(share) => {
                let (own, other) = (share as f32, (1.0 - share) as f32);
                for (a, b) in a.iter_mut().zip(b) {
                    (*a, *b) = (own * *a + other * *b, own * *b + other * *a);
                }
            }
            Self::CutMix { top, bottom, left, right, side } => {
                let planes = a.chunks_exact_mut(side * side).zip(b.chunks_exact_mut(side * side));
                for (a, b) in planes {
                    for row in top..bottom {
                        let row = row * side + left..row * side + right;
                        a[row.clone()].swap_with_slice(&mut b[row]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use streams::{Key, Purpose};

    use super::*;

    fn draws(mixing: Mixing, side: usize) -> Vec<Mix> {
        (0..4000)
            .map(|i| mixing.draw(side, &mut Key::new(1, Purpose::Mix).time(i).open()))
            .collect()
    }

    fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
        values.clone().sum::<f64>() / values.count() as f64
    }

    #[test]
    fn mixup_is_the_convex_sum_and_the_middle_image_stays() {
        let mut pixels = vec![0.0, 1.0, 2.0];
        Mix::Mixup(0.75).apply(&mut pixels, 3);
        assert_eq!(pixels, [0.5, 1.0, 1.5]);
    }

    #[test]
    fn cutmix_swaps_a_box_in_all_channels() {
        let cut = Mix::CutMix { top: 0, bottom: 1, left: 1, right: 3, side: 3 };
        let mut pixels: Vec<f32> = (0..2).flat_map(|image| [image as f32; 18]).collect();
        cut.apply(&mut pixels, 2);
        let plane = |own: f32| [own, 1.0 - own, 1.0 - own, own, own, own, own, own, own];
        let expected: Vec<f32> = [0.0, 0.0, 1.0, 1.0].into_iter().flat_map(plane).collect();
        assert_eq!(pixels, expected);
        assert!((cut.share() - 7.0 / 9.0).abs() < 1e-12);
    }

    /// Beta(α, α) has the mean ½ and the variance 1 / (4 (2 α + 1)).
    #[test]
    fn shares_have_the_moments_of_the_beta_distribution() {
        for alpha in [0.8, 1.0, 4.0] {
            let shares =
                draws(Mixing { mixup: alpha, cutmix: 0.0 }, 8).into_iter().map(|mix| mix.share());
            let (first, variance) = (mean(shares.clone()), 1.0 / (4.0 * (2.0 * alpha + 1.0)));
            let second = mean(shares.map(|share| (share - first).powi(2)));
            assert!(
                (first - 0.5).abs() < 4.0 * (variance / 4000.0).sqrt(),
                "{alpha}: mean {first}"
            );
            assert!((second / variance - 1.0).abs() < 0.1, "{alpha}: variance {second}");
        }
    }

    #[test]
    fn both_methods_come_equally_often_and_boxes_lie_inside() {
        let drawn = draws(Mixing { mixup: 0.8, cutmix: 1.0 }, 7);
        let cuts = drawn.iter().filter(|mix| matches!(mix, Mix::CutMix { .. })).count();
        assert!(cuts.abs_diff(2000) < 127, "{cuts}"); // four standard deviations
        for mix in drawn {
            assert!((0.0..=1.0).contains(&mix.share()), "{mix:?}");
            if let Mix::CutMix { top, bottom, left, right, .. } = mix {
                assert!(top <= bottom && bottom <= 7 && left <= right && right <= 7, "{mix:?}");
            }
        }
        assert!(draws(Mixing::OFF, 7).iter().all(|mix| *mix == Mix::None));
    }
}
