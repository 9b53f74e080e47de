//! Images in tar archives: in folders, or with WebDataset's keys.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::bytes::{Bytes, start};
use super::cache::Cache;
use super::detect::is_tar;
use super::labels::Labels;
use super::names::Names;
use super::parts::choose_part;
use super::shards::{Listed, Shards};
use super::slots::Slots;
use super::{Dataset, OpenOptions, Sample, Split};
use crate::error::{Error, SampleError};

mod index;

use index::Member;

/// Gzipped archives that are mixed with each other, and unpacked at the same time.
const WINDOW: usize = 4;
/// More plain archives than this are opened at each read: a process may have about 1000 files.
const MAX_OPEN: usize = 256;

/// All images of one or more tar archives, one archive after the other, sorted by name in each.
///
/// The headers are read once, and for large archives kept in the user's cache folder. Images of a
/// plain archive are then read in place. A gzipped archive is unpacked when its images are wanted,
/// to memory if it is small, or else to an unnamed file in the temporary folder, six archives at a
/// time. Labels are the numbers in `key.cls` or `key.json` beside `key.jpg`, or else the first
/// folder; folders around everything do not count.
pub struct Archive {
    path: PathBuf,
    split: Option<Split>,
    shards: Vec<Shard>,
    unpacked: Slots<Bytes>,
    names: Names,
    /// Offset and length of each image in its archive.
    spans: Vec<(u64, u64)>,
    labels: Labels,
}

/// One archive.
struct Shard {
    path: PathBuf,
    /// Index of the first image behind it.
    end: usize,
    contents: Contents,
}

enum Contents {
    Open(Bytes),
    Closed,
    Packed,
}

impl Archive {
    /// Opens one archive, or the shards of one data set.
    ///
    /// # Errors
    /// If an archive is damaged or none, there is no such part, or there is no image.
    pub(super) fn open(
        listed: &Listed,
        split: Option<Split>,
        _options: &OpenOptions,
    ) -> Result<Self, Error> {
        let cache = Cache::of_user();
        let indices: Vec<_> = listed.files.par_iter().map(|file| index_of(file, &cache)).collect();
        let mut shards = Vec::with_capacity(indices.len());
        for index in indices {
            shards.push(index?);
        }
        let path = &listed.path;
        let split = choose_members(path, &mut shards, split)?.or(listed.split);
        if shards.iter().all(|(_, members)| members.is_empty()) {
            return Err(Error::NoImages { path: path.clone() });
        }
        let members = || shards.iter().flat_map(|(_, members)| members);
        let labels = if members().any(|member| member.class.is_some()) {
            Labels::from_classes(members().map(|member| member.class), Vec::new())
        } else {
            Labels::from_folders(members().map(|member| member.name.as_bytes()))
        };
        let mut names: Names = members().map(|member| member.name.as_bytes()).collect();
        names.shrink();
        let spans = members().map(|member| (member.offset, member.len)).collect();
        let few = listed.files.len() <= MAX_OPEN;
        let (mut opened, mut end) = (Vec::new(), 0);
        for (file, (packed, members)) in listed.files.iter().zip(&shards) {
            end += members.len();
            let contents = match packed {
                true => Contents::Packed,
                false if few => Contents::Open(Bytes::open(file)?),
                false => Contents::Closed,
            };
            opened.push(Shard { path: file.clone(), end, contents });
        }
        // two more than are mixed: workers and batches ahead are at both sides of a change
        let unpacked = Slots::new(WINDOW + 2);
        Ok(Self { path: path.clone(), split, shards: opened, unpacked, names, spans, labels })
    }

    /// The number of the archive that has image `index`.
    fn shard_of(&self, index: usize) -> usize {
        assert!(index < self.len(), "image {index} of {}", self.len());
        self.shards.partition_point(|shard| shard.end <= index)
    }

    /// Applies `read` to a gzipped archive, which is unpacked first if it is not.
    fn with_unpacked<T>(
        &self,
        number: usize,
        read: impl FnOnce(&Bytes) -> Result<T, SampleError>,
    ) -> Result<T, SampleError> {
        let load = || Bytes::unpack(&self.shards[number].path).map_err(fault);
        self.unpacked.with(number, load, read)
    }
}

fn fault(error: Error) -> SampleError {
    SampleError::Unreadable { reason: error.to_string() }
}

/// Whether a file is gzipped, and its images.
fn index_of(file: &Path, cache: &Cache) -> Result<(bool, Vec<Member>), Error> {
    let (bytes, packed) = start(file)?;
    if !is_tar(&bytes) {
        let found = "no tar archive, though others beside it are".into();
        return Err(Error::UnknownFormat { path: file.into(), found });
    }
    Ok((packed, index::images(file, packed, cache)?))
}

/// Keeps the members of one part, and shortens names to what is below that part's folder.
fn choose_members(
    path: &Path,
    shards: &mut [(bool, Vec<Member>)],
    split: Option<Split>,
) -> Result<Option<Split>, Error> {
    unwrap_folders(shards);
    let members = shards.iter().flat_map(|(_, members)| members);
    let mut folders: Vec<_> =
        members.filter_map(|m| m.name.split_once('/')).map(|(first, _)| first).collect();
    folders.sort_unstable();
    folders.dedup();
    let Some((folder, split)) = choose_part(path, &folders, split)? else { return Ok(None) };
    let prefix = format!("{folder}/");
    for (_, members) in shards {
        members.retain(|member| member.name.starts_with(&prefix));
        members.iter_mut().for_each(|member| drop(member.name.drain(..prefix.len())));
    }
    Ok(Some(split))
}

/// Cuts off folders that are around all images and hold nothing but folders.
fn unwrap_folders(shards: &mut [(bool, Vec<Member>)]) {
    loop {
        let mut members = shards.iter().flat_map(|(_, members)| members);
        let first = members.clone().next().and_then(|member| member.name.split_once('/'));
        let Some((first, _)) = first else { return };
        let prefix = format!("{first}/");
        let wrapped = |member: &Member| {
            member.name.strip_prefix(&prefix).is_some_and(|rest| rest.contains('/'))
        };
        if !members.all(wrapped) {
            return;
        }
        for member in shards.iter_mut().flat_map(|(_, members)| members) {
            member.name.drain(..prefix.len());
        }
    }
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
            Contents::Closed => Bytes::open(&shard.path).map_err(fault)?.sample(offset, len),
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
            // whoever reads an image of it is told the error
            drop(self.with_unpacked(shard, |_| Ok(())));
        }
    }

    fn name(&self, index: usize) -> String {
        let part = self.split.map_or(String::new(), |split| format!("{split}/"));
        let name = String::from_utf8_lossy(self.names.get(index));
        format!("{}: {part}{name}", self.shards[self.shard_of(index)].path.display())
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        match self.shards.len() {
            1 => format!("tar archive `{}`{part}", self.path.display()),
            count => format!("{count} tar archives `{}`{part}", self.path.display()),
        }
    }
}
