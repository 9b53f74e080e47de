//! What a path holds, from its bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::{Bytes, start, unreadable};
use super::{Archive, Cifar, Dataset, Folder, Idx, Split, idx};
use crate::decode;
use crate::error::Error;

/// Folders with more files than this hold images, not batches of them.
const MAX_CONTAINERS: usize = 64;

/// Opens the file or folder `path`.
pub(super) fn open(path: &Path, split: Option<Split>) -> Result<Arc<dyn Dataset>, Error> {
    let metadata = path.metadata().map_err(unreadable(path))?;
    if metadata.is_dir() { open_folder(path, split) } else { open_file(path, split) }
}

fn open_folder(path: &Path, split: Option<Split>) -> Result<Arc<dyn Dataset>, Error> {
    let files = containers(path)?;
    if let Some(cifar) = Cifar::open_folder(path, &files, split)? {
        return Ok(Arc::new(cifar));
    }
    let mut images = Vec::new();
    for file in files {
        // a file that cannot be looked into is no IDX file; as an image it is a bad one
        if start(&file).is_ok_and(|(bytes, _)| idx::holds_images(&bytes)) {
            images.push(file);
        }
    }
    if images.is_empty() {
        return Ok(Arc::new(Folder::open(path, split)?));
    }
    let (file, split) = idx::choose(path, images, split)?;
    Ok(Arc::new(Idx::open(&file, split)?))
}

/// The files directly in a folder, sorted; none if they are many.
fn containers(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(unreadable(path))? {
        let file = entry.map_err(unreadable(path))?.path();
        if file.is_file() {
            files.push(file);
        }
        if files.len() > MAX_CONTAINERS {
            return Ok(Vec::new());
        }
    }
    files.sort();
    Ok(files)
}

fn open_file(path: &Path, split: Option<Split>) -> Result<Arc<dyn Dataset>, Error> {
    let (bytes, packed) = start(path)?;
    if is_tar(&bytes) {
        let contents = if packed { Bytes::unpack(path)? } else { Bytes::open(path)? };
        return Ok(Arc::new(Archive::open(path, contents, split)?));
    }
    if let Some(split) = split {
        let reason = "it is a file without parts".into();
        return Err(Error::NoSuchSplit { path: path.into(), split: split.name(), reason });
    }
    if idx::holds_images(&bytes) {
        return Ok(Arc::new(Idx::open(path, None)?));
    }
    match Cifar::open_file(path)? {
        Some(cifar) if !packed => Ok(Arc::new(cifar)),
        _ => Err(Error::UnknownFormat { path: path.into(), found: guess(&bytes).into() }),
    }
}

/// A tar header: the POSIX or GNU mark, or the checksum of the oldest form.
fn is_tar(bytes: &[u8]) -> bool {
    let Some(header) = bytes.first_chunk::<512>() else { return false };
    if header[257..].starts_with(b"ustar") {
        return true;
    }
    // the sum is taken with spaces in place of the sum itself
    let sum: u32 = (0..512)
        .map(|i| if (148..156).contains(&i) { u32::from(b' ') } else { u32::from(header[i]) })
        .sum();
    let digits = header[148..156].iter().filter(|byte| (b'0'..=b'7').contains(byte));
    let stored = digits.fold(0_u32, |value, digit| value << 3 | u32::from(digit - b'0'));
    header[0] != 0 && stored == sum
}

/// A name for what is no data set.
fn guess(bytes: &[u8]) -> &'static str {
    if bytes.is_empty() {
        "an empty file"
    } else if decode::format(bytes).is_some() {
        "a single image"
    } else if idx::holds_labels(bytes) {
        "an IDX file of labels (pass the file of images; labels are found beside it)"
    } else if bytes.starts_with(b"PAR1") {
        "a parquet file, which is not read yet"
    } else if bytes.starts_with(b"PK\x03\x04") {
        "a zip archive, which is not read (unpack it)"
    } else {
        "in no format that is known here"
    }
}
