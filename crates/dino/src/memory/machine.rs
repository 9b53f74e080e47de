//! The memory that this process may still take.

use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::{DISK, MEMORY, Size};

/// Bytes that can still be taken: free memory of the system, or what the control group of this process
/// (a container, a batch job) leaves, whichever is less. `None` if neither is known.
pub fn available() -> Option<u64> {
    if let Some(size) = Size::named(MEMORY) {
        return size.bytes().map(|bytes| bytes as u64);
    }
    let free = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(free_memory);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = control_groups(&groups, Path::new("/sys/fs/cgroup")).into_iter().filter_map(left);
    free.into_iter().chain(limits).min()
}

/// Bytes that this user may still write into a folder, which need not exist yet. `None` if it is not known.
pub(crate) fn free_disk(folder: &Path) -> Option<f64> {
    if let Some(size) = Size::named(DISK) {
        return size.bytes();
    }
    let folder = if folder.is_relative() { Path::new(".").join(folder) } else { folder.to_owned() };
    folder.ancestors().find(|folder| folder.is_dir()).and_then(on_disk::free_in)
}

/// Bytes of the whole machine, or what the control group of this process may have, whichever is less.
/// Unlike [`available`], it is the same at all times. `None` if neither is known.
pub fn total() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok();
    let all = meminfo.as_deref().and_then(|text| in_bytes(text, "MemTotal:"));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = control_groups(&groups, Path::new("/sys/fs/cgroup")).into_iter();
    all.into_iter().chain(groups.filter_map(|files| number(&files.limit))).min()
}

/// The number in a file that holds nothing else.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn free_memory(text: &str) -> Option<u64> {
    in_bytes(text, "MemAvailable:")
}

/// A line of `/proc/meminfo`, in bytes.
fn in_bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// Files with limit, usage and statistics of a control group.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    limit: PathBuf,
    used: PathBuf,
    statistics: PathBuf,
}

/// The control groups that hold this process, of version 1 or 2, from its own to the outermost.
/// Inside of a container the paths of `/proc/self/cgroup` may not exist; the outermost always does.
fn control_groups(groups: &str, root: &Path) -> Vec<Files> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (mount, names) = match controllers {
            "" => (root.to_owned(), ["memory.max", "memory.current"]),
            list if list.split(',').any(|name| name == "memory") => {
                (root.join("memory"), ["memory.limit_in_bytes", "memory.usage_in_bytes"])
            }
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let folder = mount.join(group);
            files.push(Files {
                limit: folder.join(names[0]),
                used: folder.join(names[1]),
                statistics: folder.join("memory.stat"),
            });
        }
    }
    files
}

/// Bytes that a control group leaves, if it has a limit. Inactive pages of files do not count as used,
/// because the system takes them back when memory is short.
fn left(files: Files) -> Option<u64> {
    let (limit, used) = (number(&files.limit)?, number(&files.used)?);
    let statistics = fs::read_to_string(&files.statistics).unwrap_or_default();
    let inactive = ["total_inactive_file ", "inactive_file "].iter().find_map(|name| {
        let line = statistics.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    });
    Some(limit.saturating_sub(used.saturating_sub(inactive.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read_in_bytes() {
        let text = "MemTotal:       24683656 kB\nMemAvailable:   22902268 kB\n";
        assert_eq!(free_memory(text), Some(22_902_268 * 1024));
        assert_eq!(free_memory("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn the_limit_of_a_control_group_of_either_version_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("job/memory.max", "8000\n");
        write("job/memory.current", "5000\n");
        write("job/memory.stat", "anon 4000\ninactive_file 1000\n");
        write("memory/limit/memory.limit_in_bytes", "700\n");
        write("memory/limit/memory.usage_in_bytes", "900\n");
        write("free/memory.max", "max\n");
        write("free/memory.current", "5\n");
        let least =
            |groups: &str| control_groups(groups, folder.path()).into_iter().filter_map(left).min();
        assert_eq!(least("0::/job/step\n"), Some(4000));
        assert_eq!(least("4:cpu,memory:/limit\n1:cpu:/\n"), Some(0));
        assert_eq!(least("0::/free\n"), None);
        assert_eq!(least("nonsense\n"), None);
    }
}
