//! Finished results, kept as lines of JSON so that a second start does not compute them again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use report::JsonLines;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// All finished results in a file, one JSON object a line.
pub(super) struct Finished<T> {
    lines: JsonLines,
    known: Vec<T>,
}

impl<T: Serialize + DeserializeOwned> Finished<T> {
    /// Those of this file, which is created. Lines that an interrupted start left unfinished are not used.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let lines = JsonLines::open(path)?;
        let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let lines_of = bytes.split(|byte| *byte == b'\n');
        let known = lines_of.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Ok(Self { lines, known })
    }

    /// The newest result of this kind.
    pub(super) fn newest(&self, is_wanted: impl Fn(&T) -> bool) -> Option<&T> {
        self.known.iter().rfind(|result| is_wanted(result))
    }

    /// Keeps a result.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, result: T) -> Result<()> {
        self.lines.write(&result)?;
        self.known.push(result);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_found_again_and_unfinished_lines_are_not() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("results.jsonl");
        let mut results = Finished::open(&path)?;
        for result in [("a", 1), ("b", 2), ("a", 3)] {
            results.add((result.0.to_owned(), result.1))?;
        }
        let mut text = fs::read_to_string(&path)?;
        text.push_str("[\"b\", 4]\n{\"other\": 5}\n[\"b\", ");
        fs::write(&path, [text.as_bytes(), b"\xff\xfe\n[\"b\", "].concat())?;
        let results: Finished<(String, u32)> = Finished::open(&path)?;
        let newest = |name: &str| results.newest(|(of, _)| of == name).map(|(_, value)| *value);
        assert_eq!((newest("a"), newest("b"), newest("c")), (Some(3), Some(4), None));
        Ok(())
    }
}
