//! Recognizes formats of data sets that are not read, and says what to do instead.

use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::bytes::read_start;
use crate::error::Error;

const ARROW: &str = "an Arrow or Feather file, which is not read (write parquet: \
    `datasets.load_from_disk(...).to_parquet(...)` or `pyarrow.parquet.write_table`)";
const LANCE: &str = "a Lance data set, which is not read (write parquet: \
    `pyarrow.parquet.write_table(lance.dataset(...).to_table(), ...)`)";
pub(super) const JSON: &str = "a JSON file, which is not read (list the paths of the images in a \
    text file, or write one object with a path in each line)";
/// First bytes of archive formats that are not read.
const PACKED: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", "a zip archive, which is not read (unpack it)"),
    (b"\x28\xB5\x2F\xFD", "compressed with zstd, which is not read (unpack it with `zstd -d`)"),
    (b"BZh91AY&SY", "compressed with bzip2, which is not read (unpack it with `bunzip2`)"),
    (b"\xFD7zXZ\0", "compressed with xz, which is not read (unpack it with `unxz`)"),
    (b"\x04\x22\x4D\x18", "compressed with lz4, which is not read (unpack it with `unlz4`)"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive, which is not read (unpack it)"),
    (b"Rar!\x1A\x07", "a RAR archive, which is not read (unpack it)"),
];

/// The format that these first bytes of a file belong to, if it is known.
pub(super) fn name(bytes: &[u8]) -> Option<&'static str> {
    // an Arrow stream starts with a marker and the length of the schema
    let is_stream = bytes.starts_with(&[0xFF; 4]) && bytes.get(6..8) == Some(&[0, 0]);
    let text = bytes.trim_ascii_start();
    let packed = PACKED.iter().find(|(magic, _)| bytes.starts_with(magic));
    if bytes.starts_with(b"ARROW1") || is_stream {
        Some(ARROW)
    } else if let Some((_, what)) = packed {
        Some(what)
    } else if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        Some("text in UTF-16 (save it as UTF-8)")
    // an object in each line is a list
    } else if text.starts_with(b"[{") || text.starts_with(b"{\n") {
        Some(JSON)
    } else {
        None
    }
}

/// The error for a folder without images that holds a data set of another format.
pub(super) fn in_folder(path: &Path) -> Option<Error> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let direct = entries(path);
    let below = direct.iter().filter(|path| path.is_dir()).flat_map(|folder| entries(folder));
    let mut all: Vec<_> = direct.iter().cloned().chain(below).collect();
    all.sort();
    let recognize = |path: &PathBuf| {
        if path.ends_with("_versions") && path.is_dir() {
            return Some((path.parent()?.into(), LANCE));
        }
        let arrow = path.extension().is_some_and(|end| end == "arrow" || end == "feather");
        let found = if arrow { name(&read_start(path).ok()?.0) } else { None };
        Some((path.clone(), found?))
    };
    let (path, found) = all.iter().find_map(recognize)?;
    Some(Error::UnknownFormat { path, found: found.into() })
}
