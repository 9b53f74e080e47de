//! Bytes that are read at any offset by many threads: a file, or what was unpacked from one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, SampleError};

/// Most bytes that a compressed file may unpack to: they stay in memory.
pub(super) const MAX_UNPACKED: u64 = 2 << 30;

/// Random access to a file or to memory.
pub(super) enum Bytes {
    File { file: File, len: u64 },
    Memory(Vec<u8>),
}

impl Bytes {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let open = || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok(Self::File { file, len })
        };
        open().map_err(unreadable(path))
    }

    /// Unpacks a gzip file of any number of members.
    pub(super) fn unpack(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(unreadable(path))?;
        let mut bytes = Vec::new();
        MultiGzDecoder::new(io::BufReader::new(file))
            .take(MAX_UNPACKED + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                malformed(path, format!("is a damaged gzip file ({error}); copy it again"))
            })?;
        if bytes.len() as u64 > MAX_UNPACKED {
            let limit = MAX_UNPACKED >> 30;
            let reason = format!(
                "unpacks to more than {limit} GiB, the most that is kept in memory; unpack it \
                 with `gunzip` and pass the unpacked file, which is read in place"
            );
            return Err(malformed(path, reason));
        }
        Ok(Self::Memory(bytes))
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
    pub(super) fn sample(&self, offset: u64, len: usize) -> Result<Vec<u8>, SampleError> {
        let mut out = vec![0; len];
        let read = self.read_at(offset, &mut out);
        read.map_err(|error| SampleError::Unreadable { reason: error.to_string() })?;
        Ok(out)
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

/// The first bytes of a file, at most 512; unpacked, if it is a gzip file.
pub(super) fn start(path: &Path) -> Result<(Vec<u8>, bool), Error> {
    let read = |reader: &mut dyn Read| {
        let mut bytes = Vec::new();
        reader.take(512).read_to_end(&mut bytes).map(|_| bytes)
    };
    let mut file = File::open(path).map_err(unreadable(path))?;
    let bytes = read(&mut file).map_err(unreadable(path))?;
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        return Ok((bytes, false));
    }
    let file = File::open(path).map_err(unreadable(path))?;
    let unpacked = read(&mut MultiGzDecoder::new(file)).map_err(|error| {
        malformed(path, format!("is a damaged gzip file ({error}); copy it again"))
    })?;
    Ok((unpacked, true))
}

pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = PathBuf::from(path);
    |source| Error::Unreadable { path, source }
}

pub(super) fn malformed(path: &Path, reason: String) -> Error {
    Error::Malformed { path: path.into(), reason }
}
