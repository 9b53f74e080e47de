//! Scans the headers of a tar archive in one pass and collects its images.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use tar::{Entry, EntryType};

use super::companions::{self, Companions};
use super::links::{self, Link};
use super::member::{Index, Member};
use crate::dataset::bytes::{Bytes, LimitedReader, Unpacker, malformed};
use crate::dataset::left_out::Tally;
use crate::dataset::names::{Kind, is_hidden, kind_of, normalize, to_bytes};
use crate::decode;
use crate::error::Error;

/// Limit on the bytes of a header with all its extensions: a long name needs a few thousand.
const MAX_HEADER: u64 = 1 << 20;
const TOO_LONG: &str = "a header of more than 1 MiB";
/// Bytes of a tar block.
const BLOCK: u64 = 512;

const RARE: &str = "images in tar members of rare kinds (sparse files, devices)";
const NO_END: &str = "archives without an end mark; they may be cut, so copy them again";
const AFTER_END: &str = "archives with data after their end mark, which is not read (repack \
                         archives that were joined by `cat`)";
const NESTED: &str = "archives inside of the archive, which are not opened (unpack them first)";
const TRAILING: &str = "gzip files with other bytes after their end, which are ignored";

/// Collects the images, links and companion files of an archive.
#[derive(Default)]
struct Scanner {
    images: Vec<Member>,
    /// Images with hidden names: links may lead to them.
    hidden: Vec<Member>,
    links: Vec<Link>,
    companions: Companions,
    left_out: Tally,
    /// End of the last member; `None` if it is not known.
    end: Option<u64>,
}

/// Scans the archive `path` and lists its images, sorted by name.
pub(super) fn scan(path: &Path, packed: bool, label_field: Option<&str>) -> Result<Index, Error> {
    let mut scanner = Scanner { end: Some(0), ..Scanner::default() };
    scanner.companions.label_field = label_field.map(str::to_owned);
    if packed {
        let reader = LimitedReader::new(Unpacker::open(path)?, MAX_HEADER, TOO_LONG);
        let left = reader.left();
        let mut archive = tar::Archive::new(reader);
        let entries = archive.entries().map_err(broken(path))?;
        scanner.visit(path, entries, &left, None)?;
        let mut unpacker = archive.into_inner().into_inner();
        // to its end, where a damaged file is noticed
        let position = unpacker.position();
        let more = has_data(&mut unpacker, true).map_err(broken(path))?;
        if unpacker.has_trailing_bytes() {
            scanner.note(TRAILING, path);
        }
        scanner.note_ending(path, position, more);
        return Ok(scanner.finish());
    }
    let bytes = Bytes::open(path)?;
    let reader = LimitedReader::new(Cursor { bytes: &bytes, position: 0 }, MAX_HEADER, TOO_LONG);
    let left = reader.left();
    let mut archive = tar::Archive::new(reader);
    let entries = archive.entries_with_seek().map_err(broken(path))?;
    scanner.visit(path, entries, &left, Some(bytes.len()))?;
    let mut rest = Cursor { bytes: &bytes, position: scanner.end.unwrap_or(bytes.len()) };
    let more = has_data(&mut rest, false).map_err(broken(path))?;
    scanner.note_ending(path, bytes.len(), more);
    Ok(scanner.finish())
}

fn broken(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| {
        malformed(path, format!("is a damaged tar archive ({error}); copy or pack it again"))
    }
}

