//! [`Cache`] keeps the indices of large sources in the user's cache folder.
//!
//! ```text
//! name:  kind, "-", the first 16 hexadecimal digits of SHA-256 of (kind, a zero byte, path)
//! file:  "dino-vmf index 3\n", CRC-32 of the rest (4 bytes, little endian), (kind, path, index) in postcard
//! ```
//!
//! The reader of an index checks whether it is still valid, by a [`Stamp`]. A file that is damaged,
//! of another version or of another source counts as missing. A cache that cannot be written is not
//! an error: the next run just takes longer.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcetera::base_strategy::{BaseStrategy, Xdg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::names::to_bytes;

/// First bytes of a cache file, with the version of its format.
const MAGIC: &[u8] = b"dino-vmf index 3\n";
/// Two changes within this time may have the same time stamp.
pub(super) const TIMER_STEP: Duration = Duration::from_secs(2);

/// The folder of cached indices; none if caching is disabled.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// `$DINO_VMF_CACHE` (`off`: none), or else `dino-vmf` in `$XDG_CACHE_HOME` or `~/.cache`.
    pub(super) fn for_user() -> Self {
        let folder = match env::var_os("DINO_VMF_CACHE").filter(|value| !value.is_empty()) {
            Some(value) if value == "off" => None,
            Some(value) => Some(PathBuf::from(value)),
            None => Xdg::new().ok().map(|xdg| xdg.cache_dir().join("dino-vmf")),
        };
        Self { folder }
    }

    #[cfg(test)]
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// The file in which an index of this kind is stored for `path`.
    #[cfg(test)]
    pub(super) fn file(&self, kind: &str, path: &Path) -> Option<PathBuf> {
        self.locate(kind, path).map(|(file, _)| file)
    }

    /// The index of this kind that was stored for `path`.
    pub(super) fn load<T: DeserializeOwned>(&self, kind: &str, path: &Path) -> Option<T> {
        let (file, path) = self.locate(kind, path)?;
        let bytes = fs::read(file).ok()?;
        let (sum, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
        if crc32fast::hash(rest) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (found, index) = postcard::from_bytes::<((String, Vec<u8>), T)>(rest).ok()?;
        (found == (kind.to_owned(), path)).then_some(index)
    }

    /// Stores an index of this kind for `path`, if possible.
    pub(super) fn store<T: Serialize>(&self, kind: &str, path: &Path, index: &T) {
        let Some((file, path)) = self.locate(kind, path) else { return };
        let Ok(bytes) = postcard::to_stdvec(&((kind, path), index)) else { return };
        let content = [MAGIC, &crc32fast::hash(&bytes).to_le_bytes(), &bytes].concat();
        // a full disk or a read-only folder only costs time at the next start, so errors are
        // ignored
        if let Some(folder) = file.parent()
            && fs::create_dir_all(folder).is_ok()
        {
            drop(atomic_file::write_shared(&file, &content));
        }
    }

    /// The cache file for `path`, and the canonical path.
    fn locate(&self, kind: &str, path: &Path) -> Option<(PathBuf, Vec<u8>)> {
        let path = to_bytes(path.canonicalize().ok()?.as_os_str());
        let hash = Sha256::digest([kind.as_bytes(), b"\0", &path].concat());
        let prefix = hash.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))?;
        let file = self.folder.as_ref()?.join(format!("{kind}-{prefix:016x}"));
        Some((file, path))
    }
}

/// Metadata that changes whenever a file or folder does. The modification time alone is not enough:
/// `tar` and `cp -p` set it to an older time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stamp {
    len: u64,
    modified: Duration,
    /// The change time (`ctime`) and the inode number; on Unix only.
    changed: Option<(Duration, u64)>,
}

impl Stamp {
    /// Reads the stamp of a file or folder, with times since 1970. `None` if it changed so recently
    /// that another change could have the same time, or if its times are not available.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let changed = changed(&metadata);
        let last = changed.map_or(modified, |(time, _)| time.max(modified));
        let age = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.checked_sub(last)?;
        (age >= TIMER_STEP).then_some(Self { len: metadata.len(), modified, changed })
    }
}

#[cfg(unix)]
fn changed(metadata: &fs::Metadata) -> Option<(Duration, u64)> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(metadata.ctime()).ok()?;
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).ok()?;
    Some((Duration::new(seconds, nanoseconds), metadata.ino()))
}

#[cfg(not(unix))]
fn changed(_metadata: &fs::Metadata) -> Option<(Duration, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_index_is_loaded_unless_its_file_is_damaged() {
        let root = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(&root.path().join("cache"));
        let stored = vec![3_u64, 1, 4];
        cache.store("numbers", root.path(), &stored);
        assert_eq!(cache.load("numbers", root.path()), Some(stored));
        assert_eq!(cache.load::<Vec<u64>>("others", root.path()), None);
        let (file, _) = cache.locate("numbers", root.path()).expect("a file");
        let mut bytes = fs::read(&file).expect("the file");
        *bytes.last_mut().expect("bytes") ^= 1;
        fs::write(&file, &bytes).expect("written");
        assert_eq!(cache.load::<Vec<u64>>("numbers", root.path()), None);
        fs::write(&file, b"").expect("written");
        assert_eq!(cache.load::<Vec<u64>>("numbers", root.path()), None);
    }

    #[test]
    fn the_file_of_a_source_has_the_same_name_in_every_build() {
        let root = tempfile::tempdir().expect("a folder");
        let (file, path) = Cache::at(root.path()).locate("tar", Path::new("/")).expect("a file");
        // printf 'tar\0/' | sha256sum
        assert_eq!(path, b"/");
        assert!(file.ends_with("tar-a1937929e38bf91e"), "{}", file.display());
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_ignored() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("file");
        fs::write(&file, b"in the way").expect("written");
        Cache::at(&file).store("numbers", root.path(), &1_u64);
        Cache { folder: None }.store("numbers", root.path(), &1_u64);
        assert_eq!(Cache::at(&file).load::<u64>("numbers", root.path()), None);
    }
}
