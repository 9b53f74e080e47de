//! [`BadImages`] counts bad images, and ends the run when there are too many.

use std::collections::BTreeMap;

use crate::dataset::Dataset;
use crate::error::Error;

/// This number of bad images is always tolerated.
const ALWAYS_ALLOWED: usize = 10;
/// Number of reasons in a summary.
const REASONS: usize = 3;

/// An image that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadImage {
    /// Its index in the data set.
    pub index: usize,
    /// Its name, usually the path of a file.
    pub name: String,
    /// The reason in a word or two, equal for all images with the same kind of fault.
    pub kind: String,
    /// The reason in full.
    pub reason: String,
}

/// All distinct bad images so far, by index.
#[derive(Default)]
pub(super) struct BadImages {
    by_index: BTreeMap<usize, BadImage>,
}

impl BadImages {
    /// Adds the bad images of a batch. Fails if there are more than 10 and more than 1 % of the
    /// data set.
    pub(super) fn add(&mut self, dataset: &dyn Dataset, bad: &[BadImage]) -> Result<(), Error> {
        for image in bad {
            self.by_index.entry(image.index).or_insert_with(|| image.clone());
        }
        let (bad, images) = (self.by_index.len(), dataset.len());
        let allowed = ALWAYS_ALLOWED.max(images / 100);
        if bad <= allowed {
            return Ok(());
        }
        Err(Error::TooManyBadImages { bad, images, allowed, summary: self.summary() })
    }

    /// `` 8 empty, first `a.jpg`; 3 damaged, first `b.jpg` ``, most frequent first.
    fn summary(&self) -> String {
        let mut kinds = BTreeMap::new();
        for image in self.by_index.values() {
            kinds.entry(&image.kind).or_insert((0, &image.name)).0 += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let name = |(kind, (count, name)): (&String, (usize, &String))| {
            format!("{count} {kind}, first `{name}`")
        };
        kinds.into_iter().take(REASONS).map(name).collect::<Vec<_>>().join("; ")
    }
}
