//! The data sets that are measured: how they are written down, and opened.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use dino::config::Config;
use dino::open::Opened;
use report::number::counted;
use serde::Deserialize;

use super::images::{Images, Parts};
use super::known::{Known, Metric};
use super::require_sources;

/// A data set, as it is written down.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Its name; that of a standard data set decides measure and size.
    pub(super) name: String,
    /// A source with parts, in place of `train`, `val` and `test`.
    pub(super) data: Option<String>,
    /// Labelled images to learn from.
    pub(super) train: Option<String>,
    /// Labelled images on which the weight decay is chosen.
    pub(super) val: Option<String>,
    /// Labelled images to classify.
    pub(super) test: Option<String>,
    /// What is measured.
    pub(super) metric: Option<Metric>,
    /// Length of the shorter side after resizing, in pixels.
    pub(super) resize: Option<usize>,
    /// Side of the center crop, in pixels.
    pub(super) crop: Option<usize>,
}

/// All data sets of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    set: Vec<Entry>,
}

/// A data set, opened.
pub(super) struct Set {
    pub(super) name: String,
    pub(super) metric: Metric,
    /// The settings of the checkpoint with the size of the images.
    pub(super) config: Config,
    pub(super) parts: Parts,
    /// What a reader must know about the images, one sentence each.
    pub(super) notes: Vec<String>,
}

/// Reads a file of data sets.
///
/// # Errors
/// A file that cannot be read, or a key, a name or a measure that makes no sense.
pub(super) fn read_sets(path: &Path) -> Result<Vec<Entry>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"))?;
    let File { set } = toml::from_str(&text).with_context(|| {
        format!("`{shown}` is no list of data sets: a `[[set]]` with `name`, `train` and `test` for each is expected")
    })?;
    ensure!(!set.is_empty(), "`{shown}` has no `[[set]]`");
    let mut names = BTreeSet::new();
    for entry in &set {
        let name = &entry.name;
        if !names.insert(name) {
            bail!("`{shown}` has two data sets `{name}`: give each a name of its own");
        }
    }
    Ok(set)
}

impl Set {
    /// Opens the images. `sizes` are `--resize` and `--crop`, which come before the sizes of the entry, of the
    /// standard data set, and of the checkpoint.
    ///
    /// # Errors
    /// Sources that are missing, have no labels, or classes that differ or are too small; a size that the network
    /// cannot take.
    pub(super) fn open(
        entry: &Entry,
        opened: &Opened,
        (resize, crop): (Option<usize>, Option<usize>),
    ) -> Result<Self> {
        require_sources(entry)?;
        let known = Known::find(&entry.name);
        let metric = entry.metric.or(known.map(Known::metric)).unwrap_or(Metric::Top1);
        let mut config = opened.config.clone();
        let usual = known.map(|_| Known::SIDE);
        config.eval.crop = crop.or(entry.crop).or(usual).or(config.eval.crop);
        config.eval.resize = resize.or(entry.resize).or(usual).or(config.eval.resize);
        config.validate()?;
        let parts = Parts::open(entry, metric == Metric::Map11, &config.data)?;
        parts.require_images_of_classes()?;
        let mut notes = parts.notes();
        if known.is_some_and(Known::has_validation) && parts.val.is_none() {
            notes.push(format!(
                "`{}` has validation images of its own, on which the weight decay is usually chosen: give them by \
                 `--val`, or else a fifth of the training images is taken",
                entry.name
            ));
        }
        Ok(Self { name: entry.name.clone(), metric, config, parts, notes })
    }

    /// Its images in a few words.
    pub(super) fn describe(&self) -> String {
        let Parts { train, val, test } = &self.parts;
        let count = |images: &Images| images.subset.len();
        let all = count(train) + val.as_ref().map_or(0, count) + count(test);
        format!("{}: {}", self.name, counted(all, "image"))
    }
}
