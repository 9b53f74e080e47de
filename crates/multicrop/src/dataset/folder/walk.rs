//! [`Tree`] lists all images below a folder in parallel, and reuses the unchanged part of an older
//! list.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::listing::{Listing, list};
use crate::dataset::bytes::unreadable;
use crate::dataset::cache::Stamp;
use crate::dataset::left_out::Tally;
use crate::dataset::names::{Names, to_bytes, to_path};
use crate::error::Error;

/// Description of links to a folder that was already visited.
const SECOND_NAMES: &str = "links to folders that are read under another name";

/// All folders below a root by their relative paths; each real folder has one entry.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Tree {
    folders: BTreeMap<Vec<u8>, Listing>,
    /// Links that were not followed.
    links: Tally,
    /// Folders that could not be listed.
    #[serde(skip)]
    unreadable: BTreeMap<Vec<u8>, io::Error>,
    /// Number of folders that were listed, not taken from an older list.
    #[serde(skip)]
    listed: usize,
}

/// A folder that has to be listed.
struct Pending {
    relative: PathBuf,
    canonical: PathBuf,
}

impl Tree {
    /// Lists all folders below `root`; folders in `known` are listed again only if they changed.
    ///
    /// Real folders are visited before links, so a folder inside the root keeps its own name. Then
    /// links are followed, shortest path first. Loops of links end.
    pub(super) fn walk(root: &Path, known: &Self) -> Result<Self, Error> {
        let canonical = root.canonicalize().map_err(unreadable(root))?;
        let mut seen = HashSet::from([canonical.clone()]);
        let mut level = vec![Pending { relative: PathBuf::new(), canonical }];
        let (mut tree, mut links) = (Self::default(), Vec::new());
        while !level.is_empty() {
            while !level.is_empty() {
                level = tree.add_level(root, known, &level, &mut seen, &mut links);
            }
            for relative in mem::take(&mut links) {
                // the target may have been removed in the meantime
                let Ok(canonical) = root.join(&relative).canonicalize() else { continue };
                if seen.insert(canonical.clone()) {
                    level.push(Pending { relative, canonical });
                } else {
                    tree.links.add(SECOND_NAMES, &to_bytes(relative.as_os_str()));
                }
            }
        }
        match tree.unreadable.remove(&b""[..]) {
            Some(source) => Err(unreadable(root)(source)),
            None => Ok(tree),
        }
    }

    /// Lists the folders of one level. Returns the real folders in them, and adds links to `links`.
    fn add_level(
        &mut self,
        root: &Path,
        known: &Self,
        level: &[Pending],
        seen: &mut HashSet<PathBuf>,
        links: &mut Vec<PathBuf>,
    ) -> Vec<Pending> {
        let listings: Vec<_> =
            level.par_iter().map(|place| known.listing(root, &place.relative)).collect();
        let mut next = Vec::new();
        for (place, listing) in level.iter().zip(listings) {
            let folder = to_bytes(place.relative.as_os_str());
            let listing = match listing {
                Ok((listing, is_new)) => {
                    self.listed += usize::from(is_new);
                    listing
                }
                // it was removed after its parent was listed
                Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_empty() => {
                    continue;
                }
                Err(error) => {
                    self.unreadable.insert(folder, error);
                    continue;
                }
            };
            for child in &listing.folders {
                let name = to_path(&child.name);
                let relative = place.relative.join(&name);
                let canonical = place.canonical.join(name);
                if child.link {
                    links.push(relative);
                } else if seen.insert(canonical.clone()) {
                    next.push(Pending { relative, canonical });
                }
            }
            self.folders.insert(folder, listing);
        }
        next
    }

    /// Relative paths of all images with `/` between their parts, sorted part by part.
    pub(super) fn images(&self) -> Names {
        let mut images = Names::default();
        self.append(b"", b"", &mut images);
        images.shrink();
        images
    }

    /// The folders directly below the root.
    pub(super) fn top(&self) -> impl Iterator<Item = &[u8]> {
        let top = self.folders.get(&b""[..]).map_or(&[][..], |listing| &listing.folders);
        top.iter().map(|child| &child.name[..])
    }

    /// What was found but not listed as an image.
    pub(super) fn left_out(&self) -> Tally {
        let mut left_out = self.links.clone();
        for (folder, listing) in &self.folders {
            let prefix = if folder.is_empty() { Vec::new() } else { [folder, &b"/"[..]].concat() };
            left_out.merge(&listing.left_out, &prefix);
        }
        left_out
    }

    /// Pretends that a folder could not be listed.
    #[cfg(test)]
    pub(super) fn make_unreadable(&mut self, folder: &str) {
        self.folders.remove(folder.as_bytes());
        self.unreadable.insert(folder.into(), io::ErrorKind::PermissionDenied.into());
    }

    /// Number of images.
    pub(super) fn len(&self) -> usize {
        self.folders.values().map(|listing| listing.images.len()).sum()
    }

    /// Whether a folder could not be listed.
    pub(super) fn has_unreadable(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// Folders that could not be listed, by their relative paths.
    pub(super) fn into_unreadable(self) -> BTreeMap<Vec<u8>, io::Error> {
        self.unreadable
    }

    /// False if the tree was read from a damaged cache file.
    pub(super) fn is_valid(&self) -> bool {
        self.folders.values().all(|listing| listing.images.is_valid())
    }

    /// Whether all listings came from `known`.
    pub(super) fn is_same(&self, known: &Self) -> bool {
        self.listed == 0 && self.folders.len() == known.folders.len()
    }

    /// The listing of one folder, from this tree if the folder has not changed; and whether it is
    /// new.
    fn listing(&self, root: &Path, relative: &Path) -> io::Result<(Listing, bool)> {
        let folder = root.join(relative);
        // the stamp is read first, so that changes made during listing are noticed the next time
        let stamp = Stamp::read(&folder);
        let known = self.folders.get(&to_bytes(relative.as_os_str()));
        match known.filter(|known| stamp.is_some() && known.stamp == stamp) {
            Some(known) => Ok((known.clone(), false)),
            None => list(&folder, stamp).map(|listing| (listing, true)),
        }
    }

    /// Adds the images of `folder`, with names that start with `prefix`.
    fn append(&self, folder: &[u8], prefix: &[u8], images: &mut Names) {
        let Some(listing) = self.folders.get(folder) else { return };
        let mut children = listing.folders.iter().peekable();
        let descend = |name: &[u8], images: &mut Names| {
            let path = [prefix, name].concat();
            let inner = [&path[..], b"/"].concat();
            self.append(&path, &inner, images);
        };
        for image in listing.images.iter() {
            while let Some(child) = children.next_if(|child| child.name[..] < *image) {
                descend(&child.name, images);
            }
            images.push_parts(&[prefix, image]);
        }
        children.for_each(|child| descend(&child.name, images));
    }
}
