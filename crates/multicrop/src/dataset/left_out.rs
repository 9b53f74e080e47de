//! Counts of what a source contains but a data set does not read.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Dataset;
use super::names::{Kind, to_text};

/// Description of the images that are left out of a source with parts.
pub(super) const BESIDE: &str = "images outside the parts";

/// One kind of things that were left out, with a count and an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// How many there are.
    pub count: usize,
    /// What they are and why they are left out, in the plural: `images outside the parts`.
    pub what: String,
    /// The name of one of them.
    pub example: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (for example `{}`)", self.count, self.what, self.example)
    }
}

/// A part of a source, such as its folder `train`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name in the source.
    pub name: String,
    /// Its number of images, or of files if images are not counted.
    pub count: usize,
    /// What `count` counts: `images` or `files`.
    pub unit: &'static str,
    /// Whether this part is read.
    pub read: bool,
}

/// Number of images of `dataset` that have a label.
pub fn labelled(dataset: &dyn Dataset) -> usize {
    match dataset.classes() {
        [] => 0,
        _ => (0..dataset.len()).filter(|&index| dataset.label(index).is_some()).count(),
    }
}

/// One sentence for each kind of things that `dataset` leaves out, and its remarks.
pub fn left_out_notes(dataset: &dyn Dataset) -> Vec<String> {
    let source = dataset.describe();
    let sentence = |left| format!("left out of {source}: {left}");
    dataset.left_out().iter().map(sentence).chain(dataset.remarks().iter().cloned()).collect()
}

/// Notes for the user of `dataset`: one sentence for each kind of things that were left out, and
/// one if only some images have labels.
pub fn notes(dataset: &dyn Dataset) -> Vec<String> {
    let mut notes = left_out_notes(dataset);
    let (labelled, images) = (labelled(dataset), dataset.len());
    if labelled > 0 && labelled < images {
        let source = dataset.describe();
        notes.push(format!("{labelled} of {images} images of {source} have a label"));
    }
    notes
}

/// Counts what is left out, by kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Description, count, and the first name in sorted order.
    kinds: Vec<(String, u64, Vec<u8>)>,
}

impl Tally {
    pub(super) fn add(&mut self, what: &str, example: &[u8]) {
        self.add_many(what, 1, example);
    }

    pub(super) fn add_many(&mut self, what: &str, count: u64, example: &[u8]) {
        match self.kinds.iter_mut().find(|(known, ..)| known == what) {
            Some((_, total, first)) => {
                *total += count;
                if example < &first[..] {
                    *first = example.to_vec();
                }
            }
            None => self.kinds.push((what.into(), count, example.to_vec())),
        }
    }

    pub(super) fn add_hidden(&mut self, name: &[u8]) {
        self.add("images with hidden names (a part of the name starts with a dot)", name);
    }

    /// Counts a file that is not read, if the user may expect it to be.
    pub(super) fn add_file(&mut self, kind: Kind, name: &[u8]) {
        match kind {
            Kind::UnreadImage => {
                self.add("images in a format that is not read; convert them to PNG or JPEG", name);
            }
            Kind::Archive => {
                self.add("archives next to images, which were probably unpacked from them", name);
            }
            Kind::Image | Kind::Other | Kind::Unknown => {}
        }
    }

    /// Adds the counts of `other`, with `prefix` in front of its examples.
    pub(super) fn merge(&mut self, other: &Self, prefix: &[u8]) {
        for (what, count, example) in &other.kinds {
            self.add_many(what, *count, &[prefix, example].concat());
        }
    }

    /// The kinds, in an order that depends only on the source.
    pub(super) fn finish(mut self) -> Vec<LeftOut> {
        self.kinds.sort_unstable();
        let entry = |(what, count, example): (String, u64, Vec<u8>)| LeftOut {
            count: count as usize,
            what,
            example: to_text(&example),
        };
        self.kinds.into_iter().map(entry).collect()
    }
}