impl Scanner {
    /// Visits all entries. `left` is the number of bytes that may still be read. `end` is the
    /// length of the archive, if contents are skipped without being read.
    fn visit<R: Read>(
        &mut self,
        path: &Path,
        mut entries: tar::Entries<'_, R>,
        left: &Cell<u64>,
        end: Option<u64>,
    ) -> Result<(), Error> {
        loop {
            left.set(MAX_HEADER);
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.map_err(broken(path))?;
            left.set(u64::MAX);
            let (offset, len) = (entry.raw_file_position(), entry.size());
            let cut = |entry: &Entry<'_, R>| {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                malformed(path, format!("ends inside `{name}`; copy it again"))
            };
            // a sparse file has fewer stored bytes than its size
            let sparse = entry.header().entry_type().is_gnu_sparse();
            let last = offset.checked_add(len).filter(|&last| end.is_none_or(|end| last <= end));
            if last.is_none() && !sparse {
                return Err(cut(&entry));
            }
            let read = self.add(&mut entry).map_err(broken(path))?;
            if end.is_none() {
                let skipped = io::copy(&mut entry, &mut io::sink()).map_err(broken(path))?;
                if skipped + read != len && !sparse {
                    return Err(cut(&entry));
                }
            }
            self.end = last.filter(|_| !sparse).map(|last| last.next_multiple_of(BLOCK));
        }
        left.set(u64::MAX);
        Ok(())
    }

    /// Adds one entry, and returns the number of bytes of its contents that were read.
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<u64> {
        let kind = entry.header().entry_type();
        let raw = entry.path_bytes().into_owned();
        let name = normalize(&raw);
        if kind.is_hard_link() || kind.is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = links::target(&name, &target, kind.is_symlink());
            self.links.push(Link { name, target });
            return Ok(0);
        }
        // in the oldest form of tar, folders are files with a trailing slash
        if kind.is_dir() || raw.ends_with(b"/") || name.is_empty() {
            return Ok(0);
        }
        if !(kind.is_file() || kind.is_contiguous()) || is_pax_sparse(entry)? {
            let rare = !matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader);
            if rare && kind_of(&name) == Kind::Image && !is_hidden(&name) {
                self.left_out.add(RARE, &name);
            }
            return Ok(0);
        }
        let mut contents = Vec::new();
        let limit = bytes_to_read(&name, entry.size());
        Read::by_ref(entry).take(limit).read_to_end(&mut contents)?;
        let (offset, len) = (entry.raw_file_position(), entry.size());
        self.add_file(Member { name, offset, len, label: None, keyed: false }, &contents);
        Ok(contents.len() as u64)
    }

    /// Adds a file that starts with `contents`.
    fn add_file(&mut self, file: Member, contents: &[u8]) {
        let hidden = is_hidden(&file.name);
        let kind = kind_of(&file.name);
        let known = match kind {
            Kind::Image => true,
            Kind::Unknown | Kind::UnreadImage => decode::format(contents).is_some(),
            Kind::Archive | Kind::Other => false,
        };
        match (known, hidden) {
            (true, false) => self.images.push(file),
            (true, true) => {
                if kind == Kind::Image {
                    self.left_out.add_hidden(&file.name);
                }
                self.hidden.push(file);
            }
            (false, false) => {
                match kind {
                    Kind::Archive => self.left_out.add(NESTED, &file.name),
                    kind => self.left_out.add_file(kind, &file.name),
                }
                self.companions.add(&file.name, contents, file.len);
            }
            (false, true) => {}
        }
    }

    fn note(&mut self, what: &str, path: &Path) {
        self.left_out.add(what, &to_bytes(path.as_os_str()));
    }

    /// Notes an archive of `read` bytes that lacks an end mark, or has `more` than zeros after it.
    fn note_ending(&mut self, path: &Path, read: u64, more: bool) {
        match self.end {
            Some(end) if read <= end => self.note(NO_END, path),
            Some(_) if more => self.note(AFTER_END, path),
            _ => {}
        }
    }

    fn finish(self) -> Index {
        let Self { mut images, hidden, links, companions, mut left_out, .. } = self;
        links::resolve(links, &mut images, &hidden, &mut left_out);
        // of several members with one name, unpacking keeps the last
        images.reverse();
        images.sort_by(|a, b| a.name.cmp(&b.name));
        images.dedup_by(|later, first| {
            let same = later.name == first.name;
            if same {
                left_out
                    .add("earlier versions of images that the archive holds again", &later.name);
            }
            same
        });
        companions.label(&mut images);
        images.shrink_to_fit();
        Index { members: images, left_out }
    }
}

/// Whether a file is stored without its holes, as GNU tar does in the POSIX format.
fn is_pax_sparse<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<bool> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(false) };
    let sparse = |key: &[u8]| key.starts_with(b"GNU.sparse.");
    Ok(extensions.flatten().any(|extension| sparse(extension.key_bytes())))
}

/// Number of first bytes that are needed to find out what a file is.
fn bytes_to_read(name: &[u8], len: u64) -> u64 {
    match kind_of(name) {
        Kind::Image => 0,
        _ => companions::bytes_to_read(name, len).unwrap_or(len.min(16)),
    }
}

/// Whether anything other than zeros follows. With `whole`, always reads to the end.
fn has_data(reader: &mut impl Read, whole: bool) -> io::Result<bool> {
    let (mut buffer, mut found) = (vec![0; 64 << 10], false);
    while whole || !found {
        match reader.read(&mut buffer)? {
            0 => break,
            count => found = found || buffer[..count].iter().any(|&byte| byte != 0),
        }
    }
    Ok(found)
}

/// A sequential reader over [`Bytes`].
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
