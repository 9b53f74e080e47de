//! A folder of images, searched recursively.

use std::path::{Path, PathBuf};

use super::bytes::{read_file, unreadable};
use super::cache::Cache;
use super::labels::Labels;
use super::names::{Names, to_path};
use super::parts::choose_part;
use super::{Dataset, Sample, Split};
use crate::error::{Error, SampleError};

pub(super) mod walk;

use walk::Tree;

/// Smaller folders are listed as fast as a file with the list is read.
const MIN_CACHED: usize = 1000;

/// All images below a folder, sorted by path; the label is the first folder below the root.
///
/// An image is a file with the extension of one, or with an image's first bytes. Names that start
/// with a dot are skipped. Each real folder is visited once, so links in a loop end. The list of a
/// large folder is kept in the user's cache folder, and folders are listed again only when their
/// time of modification has changed.
pub struct Folder {
    root: PathBuf,
    split: Option<Split>,
    files: Names,
    labels: Labels,
}

impl Folder {
    /// Lists the images below `root`, or below its folder for `split`.
    ///
    /// # Errors
    /// If a folder cannot be read, there is no such part, or there is no image.
    pub fn open(root: &Path, split: Option<Split>) -> Result<Self, Error> {
        Self::open_cached(root, split, &Cache::of_user())
    }

    fn open_cached(root: &Path, split: Option<Split>, cache: &Cache) -> Result<Self, Error> {
        let folders = part_folders(root)?;
        let part = choose_part(root, &folders, split)?;
        let split = part.map(|(_, split)| split);
        let root = part.map_or(root.to_path_buf(), |(folder, _)| root.join(folder));
        let files = find_images(&root, cache)?;
        if files.is_empty() {
            return Err(Error::NoImages { path: root });
        }
        let labels = Labels::from_folders(files.iter());
        Ok(Self { root, split, files, labels })
    }

    fn path(&self, index: usize) -> PathBuf {
        self.root.join(to_path(self.files.get(index)))
    }
}

impl Dataset for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        read_file(&self.path(index))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index, self.len())
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn name(&self, index: usize) -> String {
        self.path(index).to_string_lossy().into_owned()
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        format!("folder `{}`{part}", self.root.display())
    }
}

/// The folders directly in `root` that could be a part.
fn part_folders(root: &Path) -> Result<Vec<&'static str>, Error> {
    root.read_dir().map_err(unreadable(root))?;
    Ok(["train", "test", "val"].into_iter().filter(|name| root.join(name).is_dir()).collect())
}

/// Paths of all images below `root`, relative to it, sorted.
fn find_images(root: &Path, cache: &Cache) -> Result<Names, Error> {
    let known: Option<Tree> = cache.load("folder", root).filter(Tree::is_sound);
    let tree = Tree::walk(root, known.as_ref().unwrap_or(&Tree::default()))?;
    let images = tree.images();
    let unchanged = known.is_some_and(|known| tree.same_times(&known));
    if images.len() >= MIN_CACHED && !unchanged {
        cache.store("folder", root, &tree);
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    /// Makes a folder look as if it had been changed so many seconds after a day in 2001.
    fn date(folder: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds);
        File::open(folder).and_then(|file| file.set_modified(time)).expect("a time is set");
    }

    #[test]
    fn a_cached_list_is_used_until_a_folder_changes() {
        let root = tempfile::tempdir().expect("a folder");
        let cache_folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(cache_folder.path());
        let (a, b) = (root.path().join("a"), root.path().join("b/deep"));
        fs::create_dir_all(&a).expect("made");
        fs::create_dir_all(&b).expect("made");
        for i in 0..MIN_CACHED {
            fs::write(a.join(format!("{i:04}.jpg")), b"").expect("written");
        }
        let settle = || {
            let folders = [root.path(), &a, &root.path().join("b"), &b];
            folders.into_iter().for_each(|folder| date(folder, 0));
        };
        let len =
            || Folder::open_cached(root.path(), None, &cache).map(|data| data.len()).expect("ok");
        settle();
        assert_eq!(len(), MIN_CACHED);
        // a file that came without a trace is not seen, so the list was not made again
        fs::write(b.join("new.jpg"), b"").expect("written");
        settle();
        assert_eq!(len(), MIN_CACHED);
        date(&b, 50);
        assert_eq!(len(), MIN_CACHED + 1);
        fs::remove_dir_all(root.path().join("b")).expect("removed");
        date(root.path(), 30);
        assert_eq!(len(), MIN_CACHED);
        for file in cache_folder.path().read_dir().expect("a folder") {
            fs::write(file.expect("a file").path(), b"dino-vmf index 1\nnonsense").expect("ok");
        }
        assert_eq!(len(), MIN_CACHED);
    }
}
