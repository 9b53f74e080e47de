//! [`Selected`]: some images of another data set.

use std::path::PathBuf;
use std::sync::Arc;

use super::left_out::{LeftOut, Part};
use super::{Dataset, Sample, Shards, Split};
use crate::error::SampleError;

/// Some images of another data set, in its order.
pub struct Selected {
    dataset: Arc<dyn Dataset>,
    /// Their places there, ascending.
    places: Vec<u32>,
    part: Option<OfPart>,
}

/// What differs from the whole source if the images are a part of it.
pub(super) struct OfPart {
    /// The part; `None` if all images are read.
    pub(super) split: Option<Split>,
    pub(super) parts: Vec<Part>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) remarks: Vec<String>,
}

impl Selected {
    /// The images of `dataset` at these places, which ascend.
    pub fn new(dataset: Arc<dyn Dataset>, places: impl IntoIterator<Item = usize>) -> Self {
        let places = places.into_iter().map(|place| place as u32).collect();
        Self { dataset, places, part: None }
    }

    /// The same as a part of the source.
    pub(super) fn of_part(self, part: OfPart) -> Self {
        Self { part: Some(part), ..self }
    }

    fn place(&self, index: usize) -> usize {
        self.places[index] as usize
    }
}

impl Dataset for Selected {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        self.dataset.read(self.place(index))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.dataset.label(self.place(index))
    }

    fn classes(&self) -> &[String] {
        self.dataset.classes()
    }

    /// Those of the whole source; a shard may have none of the images.
    fn shards(&self) -> Option<Shards> {
        let mut shards = self.dataset.shards()?;
        for end in &mut shards.ends {
            *end = self.places.partition_point(|&place| (place as usize) < *end);
        }
        Some(shards)
    }

    fn prepare(&self, shard: usize) {
        self.dataset.prepare(shard);
    }

    fn left_out(&self) -> &[LeftOut] {
        self.part.as_ref().map_or_else(|| self.dataset.left_out(), |part| &part.left_out)
    }

    fn parts(&self) -> &[Part] {
        self.part.as_ref().map_or_else(|| self.dataset.parts(), |part| &part.parts)
    }

    fn name(&self, index: usize) -> String {
        self.dataset.name(self.place(index))
    }

    fn file_of(&self, index: usize) -> Option<PathBuf> {
        self.dataset.file_of(self.place(index))
    }

    fn container_of(&self, index: usize) -> Option<PathBuf> {
        self.dataset.container_of(self.place(index))
    }

    fn remarks(&self) -> &[String] {
        self.part.as_ref().map_or_else(|| self.dataset.remarks(), |part| &part.remarks)
    }

    fn describe(&self) -> String {
        let split = self.part.as_ref().and_then(|part| part.split);
        let part = split.map_or(String::new(), |split| format!(" ({split} part)"));
        format!("{}{part}", self.dataset.describe())
    }
}
