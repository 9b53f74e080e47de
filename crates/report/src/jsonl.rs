//! A `JsonLines` appends records to a file, one JSON object a line. A line cut off by a crash is removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::error::{Result, io_error};

/// A file with one JSON object per line, open for appending.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
}

impl JsonLines {
    /// Opens or creates `path`. A last line without its newline, which a crash left, is removed.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path) -> Result<Self> {
        let write = io_error("write", path);
        let open = || -> io::Result<File> {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            let content = fs::read(path)?;
            if !content.is_empty() && !content.ends_with(b"\n") {
                let end = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |i| i + 1);
                file.set_len(end as u64)?;
            }
            Ok(file)
        };
        Ok(Self { path: path.to_owned(), file: open().map_err(write)? })
    }

    /// Path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The text values of `key` in the lines that the file has.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn texts(&self, key: &str) -> Result<Vec<String>> {
        let content = fs::read(&self.path).map_err(io_error("read", &self.path))?;
        let lines = content.split(|byte| *byte == b'\n');
        let records = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        Ok(records.filter_map(|record| record[key].as_str().map(str::to_owned)).collect())
    }

    /// Appends `record` as one line. Other processes can read it at once.
    ///
    /// # Errors
    /// If it does not serialize or the file cannot be written.
    pub fn write(&mut self, record: &impl Serialize) -> Result<()> {
        let write = |source| io_error("write", &self.path)(source);
        let mut line = serde_json::to_vec(record).map_err(|error| write(error.into()))?;
        line.push(b'\n');
        // One call: with two, lines of two writers could mix.
        self.file.write_all(&line).map_err(write)
    }
}

/// Removes the end of `path`: the first line whose `"step"` is larger than `step`, everything after it, and the lines before
/// it that a crash left without JSON. Such lines between others stay, because what follows them is good. The file is replaced
/// in one rename; a missing file is not an error.
///
/// # Errors
/// If the file cannot be read or written.
pub fn cut_back(path: &Path, step: u64) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let content = fs::read(path).map_err(io_error("read", path))?;
    let (mut end, mut length) = (0, 0);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        let record = serde_json::from_slice::<Value>(line).ok().filter(|_| line.ends_with(b"\n"));
        match record.map(|record| record["step"].as_u64()) {
            Some(Some(found)) if found > step => break,
            Some(_) => length = end,
            None => {}
        }
    }
    if length < content.len() {
        atomic_file::write(path, &content[..length]).map_err(io_error("write", path))?;
    }
    Ok(())
}

/// The largest `"step"` in `path`; 0 if no line has one or the file is missing.
///
/// # Errors
/// If the file cannot be read.
pub fn last_step(path: &Path) -> Result<u64> {
    let content = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        content => content.map_err(io_error("read", path))?,
    };
    let lines = content.split(|byte| *byte == b'\n');
    let records = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    Ok(records.filter_map(|record| record["step"].as_u64()).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_after_a_checkpoint_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        cut_back(&path, 3).unwrap();
        let kept = "{\"step\":1}\n{\"event\":\"knn\"}\n{\"step\":3}\n";
        let rests = [
            "",
            "{\"step\":4}\n{\"step\":2}\n",
            "{\"ste",
            "\0\0\0\n",
            "\0\n{\"step\":4}\n",
            "{\"step\":3}",
        ];
        for rest in rests {
            fs::write(&path, format!("{kept}{rest}")).unwrap();
            cut_back(&path, 3).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), kept);
        }
    }

    #[test]
    fn lines_after_a_damaged_one_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let kept =
            "{\"step\":1}\ngarbage{/\n\0\0\n{\"step\":2}\n{\"event\":\"knn\"}\n{\"step\":3}\n";
        fs::write(&path, format!("{kept}{{\"step\":4}}\n")).unwrap();
        cut_back(&path, 3).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), kept);
    }

    #[test]
    fn a_line_without_its_newline_is_removed_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        fs::write(&path, "{\"path\":\"a\"}\n{\"pa").unwrap();
        JsonLines::open(&path).unwrap().write(&json!({"path": "b"})).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"path\":\"a\"}\n{\"path\":\"b\"}\n");
    }
}
