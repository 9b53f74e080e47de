//! [`Bytes`]: random access for many threads to a file, or to the unpacked contents of one.

use std::cell::Cell;
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::bufread::GzDecoder;
use tempfile::{SpooledData, SpooledTempFile};

use super::Sample;
use crate::error::{Error, SampleError};

/// Unpacked contents up to this size stay in memory, larger ones go to a temporary file.
const MAX_IN_MEMORY: u64 = 64 << 20;
/// Limit on the encoded bytes of an image, about the size of the largest decoded one.
const MAX_IMAGE: u64 = 512 << 20;
/// Limit on the compression ratio. Encoded images hardly compress and pixels of simple drawings do,
/// but a file that exceeds this is a decompression bomb.
const MAX_RATIO: u64 = 200;

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Random access to a file or to memory.
pub(super) enum Bytes {
    File { file: File, len: u64 },
    Memory(Vec<u8>),
}

impl Bytes {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        open_file(path).and_then(Self::from_file).map_err(unreadable(path))
    }

    pub(super) fn from_file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::File { file, len })
    }

    /// Unpacks a gzip file of any number of members.
    pub(super) fn unpack(path: &Path) -> Result<Self, Error> {
        let mut reader = Unpacker::open(path)?;
        let (mut spool, mut bytes) = (Spool::new(path), Vec::new());
        loop {
            bytes.clear();
            // not `io::copy`: a failed read and a failed write need different messages
            reader.by_ref().take(1 << 20).read_to_end(&mut bytes).map_err(|error| {
                malformed(path, format!("is a damaged gzip file ({error}); copy it again"))
            })?;
            if bytes.is_empty() {
                return spool.finish();
            }
            spool.push(&bytes)?;
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::File { len, .. } => *len,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Fills `out` with the bytes that start at `offset`.
    pub(super) fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File { file, .. } => read_file_at(file, offset, out),
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let found = bytes.get(start..).and_then(|rest| rest.get(..out.len()));
                out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// The bytes of one sample.
    pub(super) fn sample(&self, offset: u64, len: u64) -> Result<Vec<u8>, SampleError> {
        check_len(len)?;
        // checked before allocating: the file may have become shorter since it was indexed
        if offset.checked_add(len).is_none_or(|end| end > self.len()) {
            return Err(sample_unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut out = vec![0; len as usize];
        self.read_at(offset, &mut out).map_err(sample_unreadable)?;
        Ok(out)
    }
}

/// Collects the unpacked contents of a file: in memory while they are small, then in an unnamed
/// temporary file, which is deleted when it is closed.
pub(super) struct Spool<'a> {
    path: &'a Path,
    file: SpooledTempFile,
}

impl<'a> Spool<'a> {
    /// Starts empty; `path` is the packed file, for messages.
    pub(super) fn new(path: &'a Path) -> Self {
        Self { path, file: SpooledTempFile::new(MAX_IN_MEMORY as usize) }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| self.no_room(&error))
    }

    pub(super) fn finish(self) -> Result<Bytes, Error> {
        let path = self.path;
        match self.file.into_inner() {
            SpooledData::InMemory(bytes) => {
                let mut bytes = bytes.into_inner();
                bytes.shrink_to_fit();
                Ok(Bytes::Memory(bytes))
            }
            SpooledData::OnDisk(file) => Bytes::from_file(file).map_err(unreadable(path)),
        }
    }

    fn no_room(&self, error: &io::Error) -> Error {
        let folder = env::temp_dir();
        let reason = format!(
            "cannot be unpacked to the temporary folder `{}` ({error}); make room there, or set \
             TMPDIR to another folder",
            folder.display()
        );
        malformed(self.path, reason)
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, offset)
}

#[cfg(windows)]
fn read_file_at(file: &File, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
    while !out.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, out, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += count as u64;
        out = &mut out[count..];
    }
    Ok(())
}

