//! Bytes that are read at any offset by many threads: a file, or what was unpacked from one.

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

/// What unpacks to less stays in memory, the rest goes to a temporary file.
const MAX_IN_MEMORY: u64 = 64 << 20;
/// Most bytes of an image, packed: as many as its pixels may have.
const MAX_IMAGE: u64 = 512 << 20;
/// Images do not shrink much, pixels of simple drawings do; what shrinks more is no data set.
const MAX_RATIO: u64 = 200;

/// What a gzip file starts with.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Random access to a file or to memory.
pub(super) enum Bytes {
    File { file: File, len: u64 },
    Memory(Vec<u8>),
}

impl Bytes {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        open_file(path).and_then(Self::of_file).map_err(unreadable(path))
    }

    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::File { file, len })
    }

    /// Unpacks a gzip file of any number of members.
    pub(super) fn unpack(path: &Path) -> Result<Self, Error> {
        let mut reader = Unpacker::open(path)?;
        let (mut spool, mut bytes) = (Spool::new(path), Vec::new());
        loop {
            bytes.clear();
            // reading and writing fail for different reasons, so `io::copy` will not do
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

    /// Fills `out` with the bytes from `offset` on.
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
        // before memory is taken: the file may be shorter than when its index was made
        if offset.checked_add(len).is_none_or(|end| end > self.len()) {
            return Err(sample_unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut out = vec![0; len as usize];
        self.read_at(offset, &mut out).map_err(sample_unreadable)?;
        Ok(out)
    }
}

/// What is unpacked from a file: in memory if it is small, or else in a temporary file without a
/// name, which is gone when it is closed.
pub(super) struct Spool<'a> {
    path: &'a Path,
    file: SpooledTempFile,
}

impl<'a> Spool<'a> {
    /// Room for what comes from the file `path`.
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
            SpooledData::OnDisk(file) => Bytes::of_file(file).map_err(unreadable(path)),
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

/// Opens a regular file, and nothing else: opening a pipe waits for a writer, and a device may have no
/// end.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    match irregular(&path.metadata()?) {
        Some(what) => Err(io::Error::other(format!("it is {what}, not a file"))),
        None => File::open(path),
    }
}

/// What this is, if it is neither a file nor a folder.
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

/// What a gzip file unpacks to, from its start to its end; fails on a decompression bomb.
///
/// Any number of members follow each other, with or without zeros between them. What else follows is
/// ignored, as by `gzip`; [`Self::has_trailing_bytes`] says so.
pub(super) struct Unpacker {
    /// `None` behind the last member.
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

    /// How many bytes were unpacked so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether something follows the last member that is neither a member nor zeros; known at the end.
    pub(super) fn has_trailing_bytes(&self) -> bool {
        self.trailing
    }

    /// Goes on with the next member, if there is one.
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

/// A reader that gives no more bytes than are left, and then an error: for readers that take a piece
/// of a file into memory whatever its length.
pub(super) struct Budget<R> {
    inner: R,
    left: Rc<Cell<u64>>,
    too_much: &'static str,
}

impl<R> Budget<R> {
    /// Gives `left` bytes before it fails with the message `too_much`.
    pub(super) fn new(inner: R, left: u64, too_much: &'static str) -> Self {
        Self { inner, left: Rc::new(Cell::new(left)), too_much }
    }

    /// What is left, to be set while the reader belongs to somebody else.
    pub(super) fn left(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.left)
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        let left = self.left.get().checked_sub(count as u64);
        let too_much = || io::Error::new(io::ErrorKind::InvalidData, self.too_much);
        self.left.set(left.ok_or_else(too_much)?);
        Ok(count)
    }
}

impl<R: Seek> Seek for Budget<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// The first bytes of a file, at most 512; unpacked, if it is a gzip file.
pub(super) fn start(path: &Path) -> Result<(Vec<u8>, bool), Error> {
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

/// An image that is a file of its own.
pub(super) fn read_file(path: &Path) -> Result<Sample<'static>, SampleError> {
    // before it is opened: a pipe would wait, a device may have no end
    let metadata = path.metadata().map_err(|error| file_unreadable(path, error))?;
    if let Some(what) = irregular(&metadata) {
        return Err(sample_unreadable(io::Error::other(format!("it is {what}, not a file"))));
    }
    check_len(metadata.len())?;
    Ok(Sample::Encoded(fs::read(path).map_err(|error| file_unreadable(path, error))?.into()))
}

/// Refuses what no image needs, before memory is taken.
fn check_len(len: u64) -> Result<(), SampleError> {
    if len > MAX_IMAGE {
        let reason = format!("{len} bytes are more than the {MAX_IMAGE} that an image may have");
        return Err(SampleError::Unreadable { reason });
    }
    Ok(())
}

/// What the system says about the file itself lasts; everything else, such as an error of the device or
/// the network, may be over soon.
fn sample_unreadable(error: io::Error) -> SampleError {
    let reason = error.to_string();
    if may_pass(&error) {
        SampleError::Unavailable { reason }
    } else {
        SampleError::Unreadable { reason }
    }
}

fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{
        InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied, UnexpectedEof,
    };
    let lasting =
        [InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied, UnexpectedEof];
    error.raw_os_error().is_some() && !lasting.contains(&error.kind())
}

/// The same for a container that cannot be opened or unpacked when one of its images is wanted.
pub(super) fn container_unreadable(error: Error) -> SampleError {
    let reason = error.to_string();
    match error {
        Error::Unreadable { source, .. } if may_pass(&source) => {
            SampleError::Unavailable { reason }
        }
        _ => SampleError::Unreadable { reason },
    }
}

/// The same for a file of its own. Without its folder, a whole share may be gone for a moment.
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
    fn what_unpacks_to_much_is_read_from_a_temporary_file() {
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
        // across the place up to which it was unpacked to memory first
        let sample = bytes.sample((64 << 20) - 5, 10).expect("read");
        assert_eq!(sample, [&mebibyte[(1 << 20) - 5..], &mebibyte[..5]].concat());
        assert!(bytes.sample((66 << 20) - 5, 6).is_err());
    }
}
