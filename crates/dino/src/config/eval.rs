//! `[eval]`: k-NN during training.

use probe::knn;
use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_EPOCHS, MAX_SIDE};
use super::error::Result;

/// Most values of k, most images of a set, and most of them in one forward pass.
const MAX_KS: usize = 1000;
const MAX_IMAGES: usize = 1_000_000_000;
const MAX_BATCH: usize = 1 << 16;
/// Temperatures with which the votes, exponentials of cosines over them, stay finite.
const TEMPERATURES: [f64; 2] = [2e-3, 1e3];

/// k-NN on frozen features of the teacher during training, by DINO's protocol. It changes nothing of the
/// training. Raw pixels and the untrained network are measured once, for comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eval {
    /// Labelled images whose neighbors vote; a source as `data.source`. Comes with `eval.test`; without
    /// both nothing is evaluated. If a preset names its own images and the run has others, the parts
    /// `:train` and `:test` of `data.source` take their place where they have labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<String>,
    /// Labelled images that are classified, with the classes of `eval.train`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Epochs between evaluations; 0 evaluates only at the end. An evaluation takes a forward pass over all
    /// its images.
    pub every_epochs: u64,
    /// Numbers of neighbors that vote, k. The summary shows 20 if it is among them, else the largest.
    pub k: Vec<usize>,
    /// Temperature of the votes: a neighbor of cosine c votes with the weight exp(c / temperature).
    pub temperature: f64,
    /// Length of the shorter side after resizing, in pixels; `none` keeps the size of the images. 256 with
    /// a crop of 224 is DINO's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// Side of the central crop in pixels, a multiple of `model.patch_size`; `none` takes the largest
    /// square of the first image that patches fill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Images in one forward pass. Larger batches are a little faster and need more memory.
    pub batch_size: usize,
    /// Use at most this many images of `eval.train`, the same ones in every run; `none` uses all. 10000 are
    /// enough to compare runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_train: Option<usize>,
    /// Use at most this many images of `eval.test`, the same ones in every run; `none` uses all. With 2000
    /// an accuracy is certain to about 1 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_test: Option<usize>,
}

impl Default for Eval {
    fn default() -> Self {
        let knn::Settings { k, temperature } = knn::Settings::default();
        Self {
            train: None,
            test: None,
            every_epochs: 0,
            k,
            temperature,
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
        for (key, given, missing, other) in [
            ("eval.train", &self.train, "eval.test", &self.test),
            ("eval.test", &self.test, "eval.train", &self.train),
        ] {
            let alone = given.is_some() && other.is_none();
            let found = format!("{:?}", given.as_deref().unwrap_or_default());
            let needed = format!(
                "come with `{missing}`, which is missing: give it by `--set {missing}=SOURCE`, or \
                 evaluate nothing by `--set {key}=none`"
            );
            check.require(!alone, key, found, needed)?;
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
            check.multiple("eval.crop", crop, patch_size)?;
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