/// Opens a regular file and refuses anything else: opening a pipe would block, and a device may be
/// endless.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    match irregular(&path.metadata()?) {
        Some(what) => Err(io::Error::other(format!("it is {what}, not a file"))),
        None => File::open(path),
    }
}

/// The kind of a file system entry that is not a regular file.
pub(super) fn irregular(metadata: &fs::Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return None;
    }
    if kind.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some("a device")
}

/// Reads the unpacked contents of a gzip file; fails on a decompression bomb.
///
/// A file has any number of members, with or without zeros between them. Other bytes after a member
/// are ignored, as by `gzip`, and reported by [`Self::has_trailing_bytes`].
pub(super) struct Unpacker {
    /// `None` after the last member.
    decoder: Option<GzDecoder<BufReader<File>>>,
    position: u64,
    limit: u64,
    trailing: bool,
}

impl Unpacker {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let open = || {
            let file = open_file(path)?;
            let limit = file.metadata()?.len().saturating_mul(MAX_RATIO).max(MAX_IN_MEMORY);
            let decoder = Some(GzDecoder::new(BufReader::with_capacity(1 << 16, file)));
            Ok(Self { decoder, position: 0, limit, trailing: false })
        };
        open().map_err(unreadable(path))
    }

    /// Number of bytes unpacked so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether bytes follow the last member that are neither a member nor zeros; known at the end.
    pub(super) fn has_trailing_bytes(&self) -> bool {
        self.trailing
    }

    /// Starts the next member, if there is one.
    fn next_member(&mut self, mut file: BufReader<File>) -> io::Result<()> {
        loop {
            let buffer = file.fill_buf()?;
            let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
            if buffer.is_empty() {
                return Ok(());
            }
            if zeros < buffer.len() {
                file.consume(zeros);
                break;
            }
            file.consume(zeros);
        }
        let mut magic = Vec::new();
        file.by_ref().take(2).read_to_end(&mut magic)?;
        file.seek_relative(-(magic.len() as i64))?;
        if magic == GZIP {
            self.decoder = Some(GzDecoder::new(file));
        } else {
            self.trailing = true;
        }
        Ok(())
    }
}

impl Read for Unpacker {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count == 0 && !out.is_empty() {
            let Some(mut decoder) = self.decoder.take() else { break };
            count = decoder.read(out)?;
            match count {
                0 => self.next_member(decoder.into_inner())?,
                _ => self.decoder = Some(decoder),
            }
        }
        self.position += count as u64;
        if self.position > self.limit {
            let reason = format!("it unpacks to more than {MAX_RATIO} times its size");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(count)
    }
}

/// A reader that fails after a given number of bytes: for parsers that would otherwise load a piece
/// of any length into memory.
pub(super) struct LimitedReader<R> {
    inner: R,
    left: Rc<Cell<u64>>,
    too_much: &'static str,
}

impl<R> LimitedReader<R> {
    /// Reads up to `left` bytes, then fails with the message `too_much`.
    pub(super) fn new(inner: R, left: u64, too_much: &'static str) -> Self {
        Self { inner, left: Rc::new(Cell::new(left)), too_much }
    }

    /// The number of bytes left, which can be set while a parser owns the reader.
    pub(super) fn left(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.left)
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        let left = self.left.get().checked_sub(count as u64);
        let too_much = || io::Error::new(io::ErrorKind::InvalidData, self.too_much);
        self.left.set(left.ok_or_else(too_much)?);
        Ok(count)
    }
}

impl<R: Seek> Seek for LimitedReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// The first bytes of a file, at most 512, unpacked if it is a gzip file; and whether it is one.
pub(super) fn read_start(path: &Path) -> Result<(Vec<u8>, bool), Error> {
    let read = |reader: &mut dyn Read| {
        let mut bytes = Vec::new();
        reader.take(512).read_to_end(&mut bytes).map(|_| bytes)
    };
    let mut file = open_file(path).map_err(unreadable(path))?;
    let bytes = read(&mut file).map_err(unreadable(path))?;
    if !bytes.starts_with(&GZIP) {
        return Ok((bytes, false));
    }
    let unpacked = read(&mut Unpacker::open(path)?).map_err(|error| {
        malformed(path, format!("is a damaged gzip file ({error}); copy it again"))
    })?;
    Ok((unpacked, true))
}

pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = PathBuf::from(path);
    |source| Error::Unreadable { path, source }
}

/// Reads an image file.
pub(super) fn read_file(path: &Path) -> Result<Sample<'static>, SampleError> {
    // checked before opening: opening a pipe would block, and a device may be endless
    let metadata = path.metadata().map_err(|error| file_unreadable(path, error))?;
    if let Some(what) = irregular(&metadata) {
        return Err(sample_unreadable(io::Error::other(format!("it is {what}, not a file"))));
    }
    check_len(metadata.len())?;
    Ok(Sample::Encoded(fs::read(path).map_err(|error| file_unreadable(path, error))?.into()))
}

/// Refuses a length that no image has, before allocating.
fn check_len(len: u64) -> Result<(), SampleError> {
    if len > MAX_IMAGE {
        let reason =
            format!("it has {len} bytes, more than the {MAX_IMAGE} that an image may have");
        return Err(SampleError::Unreadable { reason });
    }
    Ok(())
}

/// Errors about the file itself are permanent; all other errors, such as those of a device or the
/// network, may be temporary.
fn sample_unreadable(error: io::Error) -> SampleError {
    let reason = error.to_string();
    if is_temporary(&error) {
        SampleError::Unavailable { reason }
    } else {
        SampleError::Unreadable { reason }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    use io::ErrorKind::{
        InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied, UnexpectedEof,
    };
    let permanent =
        [InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied, UnexpectedEof];
    error.raw_os_error().is_some() && !permanent.contains(&error.kind())
}

/// The error of an image whose container cannot be opened or unpacked.
pub(super) fn container_unreadable(error: Error) -> SampleError {
    let reason = error.to_string();
    match error {
        Error::Unreadable { source, .. } if is_temporary(&source) => {
            SampleError::Unavailable { reason }
        }
        _ => SampleError::Unreadable { reason },
    }
}

/// The error of an image file. If its folder is missing too, a network share may be away
/// temporarily.
fn file_unreadable(path: &Path, error: io::Error) -> SampleError {
    // the parent of a bare name is the current folder, and its path is empty
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder_is_gone = || folder.is_some_and(|folder| !folder.is_dir());
    if error.kind() == io::ErrorKind::NotFound && folder_is_gone() {
        return SampleError::Unavailable { reason: format!("{error}, and its folder is gone too") };
    }
    sample_unreadable(error)
}

pub(super) fn malformed(path: &Path, reason: String) -> Error {
    Error::Malformed { path: path.into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    #[test]
    fn large_contents_are_unpacked_to_a_temporary_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("large.gz");
        let mut packer = GzEncoder::new(File::create(&path).expect("a file"), Compression::none());
        let mebibyte: Vec<u8> =
            (0..1 << 20).map(|i: u32| (i.wrapping_mul(0x9E37) >> 7) as u8).collect();
        (0..66).for_each(|_| packer.write_all(&mebibyte).expect("written"));
        packer.finish().expect("written");
        let bytes = Bytes::unpack(&path).expect("unpacked");
        assert!(matches!(bytes, Bytes::File { .. }));
        assert_eq!(bytes.len(), 66 << 20);
        // across the offset at which the spool moved from memory to a file
        let sample = bytes.sample((64 << 20) - 5, 10).expect("read");
        assert_eq!(sample, [&mebibyte[(1 << 20) - 5..], &mebibyte[..5]].concat());
        assert!(bytes.sample((66 << 20) - 5, 6).is_err());
    }
}
