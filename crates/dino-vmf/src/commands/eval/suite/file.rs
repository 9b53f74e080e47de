//! The file that describes a suite.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::tasks;

/// An example, which `--example` prints.
pub(super) const EXAMPLE: &str = include_str!("../../../../templates/suite.toml");

/// Data sets and what is measured on each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Suite {
    /// The data sets.
    pub(super) data: Vec<Data>,
}

/// A data set. What it leaves out is that of the checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    /// Its name on the page.
    pub(super) name: String,
    /// Labelled images to learn from.
    pub(super) train: String,
    /// Labelled images to classify.
    pub(super) test: String,
    /// Names of tasks.
    pub(super) tasks: Vec<String>,
    /// Length of the shorter side after resizing, in pixels.
    pub(super) resize: Option<usize>,
    /// Side of the center crop, in pixels.
    pub(super) crop: Option<usize>,
    /// Most training images.
    pub(super) max_train: Option<usize>,
    /// Most test images.
    pub(super) max_test: Option<usize>,
}

impl Suite {
    /// Reads a suite.
    ///
    /// # Errors
    /// A file that cannot be read, or a key, a name or a task that makes no sense.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{shown}`"))?;
        let suite: Self = toml::from_str(&text)
            .with_context(|| format!("`{shown}` is no suite; `--example` prints one"))?;
        if suite.data.is_empty() {
            bail!("`{shown}` has no `[[data]]`; `--example` prints a suite");
        }
        let mut names = BTreeSet::new();
        for data in &suite.data {
            let name = &data.name;
            if !names.insert(name) {
                bail!("`{shown}` has two data sets `{name}`: give each a name of its own");
            }
            data.check().with_context(|| format!("data set `{name}` of `{shown}`"))?;
        }
        Ok(suite)
    }
}

impl Data {
    fn check(&self) -> Result<()> {
        let known: Vec<_> = tasks::TASKS.iter().map(|task| format!("`{}`", task.name)).collect();
        let known = known.join(", ");
        if self.tasks.is_empty() {
            bail!("`tasks` is empty: name one or more of {known}");
        }
        for (place, name) in self.tasks.iter().enumerate() {
            if tasks::find(name).is_none() {
                bail!("there is no task `{name}`: there are {known}");
            }
            if self.tasks[..place].contains(name) {
                bail!("`tasks` names `{name}` twice");
            }
        }
        Ok(())
    }
}
