//! Lists the images of one tar archive, and keeps the list of a large one in the user's cache
//! folder.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::member::Index;
use super::scan;
use crate::dataset::cache::{Cache, Stamp};
use crate::error::Error;

/// Scanning the headers of a smaller archive is as fast as reading its list from the cache.
const MIN_CACHED: u64 = 16 << 20;

/// An index with the inputs that it was made from.
#[derive(Serialize, Deserialize)]
struct Stored {
    stamp: Stamp,
    label_field: Option<String>,
    index: Index,
}

/// Returns the index of an archive, from the cache if the archive has not changed. `label_field` is
/// the field of `key.json` that holds the class.
pub(super) fn open(
    path: &Path,
    packed: bool,
    label_field: Option<&str>,
    cache: &Cache,
) -> Result<Index, Error> {
    let large = path.metadata().is_ok_and(|metadata| metadata.len() >= MIN_CACHED);
    let stamp = if large { Stamp::read(path) } else { None };
    if let Some(stamp) = &stamp {
        let stored: Option<Stored> = cache.load("tar", path);
        let same = |old: &Stored| (&old.stamp, old.label_field.as_deref()) == (stamp, label_field);
        if let Some(stored) = stored.filter(same) {
            return Ok(stored.index);
        }
    }
    let index = scan::scan(path, packed, label_field)?;
    let Some(stamp) = stamp else { return Ok(index) };
    let stored = Stored { stamp, label_field: label_field.map(str::to_owned), index };
    cache.store("tar", path, &stored);
    Ok(stored.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::cache::TIMER_STEP;
    use std::fs::{self, File};
    use std::thread;
    use std::time::{Duration, UNIX_EPOCH};

    fn tar(name: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(MIN_CACHED);
        let contents = vec![7; MIN_CACHED as usize];
        builder.append_data(&mut header, name, &contents[..]).expect("packed");
        builder.into_inner().expect("packed")
    }

    #[test]
    fn the_index_of_a_large_archive_is_cached_until_the_archive_changes_even_with_an_old_mtime() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(&folder.path().join("cache"));
        let path = folder.path().join("large.tar");
        let name_of = || {
            let index = open(&path, false, None, &cache).expect("an index");
            String::from_utf8(index.members[0].name.clone()).expect("text")
        };
        let write = |name: &str| {
            fs::write(&path, tar(name)).expect("written");
            let file = File::options().write(true).open(&path).expect("opened");
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).expect("set");
            thread::sleep(TIMER_STEP + Duration::from_millis(100));
        };
        write("a.jpg");
        assert_eq!(name_of(), "a.jpg");
        // changed here to show that the stored index is used
        let mut stored: Stored = cache.load("tar", &path).expect("an index was stored");
        stored.index.members[0].name = b"stored.jpg".to_vec();
        cache.store("tar", &path, &stored);
        assert_eq!(name_of(), "stored.jpg");
        write("b.jpg");
        assert_eq!(name_of(), "b.jpg");
    }
}
