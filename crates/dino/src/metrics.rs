//! Metrics of a run: `metrics.jsonl` and TensorBoard event files.

mod crc;
mod event_file;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::error::{Result, io_error};

pub use event_file::EventFile;

/// A file of one JSON object for each line, written to its end.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
}

impl JsonLines {
    /// Opens or creates `path`; a last line that a crash left without its end is cut off.
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

    /// The values of `key` in the lines that are there already.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn texts(&self, key: &str) -> Result<Vec<String>> {
        let content = fs::read(&self.path).map_err(io_error("read", &self.path))?;
        let lines = content.split(|byte| *byte == b'\n');
        let records = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        Ok(records.filter_map(|record| record[key].as_str().map(str::to_owned)).collect())
    }

    /// Appends `record` as one line, which other processes see at once.
    ///
    /// # Errors
    /// If it does not serialize or the file cannot be written.
    pub fn write(&mut self, record: &impl Serialize) -> Result<()> {
        let write = |source| io_error("write", &self.path)(source);
        let mut line = serde_json::to_vec(record).map_err(|error| write(error.into()))?;
        line.push(b'\n');
        // One call, so that lines of two writers do not mix.
        self.file.write_all(&line).map_err(write)
    }
}

/// Cuts `path` back to its first lines up to `step`: those before the first line that has a larger
/// `"step"` or is no JSON. The file is replaced as a whole; that it is missing is no error.
///
/// # Errors
/// If the file cannot be read or written.
pub fn cut_back(path: &Path, step: u64) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let content = fs::read(path).map_err(io_error("read", path))?;
    let keeps = |line: &&[u8]| {
        line.ends_with(b"\n")
            && serde_json::from_slice::<Value>(line)
                .is_ok_and(|record| record["step"].as_u64().is_none_or(|found| found <= step))
    };
    let kept = content.split_inclusive(|byte| *byte == b'\n').take_while(keeps);
    let length: usize = kept.map(<[u8]>::len).sum();
    if length < content.len() {
        replace(path, &content[..length])?;
    }
    Ok(())
}

/// The largest step in `path`, 0 if there is none or the file is missing.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn last_step(path: &Path) -> Result<u64> {
    let content = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        content => content.map_err(io_error("read", path))?,
    };
    let lines = content.split(|byte| *byte == b'\n');
    let records = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    Ok(records.filter_map(|record| record["step"].as_u64()).max().unwrap_or(0))
}

/// Writes `content` to `path` so that a crash leaves the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    atomic_file::write(path, content).map_err(io_error("write", path))
}

/// Writes scalars to `metrics.jsonl` and to a TensorBoard event file in one run folder.
#[derive(Debug)]
pub struct Metrics {
    lines: JsonLines,
    events: EventFile,
}

impl Metrics {
    /// Name of the file of lines in a run folder.
    pub const FILE: &str = "metrics.jsonl";

    /// Opens both in `run`; `step` is the number of steps done, 0 for a new run. What a TensorBoard
    /// file of an earlier process has behind `step` is marked as void.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn open(run: &Path, step: u64) -> Result<Self> {
        let lines = JsonLines::open(&run.join(Self::FILE))?;
        Ok(Self { lines, events: EventFile::create(run, step)? })
    }

    /// The TensorBoard file.
    pub(crate) fn events_path(&self) -> &Path {
        self.events.path()
    }

    /// Writes one record: `step` is the number of steps done, numbers in `record` become scalars
    /// (those of nested objects as `outer/inner`). `record` should serialize to an object.
    ///
    /// # Errors
    /// If it does not serialize or a file cannot be written.
    pub fn write(&mut self, step: u64, record: &impl Serialize) -> Result<()> {
        let failed =
            |error: serde_json::Error| io_error("write", &self.lines.path)(io::Error::from(error));
        let record = serde_json::to_value(record).map_err(failed)?;
        let mut line = serde_json::Map::new();
        line.insert("step".to_owned(), step.into());
        let mut scalars = Vec::new();
        match record {
            Value::Object(fields) => {
                for (name, value) in fields.into_iter().filter(|(name, _)| name != "step") {
                    collect_scalars(&name, &value, &mut scalars);
                    line.insert(name, value);
                }
            }
            other => drop(line.insert("value".to_owned(), other)),
        }
        // By name, whatever order serde_json is built for.
        scalars.sort_by(|a, b| a.0.cmp(&b.0));
        self.lines.write(&line)?;
        self.events.scalars(step, &scalars)
    }
}

fn collect_scalars(name: &str, value: &Value, scalars: &mut Vec<(String, f32)>) {
    match value {
        Value::Number(number) => {
            scalars.push((name.to_owned(), number.as_f64().unwrap_or(f64::NAN) as f32));
        }
        Value::Object(fields) => {
            for (inner, value) in fields {
                collect_scalars(&format!("{name}/{inner}"), value, scalars);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
