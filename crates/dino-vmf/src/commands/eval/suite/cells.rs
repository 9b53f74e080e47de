//! The finished cells of a suite, kept as lines of JSON so that a second start does not compute them again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dino::fingerprint;
use report::JsonLines;
use serde::{Deserialize, Serialize};

use super::file::Data;

const FILE: &str = "cells.jsonl";

/// What a cell is of. Equal keys have equal results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    /// SHA-256 of the network: its shape and weights.
    pub(super) checkpoint: String,
    /// SHA-256 of the data set's entry in the suite, without the list of tasks, and the seed.
    pub(super) entry: String,
    /// Name of the task.
    pub(super) task: String,
    /// Version of this program.
    pub(super) version: String,
}

/// One task on one data set and checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cell {
    #[serde(flatten)]
    pub(super) key: Key,
    /// Accuracy of each draw, in percent.
    pub(super) draws: Vec<f64>,
    /// For each test image, how often it was classified correctly.
    pub(super) hits: Vec<u32>,
    /// Why there is no result.
    pub(super) error: Option<String>,
}

/// All cells of an output folder.
pub(super) struct Cells {
    lines: JsonLines,
    known: Vec<Cell>,
}

impl Key {
    pub(super) fn new(checkpoint: &str, data: &Data, task: &str, seed: u64) -> Result<Self> {
        let entry = Data { name: String::new(), tasks: Vec::new(), ..data.clone() };
        let entry = serde_json::to_vec(&(entry, seed))?;
        Ok(Self {
            checkpoint: checkpoint.to_owned(),
            entry: fingerprint::of(&entry),
            task: task.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

impl Cell {
    /// Mean accuracy of the draws, in percent.
    pub(super) fn value(&self) -> f64 {
        self.draws.iter().sum::<f64>() / self.draws.len() as f64
    }

    /// Standard deviation of the draws; `None` for one.
    pub(super) fn deviation(&self) -> Option<f64> {
        let (count, mean) = (self.draws.len(), self.value());
        let squares: f64 = self.draws.iter().map(|draw| (draw - mean).powi(2)).sum();
        (count > 1).then(|| (squares / (count - 1) as f64).sqrt())
    }

    /// The share of draws in which each image was right.
    pub(super) fn credits(&self) -> Vec<f64> {
        self.hits.iter().map(|&hits| f64::from(hits) / self.draws.len() as f64).collect()
    }
}

impl Cells {
    /// Those of this folder. Lines that an interrupted start left unfinished are not used.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path: PathBuf = folder.join(FILE);
        let text = if path.exists() {
            fs::read_to_string(&path)
                .with_context(|| format!("cannot read `{}`", path.display()))?
        } else {
            String::new()
        };
        let known = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self { lines: JsonLines::open(&path)?, known })
    }

    /// The finished cell of this key.
    pub(super) fn find(&self, key: &Key) -> Option<&Cell> {
        self.known.iter().rfind(|cell| cell.key == *key && cell.error.is_none())
    }

    /// The newest cell of this key, failed ones, too.
    pub(super) fn newest(&self, key: &Key) -> Option<&Cell> {
        self.known.iter().rfind(|cell| cell.key == *key)
    }

    /// Keeps a cell.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, cell: Cell) -> Result<()> {
        self.lines.write(&cell)?;
        self.known.push(cell);
        Ok(())
    }
}
