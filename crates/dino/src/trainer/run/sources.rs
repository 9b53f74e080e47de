//! The sources of a run, each opened once.

use std::collections::BTreeMap;
use std::sync::Arc;

use multicrop::Dataset;

use crate::config::{Config, Data};
use crate::error::Result;
use crate::plan::{Facts, Parts, parts_to_evaluate};

/// Sources that are open, under the names that they were opened by.
pub(super) struct Sources {
    data: Data,
    open: BTreeMap<String, Arc<dyn Dataset>>,
}

impl Sources {
    /// None yet; `data` has the columns and the extension that choose among images.
    pub(super) fn new(data: &Data) -> Self {
        Self { data: data.clone(), open: BTreeMap::new() }
    }

    /// Adds a source that is open already.
    pub(super) fn add(&mut self, source: &str, dataset: Arc<dyn Dataset>) {
        self.open.insert(source.to_owned(), dataset);
    }

    /// Opens a source, unless it is open already.
    pub(super) fn open(&mut self, source: &str) -> Result<Arc<dyn Dataset>> {
        if let Some(dataset) = self.open.get(source) {
            return Ok(dataset.clone());
        }
        let dataset = self.data.open(source)?;
        self.open.insert(source.to_owned(), dataset.clone());
        Ok(dataset)
    }

    /// What a plan has to know about `dataset`, the images to train on.
    pub(super) fn facts(&mut self, config: &Config, dataset: &dyn Dataset) -> Facts {
        let mut is_labelled =
            |source: &str| self.open(source).is_ok_and(|set| !set.classes().is_empty());
        let has_labelled_parts = parts_to_evaluate(config)
            .is_some_and(|Parts { train, test }| is_labelled(&train) && is_labelled(&test));
        Facts { images: dataset.len(), has_labelled_parts }
    }
}
