//! Which patches iBOT hides from the student.

use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_EPOCHS};
use super::{Data, Model};
use crate::error::Result;

/// Most ratios to choose from.
const MAX_RATIOS: usize = 1000;

/// Section `[masking]`, used by the methods that mask. Only global crops are masked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Masking {
    /// `block`, rectangles, or `random`, single patches.
    pub shape: MaskShape,
    /// Parts of the patches to mask; one of them is chosen for each crop.
    pub ratios: Vec<f64>,
    /// How far each ratio is varied up and down, one for each of them.
    pub spreads: Vec<f64>,
    /// Epochs before the first mask is drawn; the warm-up of `objective.patch_temp` starts with it.
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
    /// Values of each key alone, which hold for any method: these keys are written down by all.
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

    /// What holds where patches are masked.
    pub(super) fn check(&self, check: &Check<'_>, model: &Model, data: &Data) -> Result<()> {
        let spreads = format!("{:?}", self.spreads);
        let needed = format!("have one number for each of the {} ratios", self.ratios.len());
        let equal = self.ratios.len() == self.spreads.len();
        check.require(equal, "masking.spreads", &spreads, needed)?;
        for (&ratio, &spread) in self.ratios.iter().zip(&self.spreads) {
            let valid = spread <= ratio && ratio + spread <= 1.0;
            let needed = format!("keep the ratio {ratio} within 0 and 1, so be at most {ratio}");
            check.require(valid, "masking.spreads", &spreads, needed)?;
        }
        let side = data.global_size / model.patch_size.max(1);
        let fits = self.shape == MaskShape::Random || side >= 3;
        let needed = format!(
            "be 3 or more patches of {} pixels wide for masks of blocks, unless `masking.shape` is \
             `random`",
            model.patch_size
        );
        check.require(fits, "data.global_size", data.global_size, needed)
    }
}
