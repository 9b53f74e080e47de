//! A folder of images, searched recursively.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::bytes::unreadable;
use super::labels::{Labels, choose_part};
use super::{Dataset, Sample, Split};
use crate::decode;
use crate::error::{Error, SampleError};

/// Files of these names are taken as images without a look into them.
const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "jfif"];

/// All images below a folder, sorted by path; the label is the first folder below the root.
///
/// An image is a file with the extension of one, or with an image's first bytes. Names that start
/// with a dot are skipped. Each real folder is visited once, so links in a loop end.
pub struct Folder {
    root: PathBuf,
    split: Option<Split>,
    files: Vec<PathBuf>,
    labels: Labels,
}

impl Folder {
    /// Lists the images below `root`, or below its folder for `split`.
    ///
    /// # Errors
    /// If a folder cannot be read, there is no such part, or there is no image.
    pub fn open(root: &Path, split: Option<Split>) -> Result<Self, Error> {
        let folders: Vec<_> = list(root)?
            .into_iter()
            .filter(|path| path.is_dir())
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        let folders: Vec<_> = folders.iter().map(String::as_str).collect();
        let part = choose_part(root, &folders, split)?;
        let split = part.map(|(_, split)| split);
        let root = part.map_or(root.to_path_buf(), |(folder, _)| root.join(folder));
        let files = find_images(&root)?;
        if files.is_empty() {
            return Err(Error::NoImages { path: root });
        }
        let names: Vec<_> = files.iter().map(|file| display(file)).collect();
        let labels = Labels::from_folders(names.iter().map(String::as_str));
        Ok(Self { root, split, files, labels })
    }
}

impl Dataset for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let bytes = fs::read(self.root.join(&self.files[index]));
        let unreadable =
            |error: std::io::Error| SampleError::Unreadable { reason: error.to_string() };
        Ok(Sample::Encoded(bytes.map_err(unreadable)?.into()))
    }

    fn label(&self, index: usize) -> Option<u32> {
        assert!(index < self.len(), "image {index} of {}", self.len());
        self.labels.of.get(index).copied()
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn name(&self, index: usize) -> String {
        self.root.join(&self.files[index]).to_string_lossy().into_owned()
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        format!("folder `{}`{part}", self.root.display())
    }
}

/// A relative path with `/` between its parts.
fn display(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// What lies directly in a folder, sorted, without hidden names.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Paths of all images below `root`, relative to it, sorted.
fn find_images(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut images, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![root.to_path_buf()]);
    while let Some(folder) = open.pop() {
        if !seen.insert(folder.canonicalize().map_err(unreadable(&folder))?) {
            continue;
        }
        let (folders, files): (Vec<_>, Vec<_>) =
            list(&folder)?.into_iter().partition(|path| path.is_dir());
        let relative = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).to_path_buf();
        images.extend(files.iter().filter(|path| is_image(path)).map(relative));
        // the first name is visited first, which decides where a folder with two names is found
        open.extend(folders.into_iter().rev());
    }
    images.sort();
    Ok(images)
}

/// By extension, or else by the first bytes.
fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    if EXTENSIONS.iter().any(|&known| extension == known) {
        // a link to nothing is listed, and turns out to be bad
        return true;
    }
    let mut start = Vec::new();
    path.is_file()
        && File::open(path).and_then(|file| file.take(16).read_to_end(&mut start)).is_ok()
        && decode::format(&start).is_some()
}
