//! Counts bad images, and says when there are too many.

use std::collections::BTreeMap;

use super::BadImage;
use crate::dataset::Dataset;
use crate::error::Error;

/// So many bad images are always tolerated.
const ALWAYS_ALLOWED: usize = 10;
/// Reasons that a summary names.
const REASONS: usize = 3;

/// All distinct bad images that were met: index, kind, name.
#[derive(Default)]
pub(super) struct BadImages {
    by_index: BTreeMap<usize, (String, String)>,
}

impl BadImages {
    /// Adds the bad images of a batch; fails above 10 and above 1 % of the data set.
    pub(super) fn add(&mut self, dataset: &dyn Dataset, bad: &[BadImage]) -> Result<(), Error> {
        for image in bad {
            let fault = || (image.kind.clone(), image.name.clone());
            self.by_index.entry(image.index).or_insert_with(fault);
        }
        let (bad, images) = (self.by_index.len(), dataset.len());
        let allowed = ALWAYS_ALLOWED.max(images / 100);
        if bad <= allowed {
            return Ok(());
        }
        Err(Error::TooManyBadImages { bad, images, allowed, summary: self.summary() })
    }

    /// `8 empty (first: a.jpg), 3 damaged (first: b.jpg)`, the commonest first.
    fn summary(&self) -> String {
        let mut kinds = BTreeMap::new();
        for (kind, name) in self.by_index.values() {
            kinds.entry(kind).or_insert((0, name)).0 += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let name = |(kind, (count, name)): (&String, (usize, &String))| {
            format!("{count} {kind}, first `{name}`")
        };
        kinds.into_iter().take(REASONS).map(name).collect::<Vec<_>>().join("; ")
    }
}
