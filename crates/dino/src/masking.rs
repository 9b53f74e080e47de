//! [`Masks`] draws which patches of a global crop iBOT hides from the student.
//!
//! ```text
//! ratio    one of `ratios`, each moved by a uniform number in ± its spread
//! block    rectangles until ratio · h · w patches are masked, or ten tries in a row fail
//!            area    uniform between ⌊min(h, w) / 3⌋² and the number still missing
//!            shape   height / width, log-uniform in [0.3, 1 / 0.3]
//!            place   uniform; smaller than the grid in both directions; at least one new patch, and
//!                    no more than are missing
//! random   ⌊ratio · h · w⌋ patches anywhere
//! ```
//!
//! A pure function of (seed, epoch, image, crop): neither threads nor a restart change a mask.
//!
//! Source: Zhou et al., *iBOT*, arXiv:2111.07832, and the block masks of BEiT, arXiv:2106.08254.

use multicrop::recipe::GLOBAL_CROPS;
use rand::{Rng, RngExt};
use streams::{Key, Purpose};

use crate::config::{Config, MaskShape, Masking};

/// Smallest height / width of a block; the largest is its inverse.
const ASPECT: f64 = 0.3;
/// Tries for a block before a mask is left as it is.
const TRIES: usize = 10;

/// Draws the masks of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Masks {
    /// Shape, ratios and the first epoch with masks.
    pub settings: Masking,
    /// The run's seed.
    pub seed: u64,
    /// Height and width of a crop, in patches.
    pub grid: (usize, usize),
    /// Crops of an image that are masked, from the first one on.
    pub crops: usize,
}

impl Masks {
    /// Those of the global crops; `None` for methods that do not mask.
    pub fn of(config: &Config) -> Option<Self> {
        let side = config.data.global_size / config.model.patch_size;
        config.objective.method.masks().then(|| Self {
            settings: config.masking.clone(),
            seed: config.seed,
            grid: (side, side),
            crops: GLOBAL_CROPS,
        })
    }

    /// The masks of these images, `[crops, images, h · w]`; `true` hides a patch.
    pub fn draw(&self, epoch: u64, images: &[usize]) -> Vec<bool> {
        let patches = self.grid.0 * self.grid.1;
        let mut masks = Vec::with_capacity(self.crops * images.len() * patches);
        for crop in 0..self.crops {
            for &image in images {
                let key = Key::new(self.seed, Purpose::Mask).time(epoch);
                let mut rng = key.index(image as u64).part(crop as u32).open();
                masks.extend(self.draw_one(epoch, &mut rng));
            }
        }
        masks
    }

    /// The mask of one crop, `[h · w]`.
    fn draw_one(&self, epoch: u64, rng: &mut impl Rng) -> Vec<bool> {
        let (h, w) = self.grid;
        if epoch < self.settings.start_epoch {
            return vec![false; h * w];
        }
        let ratio = self.draw_ratio(rng);
        match self.settings.shape {
            MaskShape::Block => blocks((h, w), ratio, rng),
            MaskShape::Random => scattered(h * w, ratio, rng),
        }
    }

    fn draw_ratio(&self, rng: &mut impl Rng) -> f64 {
        let Masking { ratios, spreads, .. } = &self.settings;
        let chosen = rng.random_range(0..ratios.len());
        let (ratio, spread) = (ratios[chosen], spreads[chosen]);
        if spread > 0.0 { rng.random_range(ratio - spread..=ratio + spread) } else { ratio }
    }
}

fn blocks((h, w): (usize, usize), ratio: f64, rng: &mut impl Rng) -> Vec<bool> {
    let mut mask = vec![false; h * w];
    let target = ratio * (h * w) as f64;
    let mut count = 0;
    while (count as f64) < target {
        let missing = target - count as f64;
        let gained = (0..TRIES).find_map(|_| add_block(&mut mask, (h, w), missing, rng));
        match gained {
            Some(gained) => count += gained,
            None => break,
        }
    }
    mask
}

/// Tries to mask one more block of at most `missing` patches; returns how many were new.
fn add_block(
    mask: &mut [bool],
    (h, w): (usize, usize),
    missing: f64,
    rng: &mut impl Rng,
) -> Option<usize> {
    let smallest = (h.min(w) / 3).pow(2) as f64;
    let area = rng.random_range(smallest.min(missing)..=smallest.max(missing));
    let shape = rng.random_range(ASPECT.ln()..=-ASPECT.ln()).exp();
    let side = |length: f64| length.sqrt().round_ties_even() as usize;
    let (height, width) = (side(area * shape), side(area / shape));
    if height >= h || width >= w {
        return None;
    }
    let (top, left) = (rng.random_range(0..=h - height), rng.random_range(0..=w - width));
    let inside = || (top..top + height).flat_map(|y| (left..left + width).map(move |x| y * w + x));
    let new = inside().filter(|&patch| !mask[patch]).count();
    if new == 0 || new as f64 > missing {
        return None;
    }
    inside().for_each(|patch| mask[patch] = true);
    Some(new)
}

fn scattered(patches: usize, ratio: f64, rng: &mut impl Rng) -> Vec<bool> {
    let mut mask = vec![false; patches];
    let count = (ratio * patches as f64) as usize;
    rand::seq::index::sample(rng, patches, count).into_iter().for_each(|i| mask[i] = true);
    mask
}
