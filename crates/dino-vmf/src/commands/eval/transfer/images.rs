//! The images of a data set: training, validation and test images of the same classes.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use dino::config::Data;
use multicrop::Dataset;
use probe::logistic::sweep::Split;
use probe::sets::{self, Shared};
use probe::{Subset, require_labels};
use report::number::counted;

use super::set::Entry;
use super::voc;

/// Labelled images.
pub(super) struct Images {
    pub(super) subset: Subset,
    pub(super) classes: Vec<String>,
    /// For each class, whether each image of the source belongs to it; `None` if an image has one class.
    pub(super) members: Option<Vec<Vec<bool>>>,
    /// What a reader must know about the labels.
    note: Option<String>,
}

/// All images of a data set.
pub(super) struct Parts {
    pub(super) train: Images,
    /// On which the weight decay is chosen; `None` draws a fifth of the training images.
    pub(super) val: Option<Images>,
    pub(super) test: Images,
}

impl Images {
    /// Opens a source.
    fn open(source: &str, several: bool, data: &Data) -> Result<Self> {
        match Self::of_voc(source, several)? {
            Some(images) => Ok(images),
            None => Self::of_dataset(data.open(source)?, source, several),
        }
    }

    /// Opens the part `val` of a source, if it has such a part.
    fn open_validation(whole: &str, several: bool, data: &Data) -> Result<Option<Self>> {
        if several && voc::find(whole).is_some() {
            return match voc::has_part(whole, "val")? {
                true => Self::of_voc(&format!("{whole}:val"), several),
                false => Ok(None),
            };
        }
        let source = format!("{whole}:val");
        match data.open(&source) {
            Err(multicrop::Error::NoSuchSplit { .. }) => Ok(None),
            dataset => Ok(Some(Self::of_dataset(dataset?, &source, several)?)),
        }
    }

    fn of_voc(source: &str, several: bool) -> Result<Option<Self>> {
        let part = if several { voc::open(source)? } else { None };
        Ok(part.map(|voc::Part { images, classes, members, note }| {
            let subset = Subset::new(Arc::new(images), None, 0);
            Self { subset, classes, members: Some(members), note }
        }))
    }

    fn of_dataset(dataset: Arc<dyn Dataset>, source: &str, several: bool) -> Result<Self> {
        require_labels(dataset.as_ref(), source)?;
        if several {
            return Ok(Self::of_several(dataset));
        }
        let classes = dataset.classes().to_vec();
        let subset = Subset::labelled(dataset, None, 0);
        Ok(Self { subset, classes, members: None, note: None })
    }

    /// Images of any number of classes each, by labels with semicolons such as `cat;dog`.
    fn of_several(dataset: Arc<dyn Dataset>) -> Self {
        let labels: Vec<Vec<&str>> = (0..dataset.len())
            .map(|image| {
                let label = dataset.class(image).unwrap_or_default();
                label.split(';').map(str::trim).filter(|name| !name.is_empty()).collect()
            })
            .collect();
        let mut classes: Vec<&str> = labels.iter().flatten().copied().collect();
        classes.sort_unstable();
        classes.dedup();
        let of_class = |class: &&str| labels.iter().map(|of| of.contains(class)).collect();
        let members: Vec<Vec<bool>> = classes.iter().map(of_class).collect();
        let none = labels.iter().filter(|labels| labels.is_empty()).count();
        let note = (none > 0).then(|| {
            let (all, source) = (counted(labels.len(), "image"), dataset.describe());
            format!("{none} of {all} of {source} belong to no class")
        });
        let classes = classes.into_iter().map(str::to_owned).collect();
        Self { subset: Subset::new(dataset, None, 0), classes, members: Some(members), note }
    }

    /// Classes of the images at these places of the source, one for each image that could be read.
    pub(super) fn members_of(&self, indices: &[usize]) -> Option<Vec<Vec<bool>>> {
        let members = self.members.as_ref()?;
        let of_class =
            |of: &Vec<bool>| indices.iter().map(|&index| of[index]).collect::<Vec<bool>>();
        Some(members.iter().map(of_class).collect())
    }

    fn describe(&self) -> String {
        self.subset.dataset().describe()
    }

    /// Images of each class.
    fn counts(&self) -> Vec<usize> {
        match &self.members {
            Some(members) => members.iter().map(|of| of.iter().filter(|is| **is).count()).collect(),
            None => self.subset.counts_of_classes(),
        }
    }
}

impl Parts {
    /// Opens all sources.
    ///
    /// # Errors
    /// Sources that are missing or have no labels; classes that differ.
    pub(super) fn open(entry: &Entry, several: bool, data: &Data) -> Result<Self> {
        let open = |source: &str| Images::open(source, several, data);
        let parts = match (&entry.data, &entry.train, &entry.test) {
            (Some(whole), ..) => {
                let part = |name: &str| open(&format!("{whole}:{name}"));
                let (train, test) = (part("train")?, part("test")?);
                let val = Images::open_validation(whole, several, data)?;
                let val = val.filter(|val| is_other(val, &train, &test));
                Self { train, val, test }
            }
            (None, Some(train), Some(test)) => {
                let val = entry.val.as_deref().map(open).transpose()?;
                Self { train: open(train)?, val, test: open(test)? }
            }
            _ => bail!("`train` and `test` are missing"),
        };
        parts.require_same_classes()?;
        Ok(parts)
    }

