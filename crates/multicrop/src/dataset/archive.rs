//! [`Archive`] reads images from tar archives, in folders or with WebDataset keys.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::bytes::{Bytes, container_unreadable, read_start};
use super::cache::Cache;
use super::labels::Labels;
use super::layout::Layout;
use super::left_out::{LeftOut, Part, Tally};
use super::lru::LruCache;
use super::names::{Names, to_bytes, to_text};
use super::shards::{ShardFiles, Shards};
use super::signature::is_tar;
use super::{Dataset, OpenOptions, Sample, Split};
use crate::error::{Error, SampleError};

mod companions;
mod index;
mod keys;
mod links;
mod member;
mod scan;

use member::Index;

/// Number of gzipped archives whose images are mixed, and which are unpacked at the same time.
const WINDOW: usize = 4;
/// With more plain archives than this, each read opens its archive: a process may open about 1000
/// files.
const MAX_OPEN: usize = 256;

/// All images of one or more tar archives, one archive after the other, sorted by name in each.
///
/// The headers are scanned once; the index of a large archive is kept in the user's cache folder.
/// Images of a plain archive are then read in place. A gzipped archive is unpacked on the first
/// read of one of its images: to memory if it is small, otherwise to an unnamed file in the
/// temporary folder. Up to six archives are kept unpacked. The label is the contents of `key.cls`
/// or `key.json` for `key.jpg`, otherwise the first folder; folders that contain everything do not
/// count. A link is read as the image that it leads to.
pub struct Archive {
    path: PathBuf,
    split: Option<Split>,
    shards: Vec<Shard>,
    unpacked: LruCache<Bytes>,
    names: Names,
    /// Offset and length of each image in its archive.
    spans: Vec<(u64, u64)>,
    labels: Labels,
    left_out: Vec<LeftOut>,
    parts: Vec<Part>,
    remarks: Vec<String>,
    /// The folder of the part that is read, with a `/`, which `names` lack; empty if there is none.
    folder: String,
}

/// One archive.
struct Shard {
    path: PathBuf,
    /// Index of the first image after it.
    end: usize,
    contents: Contents,
}

/// How the bytes of an archive are accessed.
enum Contents {
    /// A plain archive that stays open.
    Open(Bytes),
    /// A plain archive that each read opens.
    Closed,
    /// A gzipped archive.
    Packed,
}

impl Archive {
    /// Opens one archive, or the shards of one data set.
    ///
    /// # Errors
    /// If a file is damaged or not an archive, there is no such part, or there is no image.
    pub(super) fn open(
        listed: &ShardFiles,
        split: Option<Split>,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let (path, cache) = (&listed.path, Cache::for_user());
        let field = options.label_column.as_deref();
        let indices: Vec<_> =
            listed.files.par_iter().map(|file| index_of(file, field, &cache)).collect();
        let (mut packed, mut shards, mut left_out) =
            (Vec::new(), Vec::new(), listed.left_out.clone());
        for (index, file) in indices.into_iter().zip(&listed.files) {
            let (is_packed, index) = index?;
            if index.members.is_empty() {
                left_out.add("archives without images", &to_bytes(file.as_os_str()));
            }
            left_out.merge(&index.left_out, b"");
            packed.push(is_packed);
            shards.push(index);
        }
        keys::choose(path, &mut shards, options.image_extension.as_deref(), &mut left_out)?;
        if shards.iter().all(|index| index.members.is_empty()) {
            return Err(Error::NoImages { path: path.clone() });
        }
        let all = shards.iter().flat_map(|index| &index.members).map(|member| &member.name[..]);
        let layout = Layout::find(path, all, std::iter::empty(), split)?;
        left_out.merge(&layout.left_out, b"");
        for index in &mut shards {
            index.members.retain(|member| layout.keep(&member.name).is_some());
        }
        let opened = open_all(listed, &packed, &shards)?;
        Ok(Self::new(listed, opened, &shards, layout, left_out))
    }

