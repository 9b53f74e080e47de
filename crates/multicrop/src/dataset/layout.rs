//! What the names of images say: which part they belong to, and their class.
//!
//! Folders and archives have the same rule. Folders that are around all images and hold nothing but
//! folders do not count: `photos/cat/1.jpg` and `photos/dog/2.jpg` are `cat/1.jpg` and `dog/2.jpg`. Then,
//! if the first folders are parts (see [`parts`](super::parts)), the images of one part are read, and the
//! folders below it are the first ones. The first folder is the class; an image outside of all
//! folders has none.

use std::collections::BTreeMap;
use std::path::Path;

use super::Split;
use super::left_out::{Part, Tally};
use super::names::to_text;
use super::parts;
use crate::error::Error;

/// What is left out of a source with parts.
const BESIDE: &str = "images that lie beside the parts";

/// Which images are read, by their names.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// What the names of these images begin with and what is cut off, with a `/` at its end.
    prefix: Vec<u8>,
    /// The folders behind it that make up the part; none if it is a single one, or all images are read.
    folders: Vec<Vec<u8>>,
    pub(super) split: Option<Split>,
    pub(super) parts: Vec<Part>,
    pub(super) left_out: Tally,
}

/// What lies at one level: folders with the number of images in each, and images outside of them.
struct Level<'a> {
    folders: BTreeMap<&'a [u8], (usize, &'a [u8])>,
    loose: Option<(usize, &'a [u8])>,
    /// Whether an image lies directly in one of the folders.
    direct: bool,
}

impl Layout {
    /// The layout of the source `path` with images of these names. `folders` are first folders that may
    /// have no image.
    ///
    /// # Errors
    /// If the part `split` is asked for and there is none.
    pub(super) fn find<'a>(
        path: &Path,
        names: impl Iterator<Item = &'a [u8]> + Clone,
        folders: impl Iterator<Item = &'a [u8]>,
        split: Option<Split>,
    ) -> Result<Self, Error> {
        let mut level = Level::at(0, names.clone());
        for folder in folders {
            level.folders.entry(folder).or_default();
        }
        let mut depth = 0;
        loop {
            if let Some(layout) = level.parts(names.clone(), depth, split) {
                return Ok(layout);
            }
            let mut folders = level.folders.iter().filter(|(_, (images, _))| *images > 0);
            let (Some((folder, _)), None, None) = (folders.next(), folders.next(), level.loose)
            else {
                break;
            };
            let deeper = depth + folder.len() + 1;
            let next = Level::at(deeper, names.clone());
            if level.direct {
                // an image beside the folders makes this one a class, unless these are parts
                match next.parts(names.clone(), deeper, split) {
                    Some(layout) => return Ok(layout),
                    None => break,
                }
            }
            (depth, level) = (deeper, next);
        }
        if let Some(split) = split {
            return Err(parts::no_folder(path, split));
        }
        Ok(Self { prefix: prefix(names, depth), ..Self::default() })
    }

    /// The name of an image without what is cut off, if the image is read.
    pub(super) fn keep<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let name = name.strip_prefix(&self.prefix[..])?;
        let first = || name.split(|&byte| byte == b'/').next().unwrap_or_default();
        (self.folders.is_empty() || self.folders.iter().any(|folder| folder == first()))
            .then_some(name)
    }

    /// The class that the name of an image says, as [`keep`](Self::keep) returns it.
    pub(super) fn class<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let mut parts =
            name.split(|&byte| byte == b'/').skip(usize::from(!self.folders.is_empty()));
        let first = parts.next()?;
        parts.next().is_some().then_some(first)
    }

    /// What is cut off the names, without the last `/`.
    pub(super) fn prefix(&self) -> &[u8] {
        self.prefix.strip_suffix(b"/").unwrap_or_default()
    }

    /// The folder of the part, with a `/`; empty if no part was chosen or it has several folders.
    pub(super) fn part_folder(&self) -> &[u8] {
        match self.split {
            None => b"",
            Some(_) => {
                let end = self.prefix.len().saturating_sub(1);
                let start = self.prefix[..end].iter().rposition(|&byte| byte == b'/');
                &self.prefix[start.map_or(0, |slash| slash + 1)..]
            }
        }
    }
}

/// The first `depth` bytes of all names.
fn prefix<'a>(mut names: impl Iterator<Item = &'a [u8]>, depth: usize) -> Vec<u8> {
    names.next().map_or(Vec::new(), |name| name[..depth].to_vec())
}

