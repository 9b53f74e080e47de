//! A `MetricsWriter` holds the two files that follow a run: `metrics.jsonl` and a TensorBoard event file.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Result, io_error};
use crate::jsonl::JsonLines;
use crate::tensorboard::EventFile;

/// `metrics.jsonl` and a TensorBoard event file in one run folder.
#[derive(Debug)]
pub struct MetricsWriter {
    lines: JsonLines,
    events: EventFile,
}

impl MetricsWriter {
    /// Name of the file of JSON lines in a run folder.
    pub const FILE: &str = "metrics.jsonl";

    /// Opens both files in `run`; `step` is the number of steps done, 0 for a new run. TensorBoard then
    /// ignores what event files of earlier processes have after `step`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn open(run: &Path, step: u64) -> Result<Self> {
        let lines = JsonLines::open(&run.join(Self::FILE))?;
        Ok(Self { lines, events: EventFile::create(run, step)? })
    }

    /// The TensorBoard file.
    pub fn events(&mut self) -> &mut EventFile {
        &mut self.events
    }

    /// Writes one line of `metrics.jsonl`: `step`, the number of steps done, and the fields of `record`, which
    /// should serialize to an object.
    ///
    /// # Errors
    /// If it does not serialize or the file cannot be written.
    pub fn write(&mut self, step: u64, record: &impl Serialize) -> Result<()> {
        let failed =
            |error: serde_json::Error| io_error("write", self.lines.path())(io::Error::from(error));
        let mut line = Map::new();
        line.insert("step".to_owned(), step.into());
        match serde_json::to_value(record).map_err(failed)? {
            Value::Object(fields) => {
                line.extend(fields.into_iter().filter(|(name, _)| name != "step"));
            }
            other => drop(line.insert("value".to_owned(), other)),
        }
        self.lines.write(&line)
    }
}
