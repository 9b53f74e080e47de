//! Labels from names: the first folder of `class/…/image.jpg`.

use std::collections::HashMap;
use std::path::Path;

use super::Split;
use crate::error::Error;

/// Class numbers are below this: each number up to the largest gets a name.
pub(super) const MAX_CLASSES: u32 = 1 << 20;

/// Class names, and the class of each sample; both empty if there are no labels.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Labels {
    pub(super) classes: Vec<String>,
    pub(super) of: Vec<u32>,
}

impl Labels {
    /// The class of image `index` of `len`.
    ///
    /// # Panics
    /// If there is no such image.
    pub(super) fn get(&self, index: usize, len: usize) -> Option<u32> {
        assert!(index < len, "image {index} of {len}");
        self.of.get(index).copied()
    }

    /// Labels that are first folders, if every name has one; classes are sorted.
    pub(super) fn from_folders<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let first =
            |name: &'a [u8]| name.iter().position(|&byte| byte == b'/').map(|end| &name[..end]);
        Self::from_names(names.map(first))
    }

    /// Labels that are names, if every image has one; classes are sorted.
    pub(super) fn from_names<'a>(names: impl Iterator<Item = Option<&'a [u8]>>) -> Self {
        let (mut numbers, mut of) = (HashMap::new(), Vec::new());
        // neighbors often have the same name, which spares most of the look-ups
        let mut last: Option<(&[u8], u32)> = None;
        for name in names {
            let Some(name) = name else { return Self::default() };
            let number = match last {
                Some((same, number)) if same == name => number,
                _ => {
                    let next = numbers.len() as u32;
                    *numbers.entry(name).or_insert(next)
                }
            };
            last = Some((name, number));
            of.push(number);
        }
        let mut classes: Vec<_> = numbers.into_iter().collect();
        classes.sort_unstable();
        let mut rank = vec![0; classes.len()];
        for (position, (_, number)) in classes.iter().enumerate() {
            rank[*number as usize] = position as u32;
        }
        of.iter_mut().for_each(|number| *number = rank[*number as usize]);
        of.shrink_to_fit();
        let name = |(name, _): (&[u8], u32)| String::from_utf8_lossy(name).into_owned();
        Self { classes: classes.into_iter().map(name).collect(), of }
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
        let from_folders =
            |names: &[&str]| Labels::from_folders(names.iter().map(|name| name.as_bytes()));
        let labels = from_folders(&["b/1", "a/x/2", "b/3"]);
        assert_eq!(labels.classes, ["a", "b"]);
        assert_eq!(labels.of, [1, 0, 1]);
        assert_eq!(from_folders(&["a/1", "2"]), Labels::default());
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