    fn require_same_classes(&self) -> Result<()> {
        for other in self.val.iter().chain([&self.test]) {
            let (here, there) = (&self.train.classes, &other.classes);
            let missing = |a: &[String], b: &[String]| a.iter().find(|of| !b.contains(of)).cloned();
            let (train, part) = (self.train.describe(), other.describe());
            if let Some(class) = missing(there, here) {
                bail!(
                    "class `{class}` of {part} is not in {train}: both must have the same classes"
                );
            }
            if let Some(class) = missing(here, there) {
                bail!(
                    "class `{class}` of {train} is not in {part}: both must have the same classes"
                );
            }
            ensure!(here == there, "the classes of {train} and {part} are in another order");
        }
        Ok(())
    }

    /// Refuses classes that cannot be learned and validated.
    ///
    /// # Errors
    /// The first such class.
    pub(super) fn require_images_of_classes(&self) -> Result<()> {
        let needed = if self.val.is_some() { 1 } else { 2 };
        let (train, test) = (self.train.counts(), self.test.counts());
        let why = match needed {
            1 => "",
            _ => " to fit and to validate, as there is no `--val`",
        };
        for (class, (found, tests)) in self.train.classes.iter().zip(train.iter().zip(&test)) {
            let several = self.train.members.is_some();
            ensure!(
                *found >= needed || (*tests == 0 && !several),
                "class `{class}` has {} in {}, and {needed} are needed{why}: add images, or leave the class out",
                counted(*found, "image"),
                self.train.describe()
            );
            ensure!(
                *tests > 0 || !several,
                "class `{class}` has no image in {}, so it has no average precision: leave the class out",
                self.test.describe()
            );
        }
        Ok(())
    }

    /// What a reader of the scores must know, one sentence each.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for images in self.all() {
            notes.extend(images.subset.notes());
            notes.extend(images.note.clone());
        }
        notes.extend(self.shared());
        for (images, why) in [
            (self.val.as_ref(), "they have no part in the choice of the weight decay"),
            (Some(&self.test), "they are not part of the mean per class"),
        ] {
            let Some(images) = images else { continue };
            let counts = images.counts();
            let mut empty = counts.iter().zip(&images.classes).filter(|(count, _)| **count == 0);
            if let Some((_, first)) = empty.next() {
                let (count, of) = (1 + empty.count(), images.describe());
                let classes = counted(count, "class");
                notes.push(format!("{classes} without an image in {of}, such as `{first}`: {why}"));
            }
        }
        notes
    }

    /// All parts.
    pub(super) fn all(&self) -> impl Iterator<Item = &Images> {
        [Some(&self.train), self.val.as_ref(), Some(&self.test)].into_iter().flatten()
    }

    /// A sentence about each two parts that share images.
    fn shared(&self) -> Vec<String> {
        let (train, test) = (&self.train.subset, &self.test.subset);
        let mut found = Vec::from_iter(sets::shared_images(train, test));
        let Some(Images { subset: val, .. }) = &self.val else { return found };
        for (other, what, why) in [
            (train, "learn from", "the weight decay is chosen on images that are known"),
            (test, "classify", "accuracies are too high"),
        ] {
            if let Some(Shared { count, first }) = Shared::of(val, other) {
                let all = val.len();
                found.push(format!(
                    "{count} of {all} validation images are also images to {what}, such as `{first}`, so {why}: give \
                     other ones to `--val`, or leave it out"
                ));
            }
        }
        found
    }

    /// Which of the training rows, followed by the validation rows, are fitted and which validate. `train` and `val`
    /// are numbers of rows; `labels` are those of the training rows, and are only used for classes of which an image
    /// has one.
    pub(super) fn split(&self, (train, val): (usize, usize), labels: &[u32], seed: u64) -> Split {
        match (&self.val, &self.train.members) {
            (Some(_), _) => Split::after(train, train + val),
            (None, None) => Split::by_class(labels, seed),
            (None, Some(_)) => Split::at_random(train, seed),
        }
    }
}

/// Whether these validation images are neither the training images nor the test images. A source without such a part
/// gives another part in its place.
fn is_other(val: &Images, train: &Images, test: &Images) -> bool {
    let part = |images: &Images| -> (String, Vec<String>) {
        let dataset: &dyn Dataset = images.subset.dataset();
        let read = dataset.parts().iter().filter(|part| part.read).map(|part| part.name.clone());
        (dataset.describe(), read.collect())
    };
    let [(of_val, read), (of_train, train), (of_test, test)] = [val, train, test].map(part);
    match read.is_empty() {
        true => of_val != of_train && of_val != of_test,
        false => read != train && read != test,
    }
}
