//! What a path holds, from its bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::{irregular, start, unreadable};
use super::left_out::Tally;
use super::names::{Kind, is_hidden, kind_of, to_bytes};
use super::shards::{self, Listed};
use super::{Archive, Cifar, Dataset, Folder, Idx, List, OpenOptions, Parquet, Split, idx};
use crate::decode;
use crate::error::Error;

/// Folders with more files than this hold images, not batches of them.
const MAX_CONTAINERS: usize = 64;

mod foreign;

pub(super) use foreign::JSON;

/// Opens the file or folder `path`.
pub(super) fn open(
    path: &Path,
    split: Option<Split>,
    options: &OpenOptions,
) -> Result<Arc<dyn Dataset>, Error> {
    let metadata = path.metadata().map_err(unreadable(path))?;
    if metadata.is_dir() {
        return open_folder(path, split, options);
    }
    // before it is opened: a pipe would wait, and a device may have no end
    if let Some(what) = irregular(&metadata) {
        let reason = format!("it is {what}; pass a file or folder");
        return Err(unreadable(path)(std::io::Error::other(reason)));
    }
    open_file(path, split, options)
}

/// Opens the shards that a pattern with braces stands for.
pub(super) fn open_pattern(
    pattern: &str,
    split: Option<Split>,
    options: &OpenOptions,
) -> Result<Arc<dyn Dataset>, Error> {
    let files = shards::expand(pattern)?;
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        let reason = format!("stands for {} files, but there is no such file", files.len());
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, reason);
        return Err(Error::Unreadable { path: missing.clone(), source });
    }
    open_shards(Path::new(pattern), files, split, options, &Tally::default())
}

