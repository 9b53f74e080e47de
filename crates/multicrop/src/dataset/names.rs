//! Many names in little memory, as bytes: paths are not always UTF-8.

use std::ffi::OsStr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A list of names in one piece of memory: their bytes, and 8 more for each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Names {
    bytes: Vec<u8>,
    ends: Vec<u64>,
}

impl Names {
    pub(super) fn push(&mut self, name: &[u8]) {
        self.push_parts(&[name]);
    }

    /// Adds the name that these parts make up.
    pub(super) fn push_parts(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.ends.push(self.bytes.len() as u64);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start as usize..self.ends[index] as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Gives back what was allocated in advance.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// False if the ends do not belong to the bytes: a damaged file was read.
    pub(super) fn is_sound(&self) -> bool {
        self.ends.is_sorted() && self.ends.last().is_none_or(|&end| end <= self.bytes.len() as u64)
    }
}

impl<'a> FromIterator<&'a [u8]> for Names {
    fn from_iter<T: IntoIterator<Item = &'a [u8]>>(names: T) -> Self {
        let mut list = Self::default();
        names.into_iter().for_each(|name| list.push(name));
        list
    }
}

/// The bytes of a file's name; where names are not bytes, their UTF-8.
pub(super) fn to_bytes(name: &OsStr) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec();
    #[cfg(not(unix))]
    return name.to_string_lossy().into_owned().into_bytes();
}

/// The path of which these are the bytes.
pub(super) fn to_path(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    return PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes));
    #[cfg(not(unix))]
    return PathBuf::from(String::from_utf8_lossy(bytes).into_owned());
}
