//! Replaces files and folders atomically: after a crash or a power cut the old one or the new one
//! is there, never a part of it.
//!
//! ```text
//! write `.tmp-NAME` ─▶ fsync it ─▶ rename it to NAME ─▶ fsync the folder
//! ```
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("config.toml");
//! atomic_file::write(&path, b"seed = 1")?;
//! atomic_file::write(&path, b"seed = 2")?;
//! assert_eq!(std::fs::read(&path)?, b"seed = 2");
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces the contents of `path`, for a file with one writer at a time.
///
/// The temporary file is `.tmp-NAME` in the same folder. A crash may leave it behind; the next
/// write overwrites it.
///
/// # Errors
/// If the file cannot be written. The old contents are kept, and the temporary file is removed.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(&temporary(path, ""), path, |mut file| file.write_all(content))
}

/// Makes this process the only one that holds `path`, which is created or emptied, as long as the file is open. `None` if
/// another process holds it.
///
/// # Errors
/// The file cannot be written.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    let lock = File::create(path)?;
    Ok(match lock.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        // A file system without locks has no other process to ask for.
        Err(TryLockError::Error(_)) | Ok(()) => Some(lock),
    })
}

/// As [`write()`], for a file that is written piece by piece: `content` writes all of it.
///
/// # Errors
/// As [`write()`], and those of `content`.
pub fn write_with(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    replace(&temporary(path, ""), path, |file| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        content(&mut file)?;
        file.flush()
    })
}

/// Replaces the contents of `path`, for a file that several threads or processes write at once:
/// each call has a temporary file of its own, and the last one to finish wins.
///
/// # Errors
/// As [`write()`].
pub fn write_shared(path: &Path, content: &[u8]) -> io::Result<()> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let suffix = format!("-{}-{}", process::id(), CALLS.fetch_add(1, Ordering::Relaxed));
    replace(&temporary(path, &suffix), path, |mut file| file.write_all(content))
}

/// `.tmp-NAME` with a suffix, in the folder of `path`.
fn temporary(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".tmp-{name}{suffix}"))
}

fn replace(
    temporary: &Path,
    path: &Path,
    content: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let write = || {
        let file = File::create(temporary)?;
        content(&file)?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
        sync_folder(folder_of(path))
    };
    // the first error is the one to report, so a failed removal is ignored
    write().inspect_err(|_| drop(fs::remove_file(temporary)))
}

/// Gives the complete folder `temporary` the name `target`. An old `target` is renamed to `aside`
/// first and removed at the end.
///
/// A crash between the two renames leaves only `aside`; the caller must rename it back. All three
/// names must be in the same folder.
///
/// # Errors
/// If a folder cannot be renamed or removed. If the second rename fails, the old `target` is back.
pub fn replace_folder(temporary: &Path, target: &Path, aside: &Path) -> io::Result<()> {
    if aside.exists() {
        fs::remove_dir_all(aside)?;
    }
    if target.exists() {
        fs::rename(target, aside)?;
    }
    if let Err(error) = fs::rename(temporary, target) {
        if aside.exists() {
            // the first error is the one to report
            drop(fs::rename(aside, target));
        }
        return Err(error);
    }
    sync_folder(folder_of(target))?;
    if aside.exists() {
        fs::remove_dir_all(aside)?;
    }
    Ok(())
}

/// Makes the names in `folder` survive a power cut. Does nothing on systems other than Unix, which
/// cannot sync a folder.
///
/// # Errors
/// If the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The folder that contains `path`; the parent of a bare name is the current folder.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let first = lock(&path).unwrap();
        assert!(first.is_some() && lock(&path).unwrap().is_none());
        drop(first);
        assert!(lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_file_is_replaced_and_the_rest_of_a_crash_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(folder.path().join(".tmp-a"), b"half of a long fi").unwrap();
        for content in [&b"old"[..], b"new"] {
            write(&path, content).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
            assert_eq!(names(folder.path()), ["a"]);
        }
    }

    #[test]
    fn a_failed_write_keeps_the_target_and_removes_the_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"").unwrap();
        assert!(write(&path, b"new").is_err() && write_shared(&path, b"new").is_err());
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(names(&path), ["inside"]);
        assert!(write(&folder.path().join("missing/a"), b"new").is_err());
    }

    #[test]
    fn a_file_with_many_writers_is_always_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_shared(&path, &[0; 5000]).unwrap();
        thread::scope(|scope| {
            for writer in 1..4_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        write_shared(path, &[writer; 5000]).unwrap();
                        let found = fs::read(path).unwrap();
                        assert!(found.len() == 5000 && found.iter().all(|byte| *byte == found[0]));
                    }
                });
            }
        });
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let [temporary, target, aside] = ["new", "target", "aside"].map(|n| root.path().join(n));
        for content in [&b"1"[..], b"2"] {
            fs::create_dir(&temporary).unwrap();
            fs::write(temporary.join("file"), content).unwrap();
            replace_folder(&temporary, &target, &aside).unwrap();
            assert_eq!(names(root.path()), ["target"]);
            assert_eq!(fs::read(target.join("file")).unwrap(), content);
        }
        assert!(replace_folder(&temporary, &target, &aside).is_err(), "there is no new folder");
        assert_eq!(fs::read(target.join("file")).unwrap(), b"2");
    }
}
