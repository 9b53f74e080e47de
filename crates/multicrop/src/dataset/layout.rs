//! [`Layout`] derives the part and the class of images from their names.
//!
//! Folders and archives follow the same rule. Folders that contain all images and hold only folders
//! do not count: `photos/cat/1.jpg` and `photos/dog/2.jpg` are read as `cat/1.jpg` and `dog/2.jpg`.
//! Then, if the first folders are parts (see [`parts`](super::parts)), the images of one part are
//! read, and the folders below it come first. The first folder is the class; an image outside all
//! folders has none.

use std::collections::BTreeMap;
use std::path::Path;

use super::Split;
use super::left_out::{BESIDE, Part, Tally};
use super::names::to_text;
use super::parts;
use crate::error::Error;

/// Which images are read, by their names.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The common prefix of the names of these images, which is removed; it ends with a `/`.
    prefix: Vec<u8>,
    /// The folders after the prefix that make up the part; empty if it is one folder, which is then
    /// part of the prefix, or if all images are read.
    folders: Vec<Vec<u8>>,
    pub(super) split: Option<Split>,
    pub(super) parts: Vec<Part>,
    pub(super) left_out: Tally,
    /// A sentence about parts of which none is the training part.
    pub(super) remark: Option<String>,
}

/// The contents of one level: folders with the number of images in each, and images outside of
/// them.
struct Level<'a> {
    folders: BTreeMap<&'a [u8], Count<'a>>,
    loose: Option<Count<'a>>,
    /// Whether an image lies directly in one of the folders.
    direct: bool,
}

/// A number of images, and the name of one of them.
#[derive(Debug, Clone, Copy, Default)]
struct Count<'a> {
    images: usize,
    example: &'a [u8],
}

impl Layout {
    /// The layout of the source `path` with images of these names. `folders` are first folders,
    /// which may have no images.
    ///
    /// # Errors
    /// If `split` names a part that does not exist.
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
            let mut folders = level.folders.iter().filter(|(_, count)| count.images > 0);
            let (Some((folder, _)), None, None) = (folders.next(), folders.next(), level.loose)
            else {
                break;
            };
            let deeper = depth + folder.len() + 1;
            let next = Level::at(deeper, names.clone());
            if level.direct {
                // an image next to the subfolders makes this folder a class, unless they are parts
                match next.parts(names.clone(), deeper, split) {
                    Some(layout) => return Ok(layout),
                    None => break,
                }
            }
            (depth, level) = (deeper, next);
        }
        if let Some(split) = split {
            return Err(parts::no_folder(path, split, level.folders.keys().copied()));
        }
        let remark = level.without_training_part(path);
        Ok(Self { prefix: prefix(names, depth), remark, ..Self::default() })
    }

    /// The name of an image without the prefix; `None` if the image is not read.
    pub(super) fn keep<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let name = name.strip_prefix(&self.prefix[..])?;
        let first = || name.split(|&byte| byte == b'/').next().unwrap_or_default();
        (self.folders.is_empty() || self.folders.iter().any(|folder| folder == first()))
            .then_some(name)
    }

    /// The class of an image, from its name as [`keep`](Self::keep) returns it.
    pub(super) fn class<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let mut parts =
            name.split(|&byte| byte == b'/').skip(usize::from(!self.folders.is_empty()));
        let first = parts.next()?;
        parts.next().is_some().then_some(first)
    }

    /// The prefix that is removed from names, without the last `/`.
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

/// Length of the first folder of a name, and whether the image lies directly in it; `None` for an image
/// outside all folders.
///
/// Reads no byte after the second `/`. Folders that contain everything are removed one by one, so reading
/// on would take time quadratic in the length of a name.
fn first_folder(mut name: impl Iterator<Item = u8>) -> Option<(usize, bool)> {
    let end = name.position(|byte| byte == b'/')?;
    Some((end, !name.any(|byte| byte == b'/')))
}

