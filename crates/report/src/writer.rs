//! A `MetricsWriter` appends records of a run to `metrics.jsonl` and to a TensorBoard event file.

use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Result, io_error};
use crate::jsonl::JsonLines;
use crate::tensorboard::EventFile;

/// Writes records to `metrics.jsonl`, and their numbers to a TensorBoard event file, in one run folder.
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

    /// Path of the TensorBoard file.
    pub fn events_path(&self) -> &Path {
        self.events.path()
    }

    /// Writes one record: `step` is the number of steps done, numbers in `record` become scalars
    /// (those of nested objects as `outer/inner`). `record` should serialize to an object.
    ///
    /// # Errors
    /// If it does not serialize or a file cannot be written.
    pub fn write(&mut self, step: u64, record: &impl Serialize) -> Result<()> {
        let failed =
            |error: serde_json::Error| io_error("write", self.lines.path())(io::Error::from(error));
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
        // A feature of serde_json changes the order of its maps; sorting makes the file independent of it.
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
