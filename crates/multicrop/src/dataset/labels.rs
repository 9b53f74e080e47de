//! Labels from names: the first folder of `class/…/image.jpg`.

use std::path::Path;

use super::Split;
use crate::error::Error;

/// Class names, and the class of each sample; both empty if there are no labels.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Labels {
    pub(super) classes: Vec<String>,
    pub(super) of: Vec<u32>,
}

impl Labels {
    /// Labels that are first folders, if every name has one; classes are sorted.
    pub(super) fn from_folders<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let folders = names.map(|name| name.split_once('/').map(|(folder, _)| folder));
        let Some(folders) = folders.collect::<Option<Vec<_>>>() else { return Self::default() };
        let mut classes = folders.clone();
        classes.sort_unstable();
        classes.dedup();
        // every folder is in the list that was made of them, so the search cannot fail
        let position = |folder: &&str| classes.binary_search(folder).unwrap_or(0) as u32;
        let of = folders.iter().map(position).collect();
        Self { classes: classes.into_iter().map(String::from).collect(), of }
    }

    /// Labels that are numbers: a class for each number up to the largest.
    pub(super) fn from_numbers(of: Vec<u32>) -> Self {
        let count = of.iter().max().map_or(0, |&max| max + 1);
        Self { classes: (0..count).map(|class| class.to_string()).collect(), of }
    }
}

/// Which of the first folders `folders` is the part `split`.
///
/// `None` if there are no parts and none is asked for. A source has parts if it has a folder
/// `train` and one of `test` and `val`; then the training part is the default.
pub(super) fn choose_part<'a>(
    path: &Path,
    folders: &[&'a str],
    split: Option<Split>,
) -> Result<Option<(&'a str, Split)>, Error> {
    let find = |names: &[&str]| {
        names.iter().find_map(|name| folders.iter().find(|folder| *folder == name).copied())
    };
    let (train, test) = (find(&["train"]), find(&["test", "val"]));
    let (part, split) = match split {
        None if train.is_none() || test.is_none() => return Ok(None),
        None | Some(Split::Train) => (train, Split::Train),
        Some(Split::Test) => (test, Split::Test),
    };
    let missing = match split {
        Split::Train => "there is no folder `train` in it",
        Split::Test => "there is no folder `test` or `val` in it",
    };
    let no_part =
        || Error::NoSuchSplit { path: path.into(), split: split.name(), reason: missing.into() };
    part.map(|part| Some((part, split))).ok_or_else(no_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_need_a_folder_for_every_image() {
        let labels = Labels::from_folders(["b/1", "a/x/2", "b/3"].into_iter());
        assert_eq!(labels.classes, ["a", "b"]);
        assert_eq!(labels.of, [1, 0, 1]);
        assert_eq!(Labels::from_folders(["a/1", "2"].into_iter()), Labels::default());
    }

    #[test]
    fn parts_are_chosen_by_name_and_training_is_the_default() {
        let choose = |folders: &[&'static str], split| {
            choose_part(Path::new("x"), folders, split).map(|part| part.map(|(name, _)| name)).ok()
        };
        let both = ["train", "val"];
        assert_eq!(choose(&both, None), Some(Some("train")));
        assert_eq!(choose(&both, Some(Split::Test)), Some(Some("val")));
        assert_eq!(choose(&["train", "other"], None), Some(None));
        assert_eq!(choose(&["train", "other"], Some(Split::Test)), None);
    }
}
