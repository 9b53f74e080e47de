//! [`Values`] lie in a temporary file that is mapped into memory, so there may be more of them than memory.
//!
//! They are read and written like a slice. The system loads what is used, writes what changed, and takes the memory
//! back when it is short. The file has no name, so it vanishes with the values, after a crash as well (where the file
//! system supports that, as those of local disks do).
//!
//! ```
//! let mut values = on_disk::Values::with_capacity(1000)?;
//! values.extend_from_slice(&[1.0, 2.0]);
//! values[1] += 1.0;
//! assert_eq!(values[..], [1.0, 3.0]);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use memmap2::MmapMut;

/// Values of a temporary file, `[len]`.
pub struct Values {
    map: MmapMut,
    len: usize,
}

impl Values {
    /// No values, and room for `capacity`, which is taken on the disk at once.
    ///
    /// # Errors
    /// There is too little room, or no file can be made in [`folder`].
    pub fn with_capacity(capacity: usize) -> io::Result<Self> {
        let file = file()?;
        // The system cannot map a file without bytes.
        let bytes = (capacity * size_of::<f32>()).max(1) as u64;
        reserve(&file, bytes)?;
        // SAFETY: the file has no name, so no other program changes it or cuts it off.
        let map = unsafe { MmapMut::map_mut(&file) }?;
        Ok(Self { map, len: 0 })
    }

    /// Values that there is room for.
    pub fn capacity(&self) -> usize {
        self.map.len() / size_of::<f32>()
    }

    /// Appends values.
    ///
    /// # Panics
    /// If there is no room for them.
    pub fn extend_from_slice(&mut self, values: &[f32]) {
        let (len, capacity) = (self.len + values.len(), self.capacity());
        assert!(len <= capacity, "{len} values where there is room for {capacity}");
        let first = std::mem::replace(&mut self.len, len);
        self[first..].copy_from_slice(values);
    }

    /// Writes all values to the disk, and waits for it. Without this call, a disk that fails would show as zeros in place of
    /// values.
    ///
    /// # Errors
    /// The disk does not take them.
    pub fn sync(&self) -> io::Result<()> {
        self.map.flush()
    }

    /// Removes all values, and keeps their room.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    fn bytes(&self) -> usize {
        self.len * size_of::<f32>()
    }
}

impl Deref for Values {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.map[..self.bytes()])
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        let bytes = self.bytes();
        bytemuck::cast_slice_mut(&mut self.map[..bytes])
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values of {} of {} on disk", self.len, self.capacity())
    }
}

/// An empty temporary file without a name, in [`folder`].
///
/// # Errors
/// If the folder cannot be written.
pub fn file() -> io::Result<File> {
    tempfile::tempfile_in(folder())
}

/// Where temporary files lie that may be large: the folder that `TMPDIR` names, else that of the system. If the latter is
/// kept in memory, as `/tmp` of many Linux systems is, `/var/tmp`, if that can be used.
pub fn folder() -> PathBuf {
    if let Some(named) = std::env::var_os("TMPDIR").filter(|named| !named.is_empty()) {
        return PathBuf::from(named);
    }
    let usual = if cfg!(unix) { PathBuf::from("/tmp") } else { std::env::temp_dir() };
    let other = PathBuf::from("/var/tmp");
    let is_better = || !is_in_memory(&other) && tempfile::tempfile_in(&other).is_ok();
    if is_in_memory(&usual) && is_better() { other } else { usual }
}

/// Whether the files of a folder are kept in memory.
#[cfg(target_os = "linux")]
pub fn is_in_memory(folder: &Path) -> bool {
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    let kind = rustix::fs::statfs(folder).map(|found| found.f_type as u32);
    matches!(kind, Ok(TMPFS | RAMFS))
}

/// Whether the files of a folder are kept in memory; `false` where that is not known.
#[cfg(not(target_os = "linux"))]
pub fn is_in_memory(_folder: &Path) -> bool {
    false
}

/// Bytes that this user may still write into a folder. `None` if it is not known.
#[cfg(unix)]
pub fn free_in(folder: &Path) -> Option<f64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail as f64 * found.f_frsize as f64)
}

/// Bytes that this user may still write into a folder. `None` if it is not known.
#[cfg(not(unix))]
pub fn free_in(_folder: &Path) -> Option<f64> {
    None
}

/// Gives a file this many bytes, all of which have a place on the disk.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        loop {
            match fallocate(file, FallocateFlags::empty(), 0, bytes) {
                Err(Errno::INTR) => (),
                Err(Errno::NOTSUP | Errno::NOSYS) => break,
                reserved => return Ok(reserved?),
            }
        }
    }
    let mut file = file;
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_a_slice_that_grows_into_its_room() {
        let mut values = Values::with_capacity(5).unwrap();
        assert!(values.is_empty() && values.capacity() == 5);
        values.extend_from_slice(&[1.0, 2.0]);
        values.extend_from_slice(&[3.0]);
        values.iter_mut().for_each(|x| *x *= 2.0);
        values.sync().unwrap();
        assert_eq!(values[..], [2.0, 4.0, 6.0]);
        assert!(Values::with_capacity(0).unwrap().is_empty());
    }

    #[test]
    #[should_panic(expected = "6 values where there is room for 5")]
    fn values_beyond_the_room_are_refused() {
        Values::with_capacity(5).unwrap().extend_from_slice(&[0.0; 6]);
    }

    #[test]
    fn too_little_room_is_an_error_at_once() {
        assert!(Values::with_capacity(1 << 58).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_in_memory_is_known() {
        assert!(!is_in_memory(Path::new("/proc")) && !is_in_memory(Path::new("no/such/folder")));
        if Path::new("/dev/shm").is_dir() {
            assert!(is_in_memory(Path::new("/dev/shm")));
        }
    }
}
