//! The sources of a run, each opened once.

use std::collections::BTreeMap;
use std::sync::Arc;

use multicrop::Dataset;

use crate::config::{Config, Data, Warning};
use crate::error::Result;
use crate::plan::{Parts, parts_to_evaluate};

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

    /// The parts that the run is evaluated on unless the settings name others.
    pub(super) fn own_parts(&mut self, config: &Config) -> Option<OwnParts> {
        let mut is_labelled =
            |source: &str| self.open(source).ok().map(|set| !set.classes().is_empty());
        let parts = parts_to_evaluate(config)?;
        let train = is_labelled(&parts.train).unwrap_or_default();
        // Without labels in the one, the other does not matter.
        let test = if train { is_labelled(&parts.test) } else { None };
        Some(OwnParts { parts, train, test })
    }
}

/// The parts of the images to train on.
pub(super) struct OwnParts {
    parts: Parts,
    /// Whether the train part exists and has labels.
    train: bool,
    /// Whether the test part has labels, if it exists.
    test: Option<bool>,
}

impl OwnParts {
    /// Whether both can be used.
    pub(super) fn are_labelled(&self) -> bool {
        self.train && self.test == Some(true)
    }

    /// A sentence if the test part alone has no labels, so that nothing is evaluated.
    pub(super) fn warning(&self) -> Option<Warning> {
        let Parts { train, test } = &self.parts;
        let name = train.strip_suffix(":train").unwrap_or(train);
        (self.train && self.test == Some(false)).then(|| {
            format!(
                "nothing is evaluated during training: `{test}` has no labels; another part with labels is \
                 taken by `--set 'eval.train=\"{train}\"' --set 'eval.test=\"{name}:val\"'`"
            )
        })
    }
}
