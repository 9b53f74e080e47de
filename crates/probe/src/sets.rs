//! What is wrong with two sets of images of which one is learned from and the other one is classified.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use multicrop::dataset::Dataset;

use crate::subset::Subset;

/// Images of one set that another one has, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Their number, from 1 on.
    pub count: usize,
    /// The name of the first one.
    pub first: String,
}

impl Shared {
    /// Which images `other` has, too. Files are the same if their paths are, other images if their names are.
    pub fn of(images: &Subset, other: &Subset) -> Option<Self> {
        let theirs: HashSet<u64> =
            other.indices().iter().map(|&index| identity(other.dataset(), index)).collect();
        let is_theirs = |index: &&usize| theirs.contains(&identity(images.dataset(), **index));
        let mut shared = images.indices().iter().filter(is_theirs);
        let first = images.dataset().name(*shared.next()?);
        Some(Self { count: 1 + shared.count(), first })
    }
}

/// A number that differs for different images of any source.
fn identity(dataset: &dyn Dataset, index: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    match dataset.file_of(index) {
        Some(path) => std::path::absolute(&path).unwrap_or(path).hash(&mut hasher),
        None => dataset.name(index).hash(&mut hasher),
    }
    hasher.finish()
}

/// What makes the accuracy on `test` mean less than it seems to, one sentence each: images in both sets, classes without
/// an image to learn from.
pub fn warnings(train: &Subset, test: &Subset) -> Vec<String> {
    shared_images(train, test).into_iter().chain(classes_not_learned(train, test)).collect()
}

/// A sentence about images of `test` that are learned from, if there are any.
pub fn shared_images(train: &Subset, test: &Subset) -> Option<String> {
    let Shared { count, first } = Shared::of(test, train)?;
    Some(format!(
        "{count} of {} images to classify are also images to learn from, such as `{first}`, so accuracies are too \
         high: give other ones, or classify each image of a source by the others with `eval knn CHECKPOINT \
         --leave-one-out SOURCE`",
        test.len()
    ))
}

fn classes_not_learned(train: &Subset, test: &Subset) -> Option<String> {
    let [of_train, of_test] = [train, test].map(Subset::counts_of_classes);
    let counts = of_train.iter().zip(&of_test).zip(test.dataset().classes());
    let mut missing = counts.filter(|((train, test), _)| **train == 0 && **test > 0);
    let (_, first) = missing.next()?;
    let classes = match 1 + missing.count() {
        1 => format!("class `{first}` has"),
        count => format!("{count} classes, such as `{first}`, have"),
    };
    Some(format!("{classes} images to classify and none to learn from: these count as wrong"))
}
