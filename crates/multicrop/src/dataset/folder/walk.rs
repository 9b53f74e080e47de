//! The images below a folder, listed by several threads, and what of an older list still holds.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dataset::bytes::unreadable;
use crate::dataset::cache::settled_time;
use crate::dataset::names::{Names, to_bytes, to_path};
use crate::decode;
use crate::error::Error;

/// Files of these names are taken as images without a look into them.
const IMAGES: [&str; 14] = [
    "jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "jfif", "ppm", "pgm", "pbm", "pnm",
    "btf",
];
/// Files of these names are not looked into: they often lie beside images.
const OTHERS: [&str; 15] = [
    "cls", "csv", "gz", "html", "json", "md", "npy", "parquet", "pt", "tar", "tgz", "tsv", "txt",
    "xml", "yaml",
];

/// By the extension: an image, something else, or not to be told.
pub(in crate::dataset) fn named_like_an_image(name: &[u8]) -> Option<bool> {
    let dot = name.iter().rposition(|&byte| byte == b'.')?;
    let is_in = |list: &[&str]| {
        list.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(&name[dot + 1..]))
    };
    if is_in(&IMAGES) { Some(true) } else { is_in(&OTHERS).then_some(false) }
}

/// A folder as its parent lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Child {
    name: Vec<u8>,
    /// A link to a folder, which may have other names.
    link: bool,
}

/// What lies directly in a folder, sorted by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listing {
    /// When the folder was last changed; `None` if it has to be listed again in any case.
    modified: Option<Duration>,
    images: Names,
    folders: Vec<Child>,
}

/// All folders below a root by their path relative to it; each real folder under one name only.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tree {
    folders: BTreeMap<Vec<u8>, Listing>,
}

/// A folder that is to be listed.
struct Place {
    relative: PathBuf,
    canonical: PathBuf,
}

impl Tree {
    /// Lists all folders below `root`; those that `known` has are listed only if they changed.
    ///
    /// Levels are visited one after the other, so a folder with several names is found under one
    /// of its shortest, the first of these; links in a loop end.
    pub(super) fn walk(root: &Path, known: &Self) -> Result<Self, Error> {
        let canonical = root.canonicalize().map_err(unreadable(root))?;
        let mut seen = HashSet::from([canonical.clone()]);
        let mut level = vec![Place { relative: PathBuf::new(), canonical }];
        let mut tree = Self::default();
        while !level.is_empty() {
            let listings: Vec<_> =
                level.par_iter().map(|place| known.listing(root, &place.relative)).collect();
            let mut next = Vec::new();
            for (place, listing) in level.iter().zip(listings) {
                let listing = listing?;
                for child in &listing.folders {
                    let name = to_path(&child.name);
                    let relative = place.relative.join(&name);
                    let canonical = match child.link {
                        false => place.canonical.join(name),
                        true => match root.join(&relative).canonicalize() {
                            Ok(canonical) => canonical,
                            // it has vanished meanwhile
                            Err(_) => continue,
                        },
                    };
                    if seen.insert(canonical.clone()) {
                        next.push(Place { relative, canonical });
                    }
                }
                tree.folders.insert(to_bytes(place.relative.as_os_str()), listing);
            }
            level = next;
        }
        Ok(tree)
    }

    /// Paths of all images relative to the root with `/` between their parts, sorted part by part.
    pub(super) fn images(&self) -> Names {
        let mut images = Names::default();
        self.append(b"", b"", &mut images);
        images.shrink();
        images
    }

    /// False if a damaged file was read.
    pub(super) fn is_sound(&self) -> bool {
        self.folders.values().all(|listing| listing.images.is_sound())
    }

    /// Whether both have the same folders with the same times.
    pub(super) fn same_times(&self, other: &Self) -> bool {
        let times = |tree: &'_ Self| -> Vec<_> {
            tree.folders.iter().map(|(path, listing)| (path.clone(), listing.modified)).collect()
        };
        times(self) == times(other)
    }

    /// The listing of one folder: the one that is here, if the folder has not changed since.
    fn listing(&self, root: &Path, relative: &Path) -> Result<Listing, Error> {
        let folder = root.join(relative);
        // the time is taken first: what changes while the folder is read is seen the next time
        let modified = settled_time(&folder);
        let known = self.folders.get(&to_bytes(relative.as_os_str()));
        match known.filter(|known| modified.is_some() && known.modified == modified) {
            Some(known) => Ok(known.clone()),
            None => list(&folder, modified),
        }
    }

    /// Adds the images of `folder`, which is called `prefix` in their names.
    fn append(&self, folder: &[u8], prefix: &[u8], images: &mut Names) {
        let Some(listing) = self.folders.get(folder) else { return };
        let mut children = listing.folders.iter().peekable();
        let descend = |child: &Child, images: &mut Names| {
            let path = [prefix, &child.name].concat();
            let inner = [&path[..], b"/"].concat();
            self.append(&path, &inner, images);
        };
        for image in listing.images.iter() {
            while let Some(child) = children.next_if(|child| child.name[..] < *image) {
                descend(child, images);
            }
            images.push_parts(&[prefix, image]);
        }
        children.for_each(|child| descend(child, images));
    }
}

/// Images and folders directly in `folder`; names that start with a dot are skipped.
fn list(folder: &Path, modified: Option<Duration>) -> Result<Listing, Error> {
    let (mut images, mut folders) = (Vec::new(), Vec::new());
    for entry in folder.read_dir().map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        let name = to_bytes(&entry.file_name());
        if name.starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable(folder))?;
        let link = kind.is_symlink();
        if kind.is_dir() || (link && entry.path().is_dir()) {
            folders.push(Child { name, link });
        } else if named_like_an_image(&name).unwrap_or_else(|| starts_like_an_image(&entry.path()))
        {
            // a link to nothing is listed, and turns out to be bad
            images.push(name);
        }
    }
    images.sort_unstable();
    folders.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(Listing { modified, images: images.iter().map(|name| &name[..]).collect(), folders })
}

fn starts_like_an_image(path: &Path) -> bool {
    let mut start = Vec::new();
    path.is_file()
        && File::open(path).and_then(|file| file.take(16).read_to_end(&mut start)).is_ok()
        && decode::format(&start).is_some()
}
