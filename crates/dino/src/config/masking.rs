//! `[masking]`: which patches iBOT hides from the student.

use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_EPOCHS};
use super::error::Result;

/// Most ratios to choose from.
const MAX_RATIOS: usize = 1000;

/// Which patches of the global crops are hidden from the student. Used by the methods that mask, `ibot`
/// and `ibot-vmf`; the defaults leave half of the crops whole and hide 10 to 50 % of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Masking {
    /// `block` hides rectangles, `random` single patches. Rectangles are harder to fill in from their
    /// neighbors; they need global crops of at least 3 by 3 patches.
    pub shape: MaskShape,
    /// Fractions of the patches to hide. One of them is chosen for each crop, all with the same
    /// probability; 0 leaves a crop whole.
    pub ratios: Vec<f64>,
    /// How far each ratio varies up and down, one value for each of `masking.ratios`; at most the ratio.
    pub spreads: Vec<f64>,
    /// Epochs before the first mask. The warm-up of `objective.patch_temp` starts with it. Start later if
    /// a small network learns to fill in patches before it learns about images.
    pub start_epoch: u64,
}

/// How the masked patches of a crop lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskShape {
    /// In rectangles.
    #[default]
    Block,
    /// Anywhere.
    Random,
}

/// The official recipe: half of the crops stay whole, the others lose 10 to 50 % of their patches.
impl Default for Masking {
    fn default() -> Self {
        Self {
            shape: MaskShape::Block,
            ratios: vec![0.0, 0.3],
            spreads: vec![0.0, 0.2],
            start_epoch: 0,
        }
    }
}

impl Masking {
    /// Checks each key alone. It holds for any method: a configuration always has these keys.
    pub(super) fn check_values(&self, check: &Check<'_>) -> Result<()> {
        let (ratios, spreads) = (format!("{:?}", self.ratios), format!("{:?}", self.spreads));
        check.require(!self.ratios.is_empty(), "masking.ratios", &ratios, "name a ratio")?;
        check.count("masking.ratios", self.ratios.len(), MAX_RATIOS)?;
        let valid = self.ratios.iter().all(|ratio| (0.0..1.0).contains(ratio));
        check.require(valid, "masking.ratios", &ratios, "hold numbers from 0 to below 1")?;
        let valid = self.spreads.iter().all(|spread| (0.0..=1.0).contains(spread));
        check.require(valid, "masking.spreads", &spreads, "hold numbers from 0 to 1")?;
        check.at_most("masking.start_epoch", self.start_epoch, MAX_EPOCHS as u64)
    }

    /// Checks what a method that masks needs, for global crops of `global_size` pixels.
    pub(super) fn check(
        &self,
        check: &Check<'_>,
        global_size: usize,
        patch_size: usize,
    ) -> Result<()> {
        let spreads = format!("{:?}", self.spreads);
        let needed = format!("have one number for each of the {} ratios", self.ratios.len());
        let equal = self.ratios.len() == self.spreads.len();
        check.require(equal, "masking.spreads", &spreads, needed)?;
        for (&ratio, &spread) in self.ratios.iter().zip(&self.spreads) {
            let valid = spread <= ratio && ratio + spread <= 1.0;
            let needed = format!("keep the ratio {ratio} within 0 and 1, so be at most {ratio}");
            check.require(valid, "masking.spreads", &spreads, needed)?;
        }
        let side = global_size / patch_size.max(1);
        let fits = self.shape == MaskShape::Random || side >= 3;
        let needed = format!(
            "be 3 or more patches of {patch_size} pixels wide for masks of blocks, unless \
             `masking.shape` is `random`"
        );
        check.require(fits, "data.global_size", global_size, needed)
    }
}
