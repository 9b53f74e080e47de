//! Finds the files of sources that consist of several, and the part that each belongs to.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::bytes::{malformed, unreadable};
use super::left_out::{Part, Tally};
use super::names::{is_hidden, to_bytes};
use super::{Split, parts};
use crate::error::Error;

/// Limit on the number of files that a pattern may stand for.
const MAX_FILES: usize = 1 << 20;

/// The shard layout of a source in which random access is expensive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards {
    /// For each shard the index of the first sample after it; the first shard starts with sample 0.
    pub ends: Vec<usize>,
    /// How many shards the source can keep loaded, and so how many are mixed.
    pub window: usize,
    /// Whether loading a shard is slow, so that [`Dataset::prepare`](super::Dataset::prepare)
    /// should be called before its first image is read.
    pub slow: bool,
}

/// The files of a source.
pub(super) struct ShardFiles {
    /// The path or pattern that the user gave.
    pub(super) path: PathBuf,
    pub(super) files: Vec<PathBuf>,
    /// The part that was chosen by file names.
    pub(super) split: Option<Split>,
    /// All parts that the file names mention.
    pub(super) parts: Vec<Part>,
    /// Files that belong to no part, although others do.
    pub(super) left_out: Tally,
}

impl ShardFiles {
    /// All of these files.
    pub(super) fn all(path: &Path, files: Vec<PathBuf>) -> Self {
        let (parts, left_out) = (Vec::new(), Tally::default());
        Self { path: path.into(), files, split: None, parts, left_out }
    }

    pub(super) fn one(path: &Path) -> Self {
        Self::all(path, vec![path.into()])
    }
}

/// True for the extension of a tar archive, gzipped or not, or of a parquet file.
fn is_shard(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !is_hidden(name.as_bytes())
        && [".tar", ".tar.gz", ".tgz", ".parquet"].iter().any(|end| name.ends_with(end))
}

/// The shards and the visible folders directly in a folder; both sorted.
pub(super) fn in_folder(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Error> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in folder.read_dir().map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        let path = entry.path();
        if is_shard(&path) {
            files.push(path);
        } else if !is_hidden(&to_bytes(&entry.file_name())) && path.is_dir() {
            folders.push(path);
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

/// The shards in a folder, then those in all folders below it.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        // visiting each real folder once ends loops of links
        let canonical = folder.canonicalize().map_err(unreadable(&folder))?;
        if seen.insert(canonical) {
            let (direct, folders) = in_folder(&folder)?;
            files.extend(direct);
            waiting.extend(folders.into_iter().rev());
        }
    }
    Ok(files)
}

/// Chooses the files of the part `split`, by words in their names or in those of their folders (see
/// [`parts`]): `train-0001.tar`, `data/test-00000-of-00004.parquet`, `val/0001.tar`.
///
/// Without `split`, chooses the training part if there is also another one, otherwise all files. If
/// the part `split` does not exist, chooses no file.
pub(super) fn choose_files(path: &Path, files: Vec<PathBuf>, split: Option<Split>) -> ShardFiles {
    let part_of = |file: &PathBuf| parts::split_of_file(file.strip_prefix(path).unwrap_or(file));
    let present: Vec<_> = files.iter().filter_map(part_of).collect();
    let Some(chosen) = parts::choose(&present, split) else {
        let files = if split.is_none() { files } else { Vec::new() };
        return ShardFiles::all(path, files);
    };
    let (mut read, mut left_out) = (Vec::new(), Tally::default());
    for file in files {
        match part_of(&file) {
            Some(part) if part == chosen => read.push(file),
            Some(_) => {}
            None => left_out.add("files that belong to no part", &to_bytes(file.as_os_str())),
        }
    }
    let all = [Split::Train, Split::Val, Split::Test];
    let counted = all.map(|part| (part, present.iter().filter(|found| **found == part).count()));
    let parts = counted.into_iter().filter(|(_, count)| *count > 0).map(|(part, count)| Part {
        name: part.name().into(),
        count,
        unit: "files",
        read: part == chosen,
    });
    let (path, split) = (path.into(), split.or(Some(chosen)));
    ShardFiles { path, files: read, split, parts: parts.collect(), left_out }
}

/// True if a source has braces: `shards-{000..031}.tar`.
pub(super) fn is_pattern(source: &str) -> bool {
    source.contains('{') && source.contains('}')
}

/// Expands a pattern with `{first..last}` or `{one,other}` to files, in order.
///
/// # Errors
/// If braces do not match, hold neither a range nor a list, or stand for too many files.
pub(super) fn expand(pattern: &str) -> Result<Vec<PathBuf>, Error> {
    let wrong = |reason: &str| malformed(Path::new(pattern), reason.into());
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after
            .split_once('}')
            .ok_or_else(|| wrong("has a `{` without `}`; write a range as `{000..031}`"))?;
        let choices = choices(inside).ok_or_else(|| {
            wrong("needs a range such as `{000..031}` or a list such as `{a,b}` in its braces")
        })?;
        if names.len().saturating_mul(choices.len()) > MAX_FILES {
            return Err(wrong("stands for more than a million files; name fewer"));
        }
        let longer = |name: &String| {
            let name = format!("{name}{before}");
            choices.iter().map(move |choice| format!("{name}{choice}")).collect::<Vec<_>>()
        };
        names = names.iter().flat_map(longer).collect();
        rest = after;
    }
    Ok(names.into_iter().map(|name| PathBuf::from(name + rest)).collect())
}

/// Expands `000..031` or `a,b`; numbers are padded to the width of the first.
fn choices(inside: &str) -> Option<Vec<String>> {
    let Some((first, last)) = inside.split_once("..") else {
        let list: Vec<_> = inside.split(',').map(String::from).collect();
        return (list.len() > 1).then_some(list);
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let (start, end): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    let width = first.len();
    (start <= end && end - start < MAX_FILES)
        .then(|| (start..=end).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_ranges_and_lists() {
        let names = |pattern| {
            let paths = expand(pattern).map_err(|error| error.to_string())?;
            Ok::<_, String>(paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(names("s-{08..10}.tar").unwrap(), ["s-08.tar", "s-09.tar", "s-10.tar"]);
        assert_eq!(names("{a,b}{1..2}").unwrap(), ["a1", "a2", "b1", "b2"]);
        for wrong in ["{1..", "x{a}", "{2..1}", "{a..b}", "{0..99999999}", "{0..1999}{0..1999}"] {
            let error = names(wrong).unwrap_err();
            assert!(error.starts_with(&format!("`{wrong}`")), "{error}");
        }
    }

    #[test]
    fn parts_are_chosen_by_words_in_names() {
        let choose = |names: &[&str], split| {
            let files = names.iter().map(|name| Path::new("root").join(name)).collect();
            choose_files(Path::new("root"), files, split).files.len()
        };
        let files = ["train-0.tar", "train-1.tar", "test-0.tar", "validation-0.tar"];
        assert_eq!((choose(&files, None), choose(&files, Some(Split::Test))), (2, 1));
        assert_eq!(choose(&files, Some(Split::Val)), 1);
        assert_eq!(choose(&["train/0.tar", "val/0.tar", "val/1.tar"], Some(Split::Test)), 2);
        assert_eq!(choose(&["training.tar", "0.tar"], None), 2);
        assert_eq!(choose(&["training.tar", "Valid.tar", "0.tar"], None), 1);
        assert_eq!(choose(&["constrain-0.tar"], Some(Split::Train)), 0);
    }
}