impl<'a> Level<'a> {
    /// What lies behind the first `depth` bytes of the names, which are the same folders in all.
    fn at(depth: usize, names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut level = Self { folders: BTreeMap::new(), loose: None, direct: false };
        // neighbors mostly lie in the same folder, which spares most of the look-ups
        let mut last: Option<(&[u8], usize)> = None;
        for name in names {
            let rest = &name[depth..];
            let Some(end) = rest.iter().position(|&byte| byte == b'/') else {
                level.loose.get_or_insert((0, name)).0 += 1;
                continue;
            };
            let folder = &rest[..end];
            level.direct = level.direct || !rest[end + 1..].contains(&b'/');
            match &mut last {
                Some((same, count)) if *same == folder => *count += 1,
                _ => {
                    level.count(last.take());
                    level.folders.entry(folder).or_insert((0, name));
                    last = Some((folder, 1));
                }
            }
        }
        level.count(last);
        level
    }

    fn count(&mut self, run: Option<(&'a [u8], usize)>) {
        let Some((folder, count)) = run else { return };
        self.folders.entry(folder).or_default().0 += count;
    }

    /// The part that is read, if these folders are parts.
    fn parts(
        &self,
        names: impl Iterator<Item = &'a [u8]>,
        depth: usize,
        split: Option<Split>,
    ) -> Option<Layout> {
        let found: Vec<_> = self
            .folders
            .iter()
            .filter_map(|(&folder, &(images, _))| Some((parts::of_folder(folder)?, folder, images)))
            .collect();
        let present: Vec<_> = found.iter().map(|&(part, ..)| part).collect();
        let chosen = parts::choose(&present, split)?;
        let mut layout = Layout { split: split.or(Some(chosen)), ..Layout::default() };
        for &(part, folder, count) in &found {
            let (name, read) = (to_text(folder), part == chosen);
            layout.parts.push(Part { name, count, unit: "images", read });
            if read {
                layout.folders.push(folder.to_vec());
            }
        }
        let beside = self.folders.iter().filter(|(folder, _)| parts::of_folder(folder).is_none());
        for (count, example) in beside.map(|(_, beside)| *beside).chain(self.loose) {
            if count > 0 {
                layout.left_out.add_many(BESIDE, count as u64, example);
            }
        }
        layout.prefix = prefix(names, depth);
        if let [folder] = &layout.folders[..] {
            layout.prefix.extend_from_slice(folder);
            layout.prefix.push(b'/');
            layout.folders.clear();
        }
        Some(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that are kept with their classes, and the layout.
    fn find<'a>(names: &[&'a str], split: Option<Split>) -> (Vec<(&'a str, &'a str)>, Layout) {
        let bytes = || names.iter().map(|name| name.as_bytes());
        let layout = Layout::find(Path::new("x"), bytes(), std::iter::empty(), split).expect("ok");
        let text = |bytes| std::str::from_utf8(bytes).expect("text");
        let kept = bytes().filter_map(|name| layout.keep(name));
        let kept = kept.map(|name| (text(name), layout.class(name).map_or("", text))).collect();
        (kept, layout)
    }

    #[test]
    fn the_first_folder_is_the_class_and_a_loose_image_has_none() {
        let names = ["a/1", "b/x/2", "3"];
        assert_eq!(find(&names, None).0, [("a/1", "a"), ("b/x/2", "b"), ("3", "")]);
    }

    #[test]
    fn folders_around_everything_do_not_count() {
        let names = ["p/q/a/1", "p/q/b/2"];
        assert_eq!(find(&names, None).0, [("a/1", "a"), ("b/2", "b")]);
        assert_eq!(find(&["p/a/1"], None).0, [("a/1", "a")]);
        assert_eq!(find(&["a/1"], None).0, [("a/1", "a")]);
        assert_eq!(find(&["p/a/1", "p/2"], None).0[0], ("p/a/1", "p"));
    }

    #[test]
    fn a_part_is_chosen_and_what_lies_beside_it_is_counted() {
        let names = ["p/extra/a/1", "p/loose", "p/train/a/2", "p/train/b/3", "p/val/a/4"];
        let (kept, layout) = find(&names, None);
        assert_eq!(kept, [("a/2", "a"), ("b/3", "b")]);
        assert_eq!((layout.prefix(), layout.part_folder()), (&b"p/train"[..], &b"train/"[..]));
        let left = layout.left_out.finish();
        assert_eq!((left[0].count, &left[0].example[..]), (2, "p/extra/a/1"));
        let parts: Vec<_> = layout.parts.iter().map(|p| (&p.name[..], p.count, p.read)).collect();
        assert_eq!(parts, [("train", 2, true), ("val", 1, false)]);
        assert_eq!(find(&names, Some(Split::Test)).0, [("a/4", "a")]);
        assert_eq!(find(&["train/a/1", "train/b/2"], Some(Split::Train)).0[1], ("b/2", "b"));
    }

    #[test]
    fn two_folders_can_be_one_part() {
        let names = ["Train/a/1", "training/b/2", "val/a/3"];
        assert_eq!(find(&names, None).0, [("Train/a/1", "a"), ("training/b/2", "b")]);
    }
}
