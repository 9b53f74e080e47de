//! A `Part` is one file of an archive; a `Place` is a run of its bytes.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Source;
use crate::error::Error;

/// Bytes that several tensors may share.
pub(super) type Bytes = Arc<[u8]>;

/// One file.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    len: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    File(Mutex<File>),
    Memory(Bytes),
}

/// A run of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Which file.
    pub(super) part: usize,
    /// Its first byte.
    pub(super) offset: u64,
    /// Number of bytes.
    pub(super) len: u64,
    /// Their CRC-32, if the file has it.
    pub(super) crc: Option<u32>,
}

impl Part {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let metadata = std::fs::metadata(path).map_err(read)?;
        if !metadata.is_file() {
            // Reading a pipe could wait forever; reading a device may have no end.
            let found = "it is not a file, but a pipe or a device".to_owned();
            return Err(Error::NoCheckpoint { path: path.to_owned(), found });
        }
        let file = File::open(path).map_err(read)?;
        Ok(Self {
            path: path.to_owned(),
            len: metadata.len(),
            content: Content::File(Mutex::new(file)),
        })
    }

    pub(super) fn of_bytes(name: &str, bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self { path: name.into(), len, content: Content::Memory(bytes.into()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// `len` bytes from `offset` on.
    ///
    /// # Errors
    /// If the file ends before.
    pub(super) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            let reason = format!("{len} bytes are needed, but the file ends at {}", self.len);
            return Err(self.damaged(format!("byte {offset}"), reason));
        }
        match &self.content {
            Content::Memory(bytes) => Ok(bytes[offset as usize..][..len as usize].to_vec()),
            Content::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = vec![0; len as usize];
                let read = file.seek(SeekFrom::Start(offset));
                let read = read.and_then(|_| file.read_exact(&mut bytes));
                read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
                Ok(bytes)
            }
        }
    }

    /// The bytes of a place.
    ///
    /// # Errors
    /// Also if their checksum differs.
    pub(super) fn read_checked(&self, place: &Place) -> Result<Vec<u8>, Error> {
        let bytes = self.read(place.offset, place.len)?;
        if let Some(crc) = place.crc
            && crc32fast::hash(&bytes) != crc
        {
            let reason = format!("the checksum of its {} bytes is wrong", place.len);
            return Err(self.damaged(format!("byte {}", place.offset), reason));
        }
        Ok(bytes)
    }

    /// The content for a reader that searches in it.
    pub(super) fn source(&self) -> Result<Box<dyn Source + '_>, Error> {
        Ok(match &self.content {
            Content::Memory(bytes) => Box::new(Cursor::new(&**bytes)),
            Content::File(file) => {
                let file = file.lock().unwrap_or_else(PoisonError::into_inner).try_clone();
                let read = |source| Error::Read { path: self.path.clone(), source };
                Box::new(BufReader::new(file.map_err(read)?))
            }
        })
    }

    pub(super) fn damaged(&self, place: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Damaged { path: self.path.clone(), place: place.into(), reason: reason.into() }
    }
}
