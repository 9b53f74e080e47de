//! Where the images of a tar archive lie, from one pass over its headers.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataset::bytes::{Bytes, Unpacker, malformed};
use crate::dataset::cache::{Cache, settled_time};
use crate::dataset::folder::walk::named_like_an_image;
use crate::dataset::labels::MAX_CLASSES;
use crate::decode;
use crate::error::Error;

/// The headers of smaller archives are read as fast as a file with the index.
const MIN_CACHED: u64 = 16 << 20;
/// Most bytes of a header with all its extensions: a long name needs some thousands.
const MAX_HEADER: u64 = 1 << 20;
/// Most bytes of a `key.json`.
const MAX_JSON: u64 = 64 << 10;

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) len: u64,
    /// The number in `key.cls` or `key.json` beside it.
    pub(super) class: Option<u32>,
}

/// An index with the size and time of the archive it belongs to.
#[derive(Serialize, Deserialize)]
struct Stored {
    len: u64,
    modified: Duration,
    members: Vec<Member>,
}

/// All images of the archive, sorted by name; from the cache, if the archive has not changed.
pub(super) fn images(path: &Path, packed: bool, cache: &Cache) -> Result<Vec<Member>, Error> {
    let len = path.metadata().map_or(0, |metadata| metadata.len());
    let modified = settled_time(path).filter(|_| len >= MIN_CACHED);
    if let Some(modified) = modified {
        let stored: Option<Stored> = cache.load("tar", path);
        if let Some(stored) = stored.filter(|old| (old.len, old.modified) == (len, modified)) {
            return Ok(stored.members);
        }
    }
    let mut members = scan_file(path, packed)?;
    members.sort_by(|a, b| a.name.cmp(&b.name).then(a.offset.cmp(&b.offset)));
    if let Some(modified) = modified {
        let stored = Stored { len, modified, members };
        cache.store("tar", path, &stored);
        return Ok(stored.members);
    }
    Ok(members)
}

fn scan_file(path: &Path, packed: bool) -> Result<Vec<Member>, Error> {
    if packed {
        let reader = Budget::new(Unpacker::open(path)?);
        let left = Rc::clone(&reader.left);
        let mut archive = tar::Archive::new(reader);
        return archive.entries().map_err(broken(path)).and_then(|e| scan(path, e, &left, None));
    }
    let bytes = Bytes::open(path)?;
    let reader = Budget::new(Cursor { bytes: &bytes, position: 0 });
    let left = Rc::clone(&reader.left);
    let mut archive = tar::Archive::new(reader);
    let entries = archive.entries_with_seek().map_err(broken(path))?;
    scan(path, entries, &left, Some(bytes.len()))
}

fn broken(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| {
        malformed(path, format!("is a damaged tar archive ({error}); copy or pack it again"))
    }
}

/// The images among the entries of an archive. `left` is what may still be read, `end` the length of
/// the archive where contents are skipped without being read.
fn scan<R: Read>(
    path: &Path,
    mut entries: tar::Entries<'_, R>,
    left: &Cell<u64>,
    end: Option<u64>,
) -> Result<Vec<Member>, Error> {
    let (mut images, mut classes) = (Vec::new(), HashMap::new());
    loop {
        left.set(MAX_HEADER);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(broken(path))?;
        left.set(u64::MAX);
        let (offset, len) = (entry.raw_file_position(), entry.size());
        let regular = entry.header().entry_type().is_file();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let cut = |name: &str| malformed(path, format!("ends inside of `{name}`; copy it again"));
        if end.is_some_and(|end| offset.checked_add(len).is_none_or(|last| last > end)) {
            return Err(cut(&name));
        }
        let mut contents = Vec::new();
        let mut member = name.trim_start_matches("./").trim_start_matches('/').to_owned();
        // `._x.jpg` is what macOS adds to `x.jpg`
        if regular && !member.split('/').any(|part| part.starts_with('.')) {
            let needed = needed(&member, len);
            (&mut entry).take(needed).read_to_end(&mut contents).map_err(broken(path))?;
            if is_image(&member, &contents) {
                member.shrink_to_fit();
                images.push(Member { name: member, offset, len, class: None });
            } else if let Some((key, class)) = class_file(&member, &contents) {
                // a `.cls` says it better than a `.json`
                if member.ends_with(".cls") || !classes.contains_key(&key) {
                    classes.insert(key, (class, member));
                }
            }
        }
        if end.is_none() {
            let skipped = io::copy(&mut entry, &mut io::sink()).map_err(broken(path))?;
            if skipped + contents.len() as u64 != len {
                return Err(cut(&name));
            }
        }
    }
    join(path, &mut images, &classes)?;
    Ok(images)
}

