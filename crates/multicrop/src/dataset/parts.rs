//! Parts of a source: the words that name them.

use std::path::Path;

use super::Split;
use crate::error::Error;

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
