//! [`Names`] stores many names compactly, and functions classify names. Names are bytes, because
//! paths are not always UTF-8.

use std::ffi::OsStr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A list of names in one allocation, with 8 bytes of overhead for each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Names {
    bytes: Vec<u8>,
    ends: Vec<u64>,
}

impl Names {
    pub(super) fn push(&mut self, name: &[u8]) {
        self.push_parts(&[name]);
    }

    /// Adds the concatenation of these parts.
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

    /// Frees excess capacity.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// False if the ends do not fit the bytes, because a damaged cache file was read.
    pub(super) fn is_valid(&self) -> bool {
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

/// The bytes of a file name; on systems where names are not bytes, their UTF-8.
pub(super) fn to_bytes(name: &OsStr) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec();
    #[cfg(not(unix))]
    return name.to_string_lossy().into_owned().into_bytes();
}

/// The path with these bytes.
pub(super) fn to_path(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    return PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes));
    #[cfg(not(unix))]
    return PathBuf::from(String::from_utf8_lossy(bytes).into_owned());
}

/// A name inside a container without empty parts, `.` and `..`: the path that `tar xf` would write.
///
/// `./photos/a.jpg`, `/photos/a.jpg`, `../photos/./a.jpg` and `photos/x/../a.jpg` are all
/// `photos/a.jpg`.
pub(super) fn normalize(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// True if a part of a normalized name starts with a dot, as in `.cache/1.jpg` or the `._1.jpg`
/// that macOS adds to `1.jpg`, or is `__MACOSX`.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.split(|&byte| byte == b'/').any(|part| part.starts_with(b".") || part == b"__MACOSX")
}

/// The kind of a file according to its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image in a format that is read.
    Image,
    /// An image in a format that is not read, unless its first bytes show another format.
    UnreadImage,
    /// An archive.
    Archive,
    /// Another kind of file that is common next to images.
    Other,
    /// An unknown extension: the first bytes decide.
    Unknown,
}

/// Extensions of images. Such a file counts as an image without reading it.
const IMAGES: [&str; 18] = [
    "jpg", "jpeg", "jpe", "jif", "jfif", "png", "apng", "webp", "bmp", "gif", "tif", "tiff", "btf",
    "ppm", "pgm", "pbm", "pnm", "jxl",
];
/// Extensions of image formats that are usually not read; the first bytes decide.
const UNREAD_IMAGES: [&str; 25] = [
    "heic", "heif", "avif", "jp2", "j2k", "jpx", "psd", "svg", "exr", "hdr", "ico", "tga", "dcm",
    "nii", "dng", "cr2", "cr3", "nef", "arw", "orf", "raf", "rw2", "pcx", "sgi", "xcf",
];
/// Extensions of archives.
const ARCHIVES: [&str; 12] =
    ["tar", "tgz", "tbz2", "txz", "tzst", "zip", "7z", "rar", "parquet", "zst", "bz2", "xz"];
/// Extensions of files whose first bytes are not checked.
const OTHERS: [&str; 19] = [
    "cls", "csv", "gz", "html", "json", "jsonl", "md", "npy", "npz", "pt", "tsv", "txt", "xml",
    "yaml", "yml", "py", "pkl", "db", "ini",
];

/// The kind of a file with this name.
pub(super) fn kind_of(name: &[u8]) -> Kind {
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.') else { return Kind::Unknown };
    let extension = &name[dot + 1..];
    let is_in =
        |list: &[&str]| list.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(extension));
    if is_in(&IMAGES) {
        Kind::Image
    } else if is_in(&ARCHIVES) || name.to_ascii_lowercase().ends_with(b".tar.gz") {
        Kind::Archive
    } else if is_in(&OTHERS) {
        Kind::Other
    } else if is_in(&UNREAD_IMAGES) {
        Kind::UnreadImage
    } else {
        Kind::Unknown
    }
}

/// A name as text for people, with `/` between its parts.
pub(super) fn to_text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalized_as_unpacking_would() {
        let same =
            ["p/a", "./p/a", "/p/a", "//p//a", "../p/./a", "p/x/../a", "../../p/a/.", "q/../p/a/"];
        for name in same {
            assert_eq!(normalize(name.as_bytes()), b"p/a", "{name}");
        }
        assert_eq!(normalize(b"p/.a"), b"p/.a");
        assert_eq!(normalize(b"./"), b"");
    }

    #[test]
    fn hidden_names_have_a_part_that_starts_with_a_dot() {
        for (name, hidden) in [(".a", true), ("p/._a", true), ("p/.git/a", true), ("p/a.b", false)]
        {
            assert_eq!(is_hidden(name.as_bytes()), hidden, "{name}");
        }
        assert!(is_hidden(b"__MACOSX/p/a.jpg"));
    }
}