/// How many first bytes of a file tell what it is.
fn needed(name: &str, len: u64) -> u64 {
    match name.rsplit_once('.') {
        Some((_, "cls")) => len.min(16),
        Some((_, "json")) if len <= MAX_JSON => len,
        _ if named_like_an_image(name.as_bytes()).is_some() => 0,
        _ => len.min(16),
    }
}

/// By extension, or else by the first bytes.
fn is_image(name: &str, start: &[u8]) -> bool {
    named_like_an_image(name.as_bytes()).unwrap_or_else(|| decode::format(start).is_some())
}

/// A class number, or `None` where one should be.
type Class = Option<u32>;

/// The key and the class in a file `key.cls`, or in a file `key.json` with a number `cls` or `label`.
fn class_file(name: &str, contents: &[u8]) -> Option<(String, Class)> {
    let (base, extension) = name.rsplit_once('.')?;
    let class = match extension {
        "cls" => std::str::from_utf8(contents).ok().and_then(|text| text.trim().parse().ok()),
        "json" => {
            let value: serde_json::Value = serde_json::from_slice(contents).ok()?;
            let class = ["cls", "label"].iter().find_map(|field| value.get(field)?.as_u64())?;
            u32::try_from(class).ok()
        }
        _ => return None,
    };
    Some((base.to_owned(), class.filter(|&class| class < MAX_CLASSES)))
}

/// Gives each image the class of its key.
fn join(
    path: &Path,
    images: &mut [Member],
    classes: &HashMap<String, (Class, String)>,
) -> Result<(), Error> {
    for image in images {
        let Some((class, file)) = classes.get(key(&image.name)) else { continue };
        image.class = *class;
        if class.is_none() {
            let reason = format!(
                "has no class number below {MAX_CLASSES} in `{file}`; write one or remove the file"
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

/// A reader that gives no more bytes than are left, and then an error: names in a header are read
/// into memory whatever their length.
struct Budget<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R> Budget<R> {
    fn new(inner: R) -> Self {
        Self { inner, left: Rc::new(Cell::new(MAX_HEADER)) }
    }
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        let left = self.left.get().checked_sub(count as u64);
        let too_long = || io::Error::new(io::ErrorKind::InvalidData, "a header of more than 1 MiB");
        self.left.set(left.ok_or_else(too_long)?);
        Ok(count)
    }
}

impl<R: Seek> Seek for Budget<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    fn tar(name: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(MIN_CACHED);
        let contents = vec![7; MIN_CACHED as usize];
        builder.append_data(&mut header, name, &contents[..]).expect("packed");
        builder.into_inner().expect("packed")
    }

    #[test]
    fn the_index_of_a_large_archive_is_kept_until_the_archive_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(&folder.path().join("cache"));
        let path = folder.path().join("large.tar");
        let name_at = |name: &str, seconds: u64| {
            fs::write(&path, tar(name)).expect("written");
            let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            File::options().write(true).open(&path).and_then(|f| f.set_modified(time)).expect("ok");
            images(&path, false, &cache).map(|members| members[0].name.clone()).expect("an index")
        };
        assert_eq!(name_at("a.jpg", 1_000_000_000), "a.jpg");
        // changed without a trace: the stored index is used
        assert_eq!(name_at("b.jpg", 1_000_000_000), "a.jpg");
        assert_eq!(name_at("b.jpg", 1_000_000_001), "b.jpg");
    }
}
