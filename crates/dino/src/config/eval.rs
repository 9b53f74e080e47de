//! `[eval]`: evaluations during training.

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

/// An evaluation that runs during training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum During {
    /// k-NN.
    Knn,
    /// Linear classifiers by SGD.
    Linear,
    /// Logistic regression.
    Logistic,
    /// Logistic regression on few images of each class.
    Fewshot,
}

impl During {
    /// Its name, which is that of its probe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Knn => "knn",
            Self::Linear => "linear",
            Self::Logistic => "logistic",
            Self::Fewshot => "fewshot",
        }
    }
}

/// Evaluations of frozen features of the teacher during training. They change nothing of the training. The
/// untrained network is measured once for comparison, and raw pixels by k-NN.
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
    /// Which evaluations: `knn`, `linear`, `logistic`, `fewshot`. They share one forward pass. The others than
    /// `knn` are short forms of the tasks of `eval`: `linear` trains 10 epochs at 10 rates, `logistic` tries 12
    /// strengths, `fewshot` takes 1, 2 and 5 images of each class.
    pub during: Vec<During>,
    /// Keep the checkpoint that this evaluation, one of `eval.during`, found best, beside the newest ones;
    /// `RUN@best` opens it. `none` keeps none: a checkpoint that is chosen on test images looks a little better
    /// than it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_best: Option<During>,
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
    /// Use at most this many images of `eval.train` during training, the same ones in every run; `none` uses
    /// all. Commands such as `eval knn` use all. 10000 are enough to compare runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_train: Option<usize>,
    /// Use at most this many images of `eval.test` during training, the same ones in every run; `none` uses
    /// all. Commands such as `eval knn` use all. With 2000 an accuracy is certain to about 1 percent.
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
            during: vec![During::Knn],
            keep_best: None,
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
    fn check_during(&self, check: &Check<'_>) -> Result<()> {
        let names: Vec<_> = self.during.iter().map(|during| during.name()).collect();
        let found = format!("{names:?}");
        let needed = "name at least one of `knn`, `linear`, `logistic` and `fewshot`; to evaluate nothing, set \
                      `eval.train=none`";
        check.require(!names.is_empty(), "eval.during", &found, needed)?;
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let is_twice = sorted.windows(2).any(|pair| pair[0] == pair[1]);
        check.require(!is_twice, "eval.during", found, "name each evaluation once")?;
        let Some(best) = self.keep_best else { return Ok(()) };
        let needed = format!("be one of `eval.during`, which is {names:?}");
        check.require(self.during.contains(&best), "eval.keep_best", best.name(), needed)
    }

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
        self.check_during(check)?;
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
