//! The table of results: a row for each data set, and their mean.

use std::path::{Path, PathBuf};

use anyhow::Result;
use report::number::short;
use serde_json::{Value, json};

use super::measure::Measured;
use crate::commands::table_file::write_table;
use crate::console::Console;

const HEAD: [&str; 10] = [
    "set",
    "metric",
    "value",
    "top1",
    "mean_per_class",
    "map11",
    "weight_decay",
    "train_images",
    "validation_images",
    "test_images",
];

/// Results so far.
pub(super) struct Table {
    checkpoint: PathBuf,
    step: Option<u64>,
    seed: u64,
    rows: Vec<(String, Measured)>,
}

impl Table {
    pub(super) fn new(checkpoint: &Path, step: Option<u64>, seed: u64) -> Self {
        Self { checkpoint: checkpoint.to_owned(), step, seed, rows: Vec::new() }
    }

    /// Prints the titles of the columns.
    pub(super) fn head(&self, console: &mut Console) {
        console.text("transfer by logistic regression, percent of the test images");
        console.text(format!(
            "{:<16}{:>16}{:>8}{:>8}{:>16}{:>14}  training, validation, test images",
            "data set", "measure", "value", "top-1", "mean per class", "weight decay"
        ));
    }

    /// Adds a result, and prints its row.
    pub(super) fn add(&mut self, name: &str, measured: Measured, console: &mut Console) {
        let Measured { metric, value, top1, mean_per_class, weight_decay, .. } = &measured;
        let cell =
            |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
        let Measured { train_images, validation_images, test_images, .. } = &measured;
        console.text(format!(
            "{name:<16}{:>16}{value:>8.2}{:>8}{:>16}{:>14}  {train_images}, {validation_images}, {test_images}",
            metric.title(),
            cell(top1),
            cell(mean_per_class),
            short(*weight_decay)
        ));
        console.event("transfer", &self.record(name, &measured));
        self.rows.push((name.to_owned(), measured));
    }

    fn record(&self, name: &str, measured: &Measured) -> Value {
        let mut record = json!({
            "checkpoint": self.checkpoint, "step": self.step, "seed": self.seed, "set": name,
        });
        if let (Some(record), Ok(Value::Object(of))) =
            (record.as_object_mut(), serde_json::to_value(measured))
        {
            record.extend(of);
        }
        record
    }

    /// Prints the mean of `all` data sets, if all are finished, and what was measured.
    pub(super) fn finish(&self, all: usize, vectors: &str, console: &mut Console) {
        let count = self.rows.len();
        if all > 1 && count > 0 {
            let mean = self.rows.iter().map(|(_, of)| of.value).sum::<f64>() / count as f64;
            match count == all {
                true => console.text(format!("{:<16}{:>16}{mean:>8.2}", "mean", "")),
                false => console.warn(format!("no mean: {count} of {all} data sets are finished")),
            }
            let mean = (count == all).then_some(mean);
            let record = json!({
                "checkpoint": self.checkpoint, "step": self.step, "seed": self.seed, "sets": count, "of": all,
                "mean": mean,
            });
            console.event("transfer_mean", &record);
        }
        let drawn = self.rows.iter().any(|(_, of)| of.drawn && of.map11.is_none());
        let several = self.rows.iter().any(|(_, of)| of.map11.is_some());
        console.note(format!(
            "protocol: Ericsson et al. 2021 with {vectors}, teacher, center crop, not normalized; weight decay among 45 \
             values from 1e-6 to 1e5, the smallest of equally good ones; training and validation images refitted \
             together, to the optimum, where the official code ends after 100 iterations{}{}",
            if drawn {
                "; a validation split that is drawn is a fifth of each class, where the official code draws a fifth of \
                 all images"
            } else {
                ""
            },
            if several { "; each class against the others, difficult objects count as absent" } else { "" }
        ));
    }

    /// Writes the table.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path, console: &mut Console) -> Result<()> {
        let rows = self.rows.iter().map(|(name, of)| {
            let cell = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
            let metric = serde_json::to_value(of.metric).ok();
            let metric = metric.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            [
                name.clone(),
                metric,
                of.value.to_string(),
                cell(of.top1),
                cell(of.mean_per_class),
                cell(of.map11),
                of.weight_decay.to_string(),
                of.train_images.to_string(),
                of.validation_images.to_string(),
                of.test_images.to_string(),
            ]
        });
        write_table(path, HEAD, rows, console)
    }
}
