//! Detects the kind of a source from its bytes, and opens it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::{irregular, read_start, unreadable};
use super::left_out::Tally;
use super::names::{Kind, is_hidden, kind_of, to_bytes};
use super::shards::{self, ShardFiles};
use super::signature::{is_empty_tar, is_parquet, is_tar, is_text};
use super::{
    Archive, Cifar, Dataset, Folder, Idx, List, OpenOptions, Parquet, Split, foreign, idx,
};
use crate::decode;
use crate::error::Error;

/// A folder with more files than this holds single images, not batches of them.
const MAX_CONTAINERS: usize = 64;

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
    // checked before opening: opening a pipe would block, and a device may be endless
    if let Some(what) = irregular(&metadata) {
        let reason = format!("it is {what}; pass a file or folder");
        return Err(unreadable(path)(std::io::Error::other(reason)));
    }
    open_file(path, split, options)
}

/// Opens the shards that match a pattern with braces.
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
    let files = few_files(path)?;
    if let Some(cifar) = Cifar::open_folder(path, &files, split)? {
        return Ok(Arc::new(cifar));
    }
    let mut images = Vec::new();
    for file in files {
        // a file that cannot be read is not an IDX file; as an image it counts as bad
        if read_start(&file).is_ok_and(|(bytes, _)| idx::holds_images(&bytes)) {
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
            let mut left_out = Tally::default();
            loose.iter().for_each(|name| left_out.add("images next to the archives", name));
            return open_shards(path, direct, split, options, &left_out);
        }
    }
    match Folder::open(path, split) {
        Ok(folder) => Ok(Arc::new(folder)),
        // if a folder has both images and shards, the images were probably unpacked from the
        // shards, so shards are read only if there are no images
        Err(error @ (Error::NoImages { .. } | Error::NoSuchSplit { .. })) => {
            match shards::below(path)? {
                files if files.is_empty() => Err(foreign::in_folder(path).unwrap_or(error)),
                files => open_shards(path, files, split, options, &Tally::default()),
            }
        }
        Err(error) => Err(error),
    }
}

/// The files directly in a folder, sorted; none if there are more than [`MAX_CONTAINERS`].
fn few_files(path: &Path) -> Result<Vec<PathBuf>, Error> {
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
/// One sample picture among many shards is not the data set, and neither is one backup among many
/// photographs. So the more numerous kind is read, and the other is counted as left out.
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

/// Opens tar archives or parquet files as one data set. `beside` counts what is left out next to
/// them.
fn open_shards(
    path: &Path,
    files: Vec<PathBuf>,
    split: Option<Split>,
    options: &OpenOptions,
    beside: &Tally,
) -> Result<Arc<dyn Dataset>, Error> {
    let mut listed = shards::choose_files(path, files.clone(), split);
    listed.left_out.merge(beside, b"");
    let candidates = if listed.files.is_empty() { &files } else { &listed.files };
    let Some(kind) = ShardFormat::detect(candidates)? else {
        return Err(Error::NoImages { path: path.into() });
    };
    match kind {
        ShardFormat::Parquet if listed.split.is_some() => {
            let (parquet, parts) = Parquet::open(&listed, options)?;
            // rows of several parts in one part's files: their column decides, in all files
            match parts.are_several() {
                true => open_parquet(&ShardFiles::all(path, files), split, options),
                false => Ok(Arc::new(parquet)),
            }
        }
        // a part that was chosen by file names is not chosen again inside the files
        ShardFormat::Tar if listed.split.is_some() => {
            Ok(Arc::new(Archive::open(&listed, None, options)?))
        }
        // the parts may be folders in the archives, or rows with such a word
        _ => {
            let mut all = ShardFiles::all(path, files);
            all.left_out.merge(beside, b"");
            match kind {
                ShardFormat::Parquet => open_parquet(&all, split, options),
                ShardFormat::Tar => Ok(Arc::new(Archive::open(&all, split, options)?)),
            }
        }
    }
}

/// Opens parquet files of which all belong to the data set, and chooses among their rows.
fn open_parquet(
    files: &ShardFiles,
    split: Option<Split>,
    options: &OpenOptions,
) -> Result<Arc<dyn Dataset>, Error> {
    let (parquet, parts) = Parquet::open(files, options)?;
    parts.select(parquet, &files.path, split)
}

/// The format of the shards of a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ShardFormat {
    Parquet,
    Tar,
}

impl ShardFormat {
    /// The format of the first file that is not empty; `None` if all are empty.
    fn detect(files: &[PathBuf]) -> Result<Option<Self>, Error> {
        for file in files {
            let (bytes, _) = read_start(file)?;
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
    let (bytes, packed) = read_start(path)?;
    if is_tar(&bytes) {
        return Ok(Arc::new(Archive::open(&ShardFiles::one(path), split, options)?));
    }
    if is_empty_tar(&bytes) {
        return Err(Error::NoImages { path: path.into() });
    }
    if is_parquet(&bytes) && !packed {
        return open_parquet(&ShardFiles::one(path), split, options);
    }
    if is_text(&bytes) && !packed && foreign::name(&bytes).is_none() {
        let (list, parts) = List::open(path, options)?;
        return parts.select(list, path, split);
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

/// Describes a file that is not a data set.
fn guess(bytes: &[u8]) -> &'static str {
    if bytes.is_empty() {
        "an empty file"
    } else if decode::format(bytes).is_some() {
        "a single image"
    } else if idx::holds_labels(bytes) {
        "an IDX file of labels (pass the file of images; its labels are found automatically)"
    } else if is_parquet(bytes) {
        "a gzipped parquet file (unpack it with `gunzip`)"
    } else {
        foreign::name(bytes).unwrap_or("in an unknown format")
    }
}
