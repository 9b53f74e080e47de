//! A `Subset` is the images of a source that an evaluation uses, in the order of the source.

use std::sync::Arc;

use multicrop::dataset::{Dataset, Selected, left_out_notes};
use multicrop::decode;
use multicrop::image::Image;
use streams::{Key, Purpose};

use crate::error::Result;
use crate::preprocess::unreadable;

/// Some images of a source.
#[derive(Clone)]
pub struct Subset {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
    labelled: bool,
    without_label: usize, // images that could not be chosen
}

impl Subset {
    /// At most `most` images of `dataset`, with labels or without: the first ones of the fixed order
    /// number `order`. Without a limit, all images.
    pub fn new(dataset: Arc<dyn Dataset>, most: Option<usize>, order: u64) -> Self {
        let indices = first_of_order(dataset.len(), most, order);
        Self { dataset, indices, labelled: false, without_label: 0 }
    }

    /// The same of the images that have a label; the others are counted.
    pub fn labelled(dataset: Arc<dyn Dataset>, most: Option<usize>, order: u64) -> Self {
        let labelled: Vec<usize> =
            (0..dataset.len()).filter(|&index| dataset.label(index).is_some()).collect();
        let chosen = first_of_order(labelled.len(), most, order);
        let indices = chosen.into_iter().map(|place| labelled[place]).collect();
        let without_label = dataset.len() - labelled.len();
        Self { dataset, indices, labelled: true, without_label }
    }

    /// The images after the first `done`.
    #[must_use]
    pub fn after(&self, done: usize) -> Self {
        let indices = self.indices.get(done..).unwrap_or_default().to_vec();
        Self { indices, ..self.clone() }
    }

    /// Whether the images were chosen because they have labels.
    pub fn is_labelled(&self) -> bool {
        self.labelled
    }

    /// A sentence about images that are left out because they have no label, if there are any.
    pub fn without_label(&self) -> Option<String> {
        let Self { dataset, without_label, .. } = self;
        (*without_label > 0).then(|| {
            let (all, data) = (dataset.len(), dataset.describe());
            format!("{without_label} of {all} images of {data} have no label, so evaluations leave them out")
        })
    }

    /// What a reader of scores of these images must know, one sentence each: what the source leaves
    /// out, and images without a label.
    pub fn notes(&self) -> Vec<String> {
        let notes = left_out_notes(self.dataset.as_ref());
        notes.into_iter().chain(self.without_label()).collect()
    }

    /// The source.
    pub fn dataset(&self) -> &dyn Dataset {
        self.dataset.as_ref()
    }

    /// The chosen images as a source of their own.
    pub fn to_dataset(&self) -> Arc<dyn Dataset> {
        match self.len() == self.dataset.len() {
            true => self.dataset.clone(),
            false => Arc::new(Selected::new(self.dataset.clone(), self.indices.iter().copied())),
        }
    }

    /// The chosen images' places in the source, ascending.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Number of chosen images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True if no image is chosen.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The classes of the images at these places of the source; empty unless the images were chosen by
    /// their labels.
    pub fn labels_of(&self, indices: &[usize]) -> Vec<u32> {
        let indices = if self.labelled { indices } else { &[] };
        indices.iter().filter_map(|&index| self.dataset.label(index)).collect()
    }

    /// How many of the chosen images each class of the source has; zeros unless the images were chosen by their
    /// labels.
    pub fn counts_of_classes(&self) -> Vec<usize> {
        let mut counts = vec![0; self.dataset.classes().len()];
        let labels = self.labels_of(&self.indices);
        labels.into_iter().for_each(|label| counts[label as usize] += 1);
        counts
    }

    /// Image `index` of the source.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(&self, index: usize, decode: &decode::Options) -> Result<Image> {
        let dataset = self.dataset.as_ref();
        dataset.load(index, decode).map_err(|source| unreadable(dataset, index, &source))
    }
}

/// The first `most` of a fixed order of `0..len`, ascending. Without a limit, all of them.
fn first_of_order(len: usize, most: Option<usize>, order: u64) -> Vec<usize> {
    let Some(most) = most.filter(|&most| most < len) else { return (0..len).collect() };
    let mut indices: Vec<usize> = (0..len).collect();
    let mut rng = Key::new(0, Purpose::Estimate).index(order).open();
    use rand::seq::SliceRandom;
    indices.shuffle(&mut rng);
    indices.truncate(most);
    indices.sort_unstable();
    indices
}

#[cfg(test)]
mod tests {
    use multicrop::dataset::Sample;
    use multicrop::error::SampleError;

    use super::*;

    /// Every third image has no label. There are two classes.
    struct Partly([String; 2]);

    fn partly() -> Arc<Partly> {
        Arc::new(Partly(["even", "odd"].map(str::to_owned)))
    }

    impl Dataset for Partly {
        fn len(&self) -> usize {
            9
        }
        fn read(&self, _: usize) -> Result<Sample<'_>, SampleError> {
            Ok(Sample::Pixels(multicrop::Image8::filled(8, 8, &[1, 2, 3])))
        }
        fn label(&self, index: usize) -> Option<u32> {
            (!index.is_multiple_of(3)).then_some(index as u32 % 2)
        }
        fn classes(&self) -> &[String] {
            &self.0
        }
        fn name(&self, index: usize) -> String {
            index.to_string()
        }
        fn describe(&self) -> String {
            "partly".to_owned()
        }
    }

    #[test]
    fn images_without_a_label_are_left_out_and_counted_and_never_of_class_0() {
        let chosen = Subset::labelled(partly(), None, 0);
        assert_eq!(chosen.indices(), [1, 2, 4, 5, 7, 8]);
        assert_eq!(chosen.labels_of(chosen.indices()), [1, 0, 0, 1, 1, 0]);
        let text = chosen.without_label().expect("a sentence");
        assert_eq!(text, "3 of 9 images of partly have no label, so evaluations leave them out");
        assert_eq!(chosen.counts_of_classes(), [3, 3]);
        let few = Subset::labelled(partly(), Some(4), 0);
        assert_eq!((few.len(), few.labels_of(few.indices()).len()), (4, 4));
        let unlabelled = Subset::new(partly(), None, 0);
        assert_eq!(unlabelled.without_label(), None);
        assert_eq!(unlabelled.counts_of_classes(), [0, 0]);
    }
}