fn open_folder(
    path: &Path,
    split: Option<Split>,
    options: &OpenOptions,
) -> Result<Arc<dyn Dataset>, Error> {
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
    if !images.is_empty() {
        let (file, split) = idx::choose(path, images, split)?;
        return Ok(Arc::new(Idx::open(&file, split)?));
    }
    let (direct, folders) = shards::in_folder(path)?;
    if !direct.is_empty() && folders.is_empty() {
        let loose = loose_images(path)?;
        if loose.len() < direct.len() {
            let mut beside = Tally::default();
            loose.iter().for_each(|name| beside.add("images beside the archives", name));
            return open_shards(path, direct, split, options, &beside);
        }
    }
    match Folder::open(path, split) {
        Ok(folder) => Ok(Arc::new(folder)),
        // beside images shards are what these were unpacked from; without them they are the source
        Err(error @ (Error::NoImages { .. } | Error::NoSuchSplit { .. })) => {
            match shards::below(path)? {
                files if files.is_empty() => Err(foreign::in_folder(path).unwrap_or(error)),
                files => open_shards(path, files, split, options, &Tally::default()),
            }
        }
        Err(error) => Err(error),
    }
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

/// Names of the images directly in a folder.
///
/// One sample picture beside many shards is not the data set, and one backup beside many photographs is
/// not either: whichever are more are read, and the others are counted.
fn loose_images(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let mut names = Vec::new();
    for entry in path.read_dir().map_err(unreadable(path))? {
        let name = to_bytes(&entry.map_err(unreadable(path))?.file_name());
        if kind_of(&name) == Kind::Image && !is_hidden(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Opens tar archives or parquet files as one data set. `beside` is what lies beside them unread.
fn open_shards(
    path: &Path,
    files: Vec<PathBuf>,
    split: Option<Split>,
    options: &OpenOptions,
    beside: &Tally,
) -> Result<Arc<dyn Dataset>, Error> {
    let mut listed = shards::choose_files(path, files.clone(), split);
    listed.left_out.merge(beside, b"");
    let Some(kind) = Shard::of_any(if listed.files.is_empty() { &files } else { &listed.files })?
    else {
        return Err(Error::NoImages { path: path.into() });
    };
    match kind {
        Shard::Parquet if !listed.files.is_empty() => {
            Ok(Arc::new(Parquet::open(&listed, options)?))
        }
        Shard::Parquet => {
            let split = split.map_or("train", Split::name);
            let reason = format!("no file in it has `{split}` in its name");
            Err(Error::NoSuchSplit { path: path.into(), split, reason })
        }
        // the parts may be folders in the archives
        Shard::Tar if listed.files.is_empty() => {
            let mut all = Listed::all(path, files);
            all.left_out.merge(beside, b"");
            Ok(Arc::new(Archive::open(&all, split, options)?))
        }
        Shard::Tar => {
            // what was chosen by the files' names is not to be chosen again inside of them
            let inside = if listed.split.is_some() { None } else { split };
            Ok(Arc::new(Archive::open(&listed, inside, options)?))
        }
    }
}

/// What the files of a data set are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shard {
    Parquet,
    Tar,
}

impl Shard {
    /// What the first of these files is that has contents; `None` if none has.
    fn of_any(files: &[PathBuf]) -> Result<Option<Self>, Error> {
        for file in files {
            let (bytes, _) = start(file)?;
            if is_parquet(&bytes) {
                return Ok(Some(Self::Parquet));
            }
            if bytes.iter().any(|&byte| byte != 0) {
                return Ok(Some(Self::Tar));
            }
        }
        Ok(None)
    }
}

fn open_file(
    path: &Path,
    split: Option<Split>,
    options: &OpenOptions,
) -> Result<Arc<dyn Dataset>, Error> {
    let (bytes, packed) = start(path)?;
    if is_tar(&bytes) {
        return Ok(Arc::new(Archive::open(&Listed::one(path), split, options)?));
    }
    if is_empty_tar(&bytes) {
        return Err(Error::NoImages { path: path.into() });
    }
    if let Some(split) = split {
        let reason = "it is a file without parts".into();
        return Err(Error::NoSuchSplit { path: path.into(), split: split.name(), reason });
    }
    if idx::holds_images(&bytes) {
        return Ok(Arc::new(Idx::open(path, None)?));
    }
    if is_parquet(&bytes) && !packed {
        return Ok(Arc::new(Parquet::open(&Listed::one(path), options)?));
    }
    match Cifar::open_file(path)? {
        Some(cifar) if !packed => Ok(Arc::new(cifar)),
        _ if is_text(&bytes) && !packed && foreign::name(&bytes).is_none() => {
            Ok(Arc::new(List::open(path, options)?))
        }
        _ => Err(Error::UnknownFormat { path: path.into(), found: guess(&bytes).into() }),
    }
}

fn is_parquet(bytes: &[u8]) -> bool {
    // the second one is encrypted, which its reader says
    bytes.starts_with(b"PAR1") || bytes.starts_with(b"PARE")
}

/// Bytes of text in any encoding that extends ASCII.
fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    !bytes.is_empty() && !bytes.iter().any(|byte| control(byte) || *byte == 0x7F)
}

/// A tar header: the POSIX or GNU mark, or the checksum of the oldest form.
pub(super) fn is_tar(bytes: &[u8]) -> bool {
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

/// Blocks of zeros: what an archive without members consists of.
fn is_empty_tar(bytes: &[u8]) -> bool {
    bytes.len() == 512 && bytes.iter().all(|&byte| byte == 0)
}

/// A name for what is no data set.
fn guess(bytes: &[u8]) -> &'static str {
    if bytes.is_empty() {
        "an empty file"
    } else if decode::format(bytes).is_some() {
        "a single image"
    } else if idx::holds_labels(bytes) {
        "an IDX file of labels (pass the file of images; labels are found beside it)"
    } else if is_parquet(bytes) {
        "a gzipped parquet file (unpack it with `gunzip`)"
    } else {
        foreign::name(bytes).unwrap_or("in no format that is known here")
    }
}
