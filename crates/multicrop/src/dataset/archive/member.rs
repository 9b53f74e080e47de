//! The list of images in one tar archive.

use serde::{Deserialize, Serialize};

use crate::dataset::left_out::Tally;

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    /// The name that unpacking would give it, see [`normalize`](crate::dataset::names::normalize).
    pub(super) name: Vec<u8>,
    pub(super) offset: u64,
    pub(super) len: u64,
    /// The class in a companion file with the same key.
    pub(super) label: Option<Box<str>>,
    /// Whether other files that are not images have its WebDataset key.
    pub(super) keyed: bool,
}

/// The images of an archive, and what was left out of it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    pub(super) members: Vec<Member>,
    pub(super) left_out: Tally,
}
