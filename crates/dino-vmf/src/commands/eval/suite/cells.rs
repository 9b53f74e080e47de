//! The finished cells of a suite, kept in its output folder.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::super::finished::Finished;
use super::super::score::Score;
use crate::console::in_one_line;

const FILE: &str = "cells.jsonl";

/// What a cell is of. Equal keys have equal results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    /// SHA-256 of the network with its settings.
    pub(super) checkpoint: String,
    /// SHA-256 of what is measured: the entry of the suite without names, the state of its files, and the seed.
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
    /// What was measured; nothing if it failed.
    pub(super) scores: Vec<Score>,
    /// Why there is no result.
    pub(super) error: Option<String>,
}

/// All cells of an output folder.
pub(super) struct Cells(Finished<Cell>);

impl Key {
    /// The key of a task with this entry's fingerprint.
    pub(super) fn new(checkpoint: &str, entry: &str, task: &str) -> Self {
        Self {
            checkpoint: checkpoint.to_owned(),
            entry: entry.to_owned(),
            task: task.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Cell {
    /// The cell of a result.
    pub(super) fn of(key: Key, measured: Result<Vec<Score>>) -> Self {
        match measured {
            Ok(scores) => Self { key, scores, error: None },
            Err(error) => Self { key, scores: Vec::new(), error: Some(in_one_line(&error)) },
        }
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

    /// The finished cell of this key, or else the newest one that failed.
    pub(super) fn newest(&self, key: &Key) -> Option<&Cell> {
        self.find(key).or_else(|| self.0.newest(|cell| cell.key == *key))
    }

    /// Keeps a cell.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, cell: Cell) -> Result<()> {
        self.0.add(cell)
    }
}
