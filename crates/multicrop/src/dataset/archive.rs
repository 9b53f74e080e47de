//! Images in a tar archive: in folders, or with WebDataset's keys.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::bytes::{Bytes, malformed};
use super::labels::{Labels, choose_part};
use super::{Dataset, Sample, Split};
use crate::decode;
use crate::error::{Error, SampleError};

/// Class numbers are below this: each number up to the largest gets a name.
const MAX_CLASSES: u32 = 1 << 24;

/// A file in the archive.
struct Member {
    name: String,
    offset: u64,
    len: u64,
    /// The number in the file `key.cls` beside it.
    class: Option<u32>,
}

/// All images of a tar archive, sorted by name.
///
/// The headers are read once; a plain archive's images are then read in place, a gzipped one's
/// from memory. Labels are the numbers in `key.cls` beside `key.jpg`, or else the first folder;
/// folders around everything do not count.
pub struct Archive {
    path: PathBuf,
    split: Option<Split>,
    bytes: Bytes,
    members: Vec<Member>,
    labels: Labels,
}

impl Archive {
    pub(super) fn open(path: &Path, bytes: Bytes, split: Option<Split>) -> Result<Self, Error> {
        let members = index(path, &bytes)?;
        let (mut images, others): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|member| is_image(&bytes, member));
        read_classes(path, &bytes, &mut images, &others)?;
        unwrap_folders(&mut images);
        let mut folders: Vec<_> =
            images.iter().filter_map(|m| m.name.split_once('/')).map(|(first, _)| first).collect();
        folders.sort_unstable();
        folders.dedup();
        let part = choose_part(path, &folders, split)?;
        let split = part.map(|(_, split)| split);
        if let Some((folder, _)) = part {
            let prefix = format!("{folder}/");
            images.retain(|member| member.name.starts_with(&prefix));
            images.iter_mut().for_each(|member| {
                member.name.drain(..prefix.len());
            });
        }
        if images.is_empty() {
            return Err(Error::NoImages { path: path.into() });
        }
        images.sort_by(|a, b| a.name.cmp(&b.name).then(a.offset.cmp(&b.offset)));
        let labels = match images.iter().map(|member| member.class).collect() {
            Some(classes) => Labels::from_numbers(classes),
            None => Labels::from_folders(images.iter().map(|member| member.name.as_str())),
        };
        Ok(Self { path: path.into(), split, bytes, members: images, labels })
    }
}

/// All regular files of the archive, in its order.
fn index(path: &Path, bytes: &Bytes) -> Result<Vec<Member>, Error> {
    let broken = |error: io::Error| {
        malformed(path, format!("is a damaged tar archive ({error}); copy or pack it again"))
    };
    let mut archive = tar::Archive::new(Cursor { bytes, position: 0 });
    let mut members = Vec::new();
    for entry in archive.entries_with_seek().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let (offset, len) = (entry.raw_file_position(), entry.size());
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if offset.checked_add(len).is_none_or(|end| end > bytes.len()) {
            let reason = format!("ends inside of `{name}`; copy it again");
            return Err(malformed(path, reason));
        }
        let name = name.trim_start_matches("./").trim_start_matches('/').to_owned();
        // `._x.jpg` is what macOS adds to `x.jpg`
        if !name.split('/').any(|part| part.starts_with('.')) {
            members.push(Member { name, offset, len, class: None });
        }
    }
    Ok(members)
}

/// By extension, or else by the first bytes.
fn is_image(bytes: &Bytes, member: &Member) -> bool {
    const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"];
    let extension = member.name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)) {
        return true;
    }
    let mut start = vec![0; member.len.min(16) as usize];
    bytes.read_at(member.offset, &mut start).is_ok() && decode::format(&start).is_some()
}

/// Cuts off folders that are around all images and hold nothing but folders.
fn unwrap_folders(images: &mut [Member]) {
    while let Some((first, _)) = images.first().and_then(|member| member.name.split_once('/')) {
        let prefix = format!("{first}/");
        let wrapped = |member: &Member| {
            member.name.strip_prefix(&prefix).is_some_and(|rest| rest.contains('/'))
        };
        if !images.iter().all(wrapped) {
            return;
        }
        for member in images.iter_mut() {
            member.name.drain(..prefix.len());
        }
    }
}

/// Reads the number in `key.cls` for each image that has such a file beside it.
fn read_classes(
    path: &Path,
    bytes: &Bytes,
    images: &mut [Member],
    others: &[Member],
) -> Result<(), Error> {
    let files: HashMap<_, _> =
        others.iter().filter_map(|m| Some((m.name.strip_suffix(".cls")?, m))).collect();
    for image in images {
        let Some(file) = files.get(key(&image.name)) else { continue };
        let mut text = vec![0; file.len.min(16) as usize];
        let read = bytes.read_at(file.offset, &mut text);
        let class = read.ok().and_then(|()| std::str::from_utf8(&text).ok()?.trim().parse().ok());
        image.class = class.filter(|&class| class < MAX_CLASSES);
        if image.class.is_none() {
            let reason = format!(
                "has no class number below {MAX_CLASSES} in `{}`; write one or remove the file",
                file.name
            );
            return Err(malformed(path, reason));
        }
    }
    Ok(())
}

/// WebDataset's key: everything before the first dot of the file's name.
fn key(name: &str) -> &str {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    name[file..].find('.').map_or(name, |dot| &name[..file + dot])
}

impl Dataset for Archive {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let member = &self.members[index];
        Ok(Sample::Encoded(self.bytes.sample(member.offset, member.len as usize)?.into()))
    }

    fn label(&self, index: usize) -> Option<u32> {
        assert!(index < self.len(), "image {index} of {}", self.len());
        self.labels.of.get(index).copied()
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn name(&self, index: usize) -> String {
        let part = self.split.map_or(String::new(), |split| format!("{split}/"));
        format!("{}: {part}{}", self.path.display(), self.members[index].name)
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        format!("tar archive `{}`{part}", self.path.display())
    }
}

/// [`Bytes`] as the reader that walks over the headers.
struct Cursor<'a> {
    bytes: &'a Bytes,
    position: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.len().saturating_sub(self.position);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.bytes.read_at(self.position, &mut out[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(target) => Some(target),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.bytes.len().checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