    fn new(
        listed: &ShardFiles,
        shards: Vec<Shard>,
        indices: &[Index],
        layout: Layout,
        left_out: Tally,
    ) -> Self {
        let members = || indices.iter().flat_map(|index| &index.members);
        let mut names: Names = members().filter_map(|member| layout.keep(&member.name)).collect();
        names.shrink();
        let labels = if members().any(|member| member.label.is_some()) {
            Labels::from_texts(members().map(|member| member.label.as_deref().map(str::as_bytes)))
        } else {
            Labels::from_names(names.iter().map(|name| layout.class(name)))
        };
        Self {
            path: listed.path.clone(),
            split: layout.split.or(listed.split),
            shards,
            // two more than are mixed: some workers are still reading the old archives while others
            // already read the next
            unpacked: LruCache::new(WINDOW + 2),
            spans: members().map(|member| (member.offset, member.len)).collect(),
            names,
            labels,
            left_out: left_out.finish(),
            folder: to_text(layout.part_folder()),
            remarks: Vec::from_iter(layout.remark),
            parts: if layout.parts.is_empty() { listed.parts.clone() } else { layout.parts },
        }
    }

    /// Index of the archive that holds image `index`.
    fn shard_of(&self, index: usize) -> usize {
        assert!(index < self.len(), "image {index} of {}", self.len());
        self.shards.partition_point(|shard| shard.end <= index)
    }

    /// Applies `read` to a gzipped archive, unpacking it first if necessary.
    fn with_unpacked<T>(
        &self,
        number: usize,
        read: impl FnOnce(&Bytes) -> Result<T, SampleError>,
    ) -> Result<T, SampleError> {
        let load = || Bytes::unpack(&self.shards[number].path).map_err(container_unreadable);
        self.unpacked.with(number, load, read)
    }
}

/// Whether a file is gzipped, and its index; an empty file counts as an empty archive.
fn index_of(file: &Path, label_field: Option<&str>, cache: &Cache) -> Result<(bool, Index), Error> {
    let (bytes, packed) = read_start(file)?;
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok((packed, Index::default()));
    }
    if !is_tar(&bytes) {
        let found = "not a tar archive, though other files of the data set are".into();
        return Err(Error::UnknownFormat { path: file.into(), found });
    }
    Ok((packed, index::open(file, packed, label_field, cache)?))
}

/// Opens the archives, and computes the positions of their images.
fn open_all(listed: &ShardFiles, packed: &[bool], indices: &[Index]) -> Result<Vec<Shard>, Error> {
    let few = listed.files.len() <= MAX_OPEN;
    let (mut opened, mut end) = (Vec::new(), 0);
    for ((file, &packed), index) in listed.files.iter().zip(packed).zip(indices) {
        end += index.members.len();
        let contents = match packed {
            true => Contents::Packed,
            false if few => Contents::Open(Bytes::open(file)?),
            false => Contents::Closed,
        };
        opened.push(Shard { path: file.clone(), end, contents });
    }
    Ok(opened)
}

impl Dataset for Archive {
    fn len(&self) -> usize {
        self.spans.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let number = self.shard_of(index);
        let shard = &self.shards[number];
        let (offset, len) = self.spans[index];
        let bytes = match &shard.contents {
            Contents::Open(bytes) => bytes.sample(offset, len),
            Contents::Closed => {
                Bytes::open(&shard.path).map_err(container_unreadable)?.sample(offset, len)
            }
            Contents::Packed => self.with_unpacked(number, |bytes| bytes.sample(offset, len)),
        };
        Ok(Sample::Encoded(bytes?.into()))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index, self.len())
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn shards(&self) -> Option<Shards> {
        let packed = self.shards.iter().any(|shard| matches!(shard.contents, Contents::Packed));
        let ends = || self.shards.iter().map(|shard| shard.end).collect();
        packed.then(|| Shards { ends: ends(), window: WINDOW, slow: true })
    }

    fn prepare(&self, shard: usize) {
        if matches!(self.shards[shard].contents, Contents::Packed) {
            // the next read of one of its images returns the error
            drop(self.with_unpacked(shard, |_| Ok(())));
        }
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn name(&self, index: usize) -> String {
        let (folder, name) = (&self.folder, to_text(self.names.get(index)));
        format!("{}: {folder}{name}", self.shards[self.shard_of(index)].path.display())
    }

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn container_of(&self, index: usize) -> Option<PathBuf> {
        Some(self.shards[self.shard_of(index)].path.clone())
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        match self.shards.len() {
            1 => format!("tar archive `{}`{part}", self.path.display()),
            count => format!("{count} tar archives `{}`{part}", self.path.display()),
        }
    }
}
