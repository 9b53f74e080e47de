//! A [`History`] is what `metrics.jsonl` says about a run, in bounded memory.
//!
//! ```text
//! {"step":5,"loss":4.2,…}                              metrics         one Series for each key
//! {"step":5,"diagnostics":{"kappa":{"median":9.7}}}    diagnostics     one for each path, `kappa.median`
//! {"step":5,"knn":{"features":"raw","scores":[…]}}     evaluations     whatever the name of the probe
//! {"step":5,"alarm":{…}}                               events          everything else
//! ```
//!
//! The file may belong to a run that goes on: a last line that is not whole yet is left for the next reading.

mod series;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use serde_json::{Map, Value};

pub use series::{Point, Series};

use crate::error::{Result, io_error};
use crate::metrics::Metric;

/// Most events that are kept; the last ones are, and others are counted.
const MOST_EVENTS: usize = 1000;

/// What a run has reported so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Values of training steps, by their keys.
    pub metrics: BTreeMap<String, Series>,
    /// Values of diagnoses, by their paths.
    pub diagnostics: BTreeMap<String, Series>,
    /// Scores of evaluations, in the order in which they were made.
    pub evaluations: Vec<Evaluation>,
    /// Alarms, skipped steps and everything else.
    pub events: Vec<Event>,
    /// Events that were left out, because there were too many.
    pub older_events: usize,
    /// The largest step of a line.
    pub last_step: u64,
    /// Σ steps / (images per second): times the batch size, the seconds of training.
    pub steps_over_speed: f64,
    /// Whole lines that are not JSON objects with a step.
    pub damaged_lines: usize,
}

/// The number of an evaluation by which networks are compared.
const ACCURACY: &str = "top1";

/// One number of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Steps done.
    pub step: u64,
    /// Name of the probe, such as `knn`.
    pub probe: String,
    /// Whose features: `raw`, `untrained`, `start` or `trained`.
    pub features: String,
    /// The setting of the probe, such as `k = 20`; empty without one.
    pub setting: String,
    /// Name of the number, such as `top1`.
    pub score: String,
    /// The number.
    pub value: f64,
}

/// Something that is not a number over time, such as an alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Steps done.
    pub step: u64,
    /// The key of the line, such as `alarm`.
    pub kind: String,
    /// What the line says.
    pub record: Value,
}

