//! Lists the direct contents of one folder.

use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dataset::bytes::open_file;
use crate::dataset::cache::Stamp;
use crate::dataset::left_out::Tally;
use crate::dataset::names::{Kind, Names, is_hidden, kind_of, to_bytes};
use crate::decode;

/// Limit on the entries of a hidden folder that are counted; such folders can be large.
const MAX_HIDDEN: usize = 10_000;

/// A folder in its parent's listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Child {
    pub(super) name: Vec<u8>,
    /// Whether it is a link to a folder, which may also have other names.
    pub(super) link: bool,
}

/// The direct contents of a folder, sorted by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Listing {
    /// The folder's stamp; `None` if it must always be listed again.
    pub(super) stamp: Option<Stamp>,
    pub(super) images: Names,
    pub(super) folders: Vec<Child>,
    pub(super) left_out: Tally,
}

/// Lists the images and folders directly in `folder`; hidden ones are only counted.
pub(super) fn list(folder: &Path, stamp: Option<Stamp>) -> io::Result<Listing> {
    let (mut images, mut folders, mut left_out) = (Vec::new(), Vec::new(), Tally::default());
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = to_bytes(&entry.file_name());
        let file_type = entry.file_type()?;
        let link = file_type.is_symlink();
        if is_hidden(&name) {
            let mut budget = MAX_HIDDEN;
            match file_type.is_dir() {
                true => count_hidden(&entry.path(), &name, &mut left_out, &mut budget),
                false => note_hidden(&name, &mut left_out),
            }
        } else if file_type.is_dir() || (link && entry.path().is_dir()) {
            folders.push(Child { name, link });
        } else {
            match kind_of(&name) {
                // a broken link is listed, and counts as a bad image when it is read
                Kind::Image => images.push(name),
                Kind::Unknown | Kind::UnreadImage if starts_like_an_image(&entry.path()) => {
                    images.push(name);
                }
                kind => left_out.add_file(kind, &name),
            }
        }
    }
    images.sort_unstable();
    folders.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let images = images.iter().map(|name| &name[..]).collect();
    Ok(Listing { stamp, images, folders, left_out })
}

/// Whether a file has the first bytes of an image; for files whose name does not tell.
fn starts_like_an_image(path: &Path) -> bool {
    let mut start = Vec::new();
    open_file(path).and_then(|file| file.take(16).read_to_end(&mut start)).is_ok()
        && decode::format(&start).is_some()
}

fn note_hidden(name: &[u8], left_out: &mut Tally) {
    if kind_of(name) == Kind::Image {
        left_out.add_hidden(name);
    }
}

/// Counts the images in a hidden folder by their names. Folders that cannot be listed are skipped.
fn count_hidden(folder: &Path, name: &[u8], left_out: &mut Tally, budget: &mut usize) {
    let Ok(entries) = folder.read_dir() else { return };
    for entry in entries.flatten() {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        let name = [name, b"/", &to_bytes(&entry.file_name())].concat();
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => count_hidden(&entry.path(), &name, left_out, budget),
            false => note_hidden(&name, left_out),
        }
    }
}
