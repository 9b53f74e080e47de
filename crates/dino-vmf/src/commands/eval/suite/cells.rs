//! The finished cells of a suite, kept in its output folder.

use std::path::Path;

use anyhow::Result;
use dino::fingerprint;
use serde::{Deserialize, Serialize};

use super::super::finished::Finished;
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
pub(super) struct Cells(Finished<Cell>);

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
    /// Those of this folder.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        Ok(Self(Finished::open(&folder.join(FILE))?))
    }

    /// The finished cell of this key.
    pub(super) fn find(&self, key: &Key) -> Option<&Cell> {
        self.0.newest(|cell| cell.key == *key && cell.error.is_none())
    }

    /// The newest cell of this key, failed ones, too.
    pub(super) fn newest(&self, key: &Key) -> Option<&Cell> {
        self.0.newest(|cell| cell.key == *key)
    }

    /// Keeps a cell.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, cell: Cell) -> Result<()> {
        self.0.add(cell)
    }
}
