//! [`Folder`] reads images from a folder, searched recursively.

use std::path::{Path, PathBuf};

use super::bytes::{read_file, unreadable};
use super::cache::Cache;
use super::labels::Labels;
use super::layout::Layout;
use super::left_out::{LeftOut, Part};
use super::names::{Names, to_path};
use super::{Dataset, Sample, Split};
use crate::error::{Error, SampleError};

mod listing;
mod walk;

use walk::Tree;

/// Listing a smaller folder is as fast as reading its list from the cache.
const MIN_CACHED: usize = 1000;

/// All images below a folder, sorted by path; the label is the first folder below the root.
///
/// An image is a file with an image's extension or first bytes. Hidden files are left out and
/// counted. Each real folder is visited once, so loops of links end. The list of a large folder is
/// kept in the user's cache folder, and only folders that have changed are listed again.
pub struct Folder {
    /// The source, or the folder below it that contains all images of the part.
    root: PathBuf,
    split: Option<Split>,
    files: Names,
    labels: Labels,
    left_out: Vec<LeftOut>,
    parts: Vec<Part>,
    remarks: Vec<String>,
}

impl Folder {
    /// Lists the images below `root`, or below its folder for `split`.
    ///
    /// # Errors
    /// If a folder of images cannot be read, there is no such part, or there is no image.
    pub fn open(root: &Path, split: Option<Split>) -> Result<Self, Error> {
        Self::open_cached(root, split, &Cache::for_user())
    }

    fn open_cached(root: &Path, split: Option<Split>, cache: &Cache) -> Result<Self, Error> {
        Self::from_tree(root, find_images(root, cache)?, split)
    }

    fn from_tree(root: &Path, tree: Tree, split: Option<Split>) -> Result<Self, Error> {
        let all = tree.images();
        if all.is_empty() && tree.has_unreadable() {
            return Err(first_unreadable(root, tree));
        }
        let layout = Layout::find(root, all.iter(), tree.top(), split)?;
        let files: Names = all.iter().filter_map(|name| layout.keep(name)).collect();
        let mut left_out = tree.left_out();
        left_out.merge(&layout.left_out, b"");
        for (folder, source) in tree.into_unreadable() {
            // an unreadable folder outside the parts, such as `lost+found`, holds none of the
            // images
            if layout.keep(&[&folder[..], b"/"].concat()).is_some() {
                let path = root.join(to_path(&folder));
                return Err(unreadable(&path)(source));
            }
            left_out.add("folders that cannot be read", &folder);
        }
        let root = match layout.prefix() {
            b"" => root.into(),
            prefix => root.join(to_path(prefix)),
        };
        if files.is_empty() {
            return Err(Error::NoImages { path: root });
        }
        let labels = Labels::from_names(files.iter().map(|name| layout.class(name)));
        let (split, parts) = (layout.split, layout.parts);
        let (left_out, remarks) = (left_out.finish(), Vec::from_iter(layout.remark));
        Ok(Self { root, split, files, labels, left_out, parts, remarks })
    }

    fn path(&self, index: usize) -> PathBuf {
        self.root.join(to_path(self.files.get(index)))
    }
}

fn first_unreadable(root: &Path, tree: Tree) -> Error {
    match tree.into_unreadable().pop_first() {
        Some((folder, source)) => unreadable(&root.join(to_path(&folder)))(source),
        None => Error::NoImages { path: root.into() },
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

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn name(&self, index: usize) -> String {
        self.path(index).to_string_lossy().into_owned()
    }

    fn file_of(&self, index: usize) -> Option<PathBuf> {
        Some(self.path(index))
    }

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        format!("folder `{}`{part}", self.root.display())
    }
}

/// All folders below `root` with their images.
fn find_images(root: &Path, cache: &Cache) -> Result<Tree, Error> {
    let known: Tree = cache.load("folder", root).filter(Tree::is_valid).unwrap_or_default();
    let tree = Tree::walk(root, &known)?;
    if tree.len() >= MIN_CACHED && !tree.is_same(&known) {
        cache.store("folder", root, &tree);
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cache::TIMER_STEP;
    use std::fs::{self, File};
    use std::thread;
    use std::time::{Duration, SystemTime};

    /// Sets the time of modification as `tar` and `cp -p` do.
    fn date(path: &Path) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::open(path).and_then(|file| file.set_modified(time)).expect("a time is set");
    }

    #[test]
    fn an_unreadable_folder_is_refused_inside_the_part_and_counted_outside_it() {
        let root = tempfile::tempdir().expect("made");
        let root = root.path();
        for name in ["train/a", "val/a", "lost+found"] {
            fs::create_dir_all(root.join(name)).expect("made");
            fs::write(root.join(name).join("1.png"), b"").expect("written");
        }
        let open = |lost: &str| {
            let mut tree = Tree::walk(root, &Tree::default()).expect("listed");
            tree.make_unreadable(lost);
            Folder::from_tree(root, tree, None)
        };
        let data = open("lost+found").expect("opened");
        assert_eq!(
            data.left_out()[0].to_string(),
            "1 folders that cannot be read (for example `lost+found`)"
        );
        let error = open("train/a").err().expect("refused").to_string();
        assert!(error.contains("train/a`, which is part of the data set: permission"), "{error}");
    }

    #[test]
    fn a_cached_list_is_used_until_a_folder_changes_even_with_an_old_mtime() {
        let (root, cache) =
            (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        let (root, cache) = (root.path(), Cache::at(cache.path()));
        let (a, b) = (root.join("a"), root.join("b/deep"));
        fs::create_dir_all(&a).expect("made");
        fs::create_dir_all(&b).expect("made");
        for i in 0..MIN_CACHED {
            fs::write(a.join(format!("{i:04}.jpg")), b"").expect("written");
        }
        let folders = || [root, &a, &root.join("b"), &b].map(date);
        folders();
        thread::sleep(TIMER_STEP + Duration::from_millis(100));
        let len = || Folder::open_cached(root, None, &cache).map(|data| data.len()).expect("ok");
        assert_eq!(len(), MIN_CACHED);
        let known: Tree = cache.load("folder", root).expect("the list was stored");
        assert!(
            Tree::walk(root, &known).expect("listed").is_same(&known),
            "nothing is listed again"
        );
        fs::write(b.join("new.jpg"), b"").expect("written");
        folders();
        assert!(!Tree::walk(root, &known).expect("listed").is_same(&known));
        assert_eq!(len(), MIN_CACHED + 1);
        fs::remove_dir_all(root.join("b")).expect("removed");
        date(root);
        assert_eq!(len(), MIN_CACHED);
        fs::write(cache.file("folder", root).expect("a file"), b"nonsense").expect("written");
        assert_eq!(len(), MIN_CACHED);
    }
}
