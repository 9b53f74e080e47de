//! k-NN during training.

use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_EPOCHS};
use super::model::{MAX_SIDE, check_multiple};
use crate::error::Result;

/// Most numbers of neighbors, most images of a set, and most of them in one forward pass.
const MAX_KS: usize = 1000;
const MAX_IMAGES: usize = 1_000_000_000;
const MAX_BATCH: usize = 1 << 16;
/// Temperatures with which the votes, exponentials of cosines over them, stay finite.
const TEMPERATURES: [f64; 2] = [2e-3, 1e3];

/// Section `[eval]`: k-NN by the official protocol on frozen features of the teacher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eval {
    /// Labelled images whose neighbors vote; without it and `test` nothing is evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<String>,
    /// Labelled images that are classified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Epochs between evaluations; 0 evaluates only at the end.
    pub every_epochs: u64,
    /// Numbers of neighbors that vote; the summary has 20, or the largest.
    pub k: Vec<usize>,
    /// Temperature of the votes.
    pub temperature: f64,
    /// Length of the shorter side after resizing; without it images keep their size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// Side of the central crop; without it the whole image is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Images in one forward pass.
    pub batch_size: usize,
    /// At most this many images of `train`, the first ones of a fixed order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_train: Option<usize>,
    /// At most this many images of `test`, the first ones of a fixed order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_test: Option<usize>,
}

impl Default for Eval {
    fn default() -> Self {
        Self {
            train: None,
            test: None,
            every_epochs: 0,
            k: vec![10, 20],
            temperature: 0.07,
            resize: None,
            crop: None,
            batch_size: 64,
            max_train: None,
            max_test: None,
        }
    }
}

impl Eval {
    pub(super) fn check(&self, check: &Check<'_>, patch_size: usize) -> Result<()> {
        for (key, given, other) in
            [("eval.train", &self.train, &self.test), ("eval.test", &self.test, &self.train)]
        {
            let alone = given.is_some() && other.is_none();
            let found = given.as_deref().unwrap_or_default();
            let needed = "come with `eval.train` and `eval.test` both";
            check.require(!alone, key, format!("{found:?}"), needed)?;
        }
        let found = format!("{:?}", self.k);
        let holds = !self.k.is_empty() && self.k.iter().all(|k| *k > 0);
        check.require(holds, "eval.k", &found, "list numbers from 1 on")?;
        let holds = self.k.len() <= MAX_KS && self.k.iter().all(|k| *k <= MAX_IMAGES);
        let needed = format!("list at most {MAX_KS} numbers up to {MAX_IMAGES}");
        check.require(holds, "eval.k", found, needed)?;
        check.positive("eval.temperature", self.temperature, TEMPERATURES)?;
        check.at_most("eval.every_epochs", self.every_epochs, MAX_EPOCHS as u64)?;
        if let Some(crop) = self.crop {
            check_multiple(check, "eval.crop", crop, patch_size)?;
        }
        if let Some(resize) = self.resize {
            let needed = "be at least `eval.crop`, and 1";
            check.require(resize >= self.crop.unwrap_or(1), "eval.resize", resize, needed)?;
            check.count("eval.resize", resize, MAX_SIDE)?;
        }
        check.count("eval.batch_size", self.batch_size, MAX_BATCH)?;
        check.count("eval.max_train", self.max_train.unwrap_or(1), MAX_IMAGES)?;
        check.count("eval.max_test", self.max_test.unwrap_or(1), MAX_IMAGES)
    }
}
