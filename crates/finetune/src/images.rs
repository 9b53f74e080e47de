//! [`Chosen`] is the training images that a [`Subset`] has chosen, as a source of their own.

use std::sync::Arc;

use multicrop::dataset::{Dataset, LeftOut, Sample};
use multicrop::error::SampleError;
use probe::Subset;

/// Some images of a source, which a loader reads.
pub struct Chosen {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
}

/// The images of a subset of `dataset`: the source itself if they are all of it, so that a loader knows its shards.
pub fn chosen(dataset: Arc<dyn Dataset>, subset: &Subset) -> Arc<dyn Dataset> {
    if subset.len() == dataset.len() {
        return dataset;
    }
    Arc::new(Chosen { dataset, indices: subset.indices().to_vec() })
}

impl Dataset for Chosen {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        self.dataset.read(self.indices[index])
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.dataset.label(self.indices[index])
    }

    fn classes(&self) -> &[String] {
        self.dataset.classes()
    }

    fn left_out(&self) -> &[LeftOut] {
        self.dataset.left_out()
    }

    fn name(&self, index: usize) -> String {
        self.dataset.name(self.indices[index])
    }

    fn describe(&self) -> String {
        self.dataset.describe()
    }
}
