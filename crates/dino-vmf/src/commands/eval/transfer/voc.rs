//! Reads the layout of PASCAL VOC.
//!
//! ```text
//! JPEGImages/NAME.jpg
//! ImageSets/Main/CLASS_PART.txt      `NAME LABEL` in each line; PART: train, val, trainval, test
//! ```
//!
//! A label is 1 if an object of the class is in the image, −1 if there is none, and 0 if all of them are difficult to
//! see. As in the code of Ericsson et al., 0 is no member of the class.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use multicrop::dataset::ImageFiles;
use report::number::counted;

/// Folders in which the layout may lie.
const INSIDE: [&str; 4] = ["", "VOCdevkit/VOC2007", "VOC2007", "VOCdevkit/VOC2012"];
const PARTS: [&str; 4] = ["train", "val", "trainval", "test"];

/// A part of the data set.
pub(super) struct Part {
    pub(super) images: ImageFiles,
    pub(super) classes: Vec<String>,
    /// For each class, whether each image belongs to it.
    pub(super) members: Vec<Vec<bool>>,
    /// How many labels are of difficult objects, if there are any.
    pub(super) note: Option<String>,
}

/// The folder with the layout: `folder` itself, or one in it.
pub(super) fn find(folder: &str) -> Option<PathBuf> {
    let folders = INSIDE.iter().map(|inside| Path::new(folder).join(inside));
    folders.into_iter().find(|folder| lists(folder).is_dir())
}

/// Whether the layout in `folder` has lists of this part.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn has_part(folder: &str, part: &str) -> Result<bool> {
    let files = find(folder).map(|folder| class_files(&folder, part)).transpose()?;
    Ok(files.is_some_and(|files| !files.is_empty()))
}

/// Opens `FOLDER:PART`; `None` if the folder has another layout.
///
/// # Errors
/// A part that is missing, a line that is no label, an image that is missing, or lists of different images.
pub(super) fn open(source: &str) -> Result<Option<Part>> {
    let suffix =
        PARTS.iter().find_map(|part| Some((source.strip_suffix(part)?.strip_suffix(':')?, *part)));
    let (folder, part) = suffix.unwrap_or((source, "trainval"));
    let Some(folder) = find(folder) else { return Ok(None) };
    let files = class_files(&folder, part)?;
    ensure!(!files.is_empty(), "`{}` has no file `CLASS_{part}.txt`", lists(&folder).display());
    let mut names: Vec<String> = Vec::new();
    let (mut classes, mut members, mut difficult) = (Vec::new(), Vec::new(), 0);
    for (class, file) in files {
        let labels = read_labels(&file)?;
        if classes.is_empty() {
            names = labels.iter().map(|(name, _)| name.clone()).collect();
        }
        let of: HashMap<&str, i32> = labels.iter().map(|(name, of)| (&**name, *of)).collect();
        let shown = file.display();
        ensure!(of.len() == labels.len(), "`{shown}` names an image twice");
        ensure!(
            of.len() == names.len() && names.iter().all(|name| of.contains_key(&**name)),
            "`{shown}` lists other images than the first class of its part"
        );
        difficult += of.values().filter(|label| **label == 0).count();
        members.push(names.iter().map(|name| of[&**name] == 1).collect());
        classes.push(class);
    }
    let path = |name: &String| folder.join("JPEGImages").join(format!("{name}.jpg"));
    let images = ImageFiles::new(names.iter().map(path).collect::<Vec<PathBuf>>());
    let images = images.map_err(|path| {
        anyhow!(
            "`{}` is no image, but a list in `{}` names it",
            path.display(),
            lists(&folder).display()
        )
    })?;
    let note = (difficult > 0).then(|| {
        let labels = counted(difficult, "label");
        format!("{labels} of `{}` ({part}) are of difficult objects and count as no member of the class", folder.display())
    });
    Ok(Some(Part { images, classes, members, note }))
}

fn lists(folder: &Path) -> PathBuf {
    folder.join("ImageSets/Main")
}

/// The file of each class of a part, by class.
fn class_files(folder: &Path, part: &str) -> Result<BTreeMap<String, PathBuf>> {
    let lists = lists(folder);
    let mut files = BTreeMap::new();
    let cannot = || format!("cannot read `{}`", lists.display());
    for entry in fs::read_dir(&lists).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(class) = name.strip_suffix(&format!("_{part}.txt")) {
            files.insert(class.to_owned(), path);
        }
    }
    Ok(files)
}

fn read_labels(file: &Path) -> Result<Vec<(String, i32)>> {
    let shown = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{shown}`"))?;
    let mut labels = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let label = match words[..] {
            [name, "1"] => (name, 1),
            [name, "0"] => (name, 0),
            [name, "-1"] => (name, -1),
            _ => bail!(
                "line {} of `{shown}` is `{line}`: a name and 1, 0 or -1 are expected",
                number + 1
            ),
        };
        labels.push((label.0.to_owned(), label.1));
    }
    ensure!(!labels.is_empty(), "`{shown}` names no image");
    Ok(labels)
}