impl<'a> Level<'a> {
    /// A sentence if folders are parts, and none the training part.
    fn without_training_part(&self, path: &Path) -> Option<String> {
        let with_images = self.folders.iter().filter(|(_, count)| count.images > 0);
        let of_folder =
            |(name, _): (&&'a [u8], _)| Some((to_text(name), parts::split_of_folder(name)?));
        let found: Vec<_> = with_images.filter_map(of_folder).collect();
        let names: Vec<_> = found.iter().map(|(name, _)| format!("`{name}`")).collect();
        let (_, first) = found.first()?;
        (found.len() > 1 && found.iter().all(|(_, part)| *part != Split::Train)).then(|| {
            format!(
                "the folders {} of `{}` are read as classes, because there is no folder `train`: `{}:{first}` reads one \
                 part alone",
                names.join(" and "),
                path.display(),
                path.display()
            )
        })
    }

    /// The contents after the first `depth` bytes of the names, which are equal in all names.
    fn at(depth: usize, names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut level = Self { folders: BTreeMap::new(), loose: None, direct: false };
        // neighbors are mostly in the same folder, which saves most look-ups
        let mut last: Option<(&[u8], usize)> = None;
        for name in names {
            let rest = &name[depth..];
            let Some((end, direct)) = first_folder(rest.iter().copied()) else {
                level.loose.get_or_insert(Count { images: 0, example: name }).images += 1;
                continue;
            };
            let folder = &rest[..end];
            level.direct |= direct;
            match &mut last {
                Some((same, count)) if *same == folder => *count += 1,
                _ => {
                    level.count(last.take());
                    level.folders.entry(folder).or_insert(Count { images: 0, example: name });
                    last = Some((folder, 1));
                }
            }
        }
        level.count(last);
        level
    }

    fn count(&mut self, run: Option<(&'a [u8], usize)>) {
        let Some((folder, count)) = run else { return };
        self.folders.entry(folder).or_default().images += count;
    }

    /// The layout for the part that is read, if these folders are parts.
    fn parts(
        &self,
        names: impl Iterator<Item = &'a [u8]>,
        depth: usize,
        split: Option<Split>,
    ) -> Option<Layout> {
        let splits = parts::splits_of_folders(self.folders.keys().copied());
        let folders = || self.folders.iter().zip(&splits);
        let found: Vec<_> = folders()
            .filter_map(|((&folder, count), split)| Some(((*split)?, folder, count.images)))
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
        let others = folders().filter(|(_, split)| split.is_none()).map(|((_, count), _)| *count);
        for Count { images, example } in others.chain(self.loose) {
            if images > 0 {
                layout.left_out.add_many(BESIDE, images as u64, example);
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
    fn folders_that_contain_everything_do_not_count() {
        let names = ["p/q/a/1", "p/q/b/2"];
        assert_eq!(find(&names, None).0, [("a/1", "a"), ("b/2", "b")]);
        assert_eq!(find(&["p/a/1"], None).0, [("a/1", "a")]);
        assert_eq!(find(&["a/1"], None).0, [("a/1", "a")]);
        assert_eq!(find(&["p/a/1", "p/2"], None).0[0], ("p/a/1", "p"));
    }

    #[test]
    fn a_part_is_chosen_and_images_outside_the_parts_are_counted() {
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
    fn a_name_is_read_up_to_its_second_folder() {
        let found = |name: &str| {
            let mut bytes_read = 0;
            let found = first_folder(name.bytes().inspect(|_| bytes_read += 1));
            (found, bytes_read)
        };
        assert_eq!(found(&("ab/c/".to_owned() + &"d/".repeat(1000))), (Some((2, false)), 5));
        assert_eq!(found("ab/1.png"), (Some((2, true)), 8));
        assert_eq!(found("1.png"), (None, 5));
    }

    #[test]
    fn parts_may_share_a_name() {
        let names = ["birds_train/a/1", "birds_train/b/2", "birds_val/a/3"];
        assert_eq!(find(&names, None).0, [("a/1", "a"), ("b/2", "b")]);
        assert_eq!(find(&names, Some(Split::Val)).0, [("a/3", "a")]);
        let classes = ["bullet_train/1", "car/2"];
        assert_eq!(find(&classes, None).0, [("bullet_train/1", "bullet_train"), ("car/2", "car")]);
    }

    #[test]
    fn two_folders_can_be_one_part() {
        let names = ["Train/a/1", "training/b/2", "val/a/3"];
        assert_eq!(find(&names, None).0, [("Train/a/1", "a"), ("training/b/2", "b")]);
    }
}