impl History {
    /// Reads `metrics.jsonl`. A file that is missing is a run that has not started.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let mut history = Self::default();
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(history),
            file => file.map_err(io_error("read", path))?,
        };
        let (mut reader, mut line) = (BufReader::new(file), Vec::new());
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line).map_err(io_error("read", path))?;
            if line.last() != Some(&b'\n') {
                return Ok(history);
            }
            history.add_line(&line);
        }
    }

    /// The last value of a metric.
    pub fn last(&self, metric: Metric) -> Option<f64> {
        self.metrics.get(metric.key())?.last()
    }

    fn add_line(&mut self, line: &[u8]) {
        let record = serde_json::from_slice::<Map<String, Value>>(line).unwrap_or_default();
        let Some(step) = record.get("step").and_then(Value::as_u64) else {
            self.damaged_lines += 1;
            return;
        };
        let before = self.last_step;
        self.last_step = before.max(step);
        let (objects, numbers): (Vec<_>, Vec<_>) = record
            .into_iter()
            .filter(|(key, _)| key != "step")
            .partition(|(_, value)| value.is_object() || value.is_array() || value.is_string());
        for (key, value) in objects {
            self.add_object(step, key, value);
        }
        let speed = Metric::ImagesPerSecond.key();
        for (key, value) in numbers {
            let Some(value) = value.as_f64() else { continue };
            if key == speed && value > 0.0 {
                self.steps_over_speed += step.saturating_sub(before) as f64 / value;
            }
            self.metrics.entry(key).or_default().push(step, value);
        }
    }

    fn add_object(&mut self, step: u64, key: String, value: Value) {
        if key == "diagnostics" {
            return self.add_diagnostics(step, "", &value);
        }
        let features = value.get("features").and_then(Value::as_str);
        let scores = value.get("scores").and_then(Value::as_array);
        if let Some((features, scores)) = features.zip(scores) {
            for scores in scores.iter().filter_map(Value::as_object) {
                self.add_scores((step, &key, features), scores);
            }
            return;
        }
        if self.events.len() == MOST_EVENTS {
            self.events.remove(0);
            self.older_events += 1;
        }
        self.events.push(Event { step, kind: key, record: value });
    }

    fn add_diagnostics(&mut self, step: u64, path: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields.iter().filter(|(key, _)| *key != "step") {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.add_diagnostics(step, &format!("{path}{dot}{key}"), value);
                }
            }
            Value::Number(number) => {
                let series = self.diagnostics.entry(path.to_owned()).or_default();
                series.push(step, number.as_f64().unwrap_or(f64::NAN));
            }
            _ => {}
        }
    }

    /// Adds the scores of one setting, the accuracy first. Settings are integers or text; scores have a decimal point.
    fn add_scores(
        &mut self,
        (step, probe, features): (u64, &str, &str),
        scores: &Map<String, Value>,
    ) {
        let setting = scores.iter().filter_map(|(name, value)| match value {
            Value::Number(number) if number.is_f64() => None,
            Value::Number(number) => Some(format!("{name} = {number}")),
            Value::String(text) => Some(format!("{name} = {text}")),
            _ => None,
        });
        let setting = setting.collect::<Vec<_>>().join(", ");
        let mut scores: Vec<_> = scores.iter().filter(|(_, value)| value.is_f64()).collect();
        scores.sort_by_key(|(name, _)| *name != ACCURACY);
        for (name, value) in scores {
            self.evaluations.push(Evaluation {
                step,
                probe: probe.to_owned(),
                features: features.to_owned(),
                setting: setting.clone(),
                score: name.clone(),
                value: value.as_f64().unwrap_or(f64::NAN),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn history(text: &str) -> History {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(&path, text).unwrap();
        History::read(&path).unwrap()
    }

    #[test]
    fn every_kind_of_line_finds_its_place() {
        let found = history(concat!(
            "{\"step\":0,\"knn\":{\"features\":\"raw\",\"step\":0,\"scores\":[{\"k\":20,\"top1\":33.5,\"top5\":70.0}]}}\n",
            "{\"step\":1,\"loss\":4.0,\"epoch\":0,\"images_per_second\":10.0,\"kl\":null}\n",
            "{\"step\":3,\"loss\":3.0,\"epoch\":0,\"images_per_second\":20.0}\n",
            "{\"step\":3,\"diagnostics\":{\"step\":3,\"kappa\":{\"median\":9.5},\"rankme\":4.0}}\n",
            "{\"step\":3,\"alarm\":{\"name\":\"one-hot-collapse\",\"raised\":true}}\n",
            "not JSON\n",
            "{\"step\":4,\"loss\":2.0,\"epo",
        ));
        assert_eq!((found.last_step, found.damaged_lines), (3, 1));
        assert_eq!(found.last(Metric::Loss), Some(3.0));
        assert_eq!(found.last(Metric::Kl), None);
        assert!((found.steps_over_speed - (0.1 + 0.1)).abs() < 1e-12);
        assert_eq!(found.diagnostics["kappa.median"].last(), Some(9.5));
        assert_eq!(found.events[0].record["name"], "one-hot-collapse");
        let scores = found.evaluations.iter().map(|of| (&of.setting[..], &of.score[..], of.value));
        assert_eq!(
            scores.collect::<Vec<_>>(),
            [("k = 20", "top1", 33.5), ("k = 20", "top5", 70.0)]
        );
    }

    #[test]
    fn a_run_without_metrics_has_not_started() {
        assert_eq!(History::read(Path::new("nowhere.jsonl")).unwrap(), History::default());
        assert_eq!(history(""), History::default());
        assert!(History::read(Path::new("/")).is_err());
    }

    #[test]
    fn old_events_make_room_for_new_ones() {
        let line =
            |step| format!("{{\"step\":{step},\"skipped\":{{\"reason\":\"loss is NaN\"}}}}\n");
        let found = history(&(0..MOST_EVENTS as u64 + 5).map(line).collect::<String>());
        assert_eq!((found.events.len(), found.older_events), (MOST_EVENTS, 5));
        assert_eq!(found.events[0].step, 5);
    }
}
