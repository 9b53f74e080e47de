//! What is wrong with sets of images: images that stand twice in a set, or in two sets of which one is learned from and the
//! other one is classified.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf, absolute};

use multicrop::dataset::Dataset;

use crate::subset::Subset;

/// Tells images of any sources apart.
#[derive(Debug, Default)]
pub struct Identities {
    /// What folders are without links, `..` and relative paths.
    folders: HashMap<PathBuf, PathBuf>,
}

impl Identities {
    /// A number that is equal for equal images alone: for the same file, or the same place in a file. Links to a file are
    /// other files.
    pub fn of(&mut self, dataset: &dyn Dataset, index: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(file) = dataset.file_of(index) {
            self.real(&file).hash(&mut hasher);
            return hasher.finish();
        }
        let name = dataset.name(index);
        match dataset.container_of(index) {
            Some(file) => {
                let shown = file.display().to_string();
                let place = name.strip_prefix(&shown).unwrap_or(&name);
                (self.real(&file), place).hash(&mut hasher);
            }
            None => name.hash(&mut hasher),
        }
        hasher.finish()
    }

    /// The path of a file in its real folder.
    pub fn real(&mut self, file: &Path) -> PathBuf {
        let Some((name, folder)) = file.file_name().zip(file.parent()) else {
            return file.to_owned();
        };
        if let Some(real) = self.folders.get(folder) {
            return real.join(name);
        }
        let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let real = shown.canonicalize().or_else(|_| absolute(shown));
        let real = real.unwrap_or_else(|_| folder.to_owned());
        let path = real.join(name);
        self.folders.insert(folder.to_owned(), real);
        path
    }
}

/// Images of one set that another one has, too, or that stand in a set again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Their number, from 1 on.
    pub count: usize,
    /// The name of the first one.
    pub first: String,
}

impl Shared {
    /// Which images `other` has, too.
    pub fn of(images: &Subset, other: &Subset) -> Option<Self> {
        let mut identities = Identities::default();
        let theirs = other.indices().iter();
        let theirs: HashSet<u64> =
            theirs.map(|&index| identities.of(other.dataset(), index)).collect();
        Self::among(images, |index| theirs.contains(&identities.of(images.dataset(), index)))
    }

    /// Which images stand in the set again, as in a list that names a file twice.
    pub fn again(images: &Subset) -> Option<Self> {
        let (mut identities, mut known) = (Identities::default(), HashSet::new());
        Self::among(images, |index| !known.insert(identities.of(images.dataset(), index)))
    }

    fn among(images: &Subset, mut is_one: impl FnMut(usize) -> bool) -> Option<Self> {
        let mut found = images.indices().iter().filter(|index| is_one(**index));
        let first = images.dataset().name(*found.next()?);
        Some(Self { count: 1 + found.count(), first })
    }
}

/// A sentence about images that stand in a set again, where each image is compared with all others.
pub fn own_copies(images: &Subset) -> Option<String> {
    let Shared { count, first } = Shared::again(images)?;
    Some(format!(
        "{count} of {} images of {} are named again, such as `{first}`, so each of them is its own nearest neighbor: \
         name each image once",
        images.len(),
        images.dataset().describe()
    ))
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
