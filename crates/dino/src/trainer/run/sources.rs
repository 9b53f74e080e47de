//! The sources of a run, each opened once.

use std::collections::BTreeMap;
use std::sync::Arc;

use multicrop::Dataset;

use crate::config::{Config, Data, Warning};
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

    /// A sentence if the images have a train part with labels and a test part without, so that nothing is
    /// evaluated.
    pub(super) fn unlabelled_test(&mut self, config: &Config) -> Option<Warning> {
        let Parts { train, test } = parts_to_evaluate(config)?;
        let mut has_labels =
            |source: &str| self.open(source).ok().map(|set| !set.classes().is_empty());
        let is_lost = has_labels(&train)? && !has_labels(&test)?;
        is_lost.then(|| {
            let name = train.trim_end_matches(":train");
            format!(
                "nothing is evaluated during training: `{test}` has no labels; another part with labels is \
                 taken by `--set 'eval.train=\"{train}\"' --set 'eval.test=\"{name}:val\"'`"
            )
        })
    }
}
