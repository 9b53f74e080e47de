//! `BadImages` counts the images that could not be used, and refuses a source with too many of them.

use std::collections::BTreeMap;

use super::BadImage;
use crate::error::Error;

/// This many bad images are always tolerated.
const ALWAYS_ALLOWED: usize = 10;
/// Reasons that a summary names.
const REASONS: usize = 3;

/// All different bad images that were met.
#[derive(Debug, Default)]
pub struct BadImages {
    by_index: BTreeMap<usize, BadImage>,
}

impl BadImages {
    /// Adds bad images of a source of `images`.
    ///
    /// # Errors
    /// If more than 1 % of all images are bad, and more than 10.
    pub fn add(&mut self, images: usize, bad: &[BadImage]) -> Result<(), Error> {
        for image in bad {
            self.by_index.entry(image.index).or_insert_with(|| image.clone());
        }
        let (bad, allowed) = (self.len(), Self::allowed(images));
        if bad <= allowed {
            return Ok(());
        }
        Err(Error::TooManyBadImages { bad, images, allowed, summary: self.summary() })
    }

    /// How many of `images` may be bad.
    pub fn allowed(images: usize) -> usize {
        ALWAYS_ALLOWED.max(images / 100)
    }

    /// Number of bad images.
    pub fn len(&self) -> usize {
        self.by_index.len()
    }

    /// True if no image was bad.
    pub fn is_empty(&self) -> bool {
        self.by_index.is_empty()
    }

    /// The bad image that comes first in the source.
    pub fn first(&self) -> Option<&BadImage> {
        self.by_index.values().next()
    }

    /// `8 empty (first: a.jpg), 3 damaged (first: b.jpg)`, the commonest first.
    fn summary(&self) -> String {
        let mut kinds = BTreeMap::new();
        for BadImage { kind, name, .. } in self.by_index.values() {
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
