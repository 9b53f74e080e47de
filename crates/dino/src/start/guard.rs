//! The guard compares the features of a run with those of the checkpoint that it started from.
//!
//! With labelled images, it compares accuracy: that of k-NN, or of the first of `eval.during` without it. Without, it compares RankMe, and which images are neighbors:
//!
//! ```text
//! agreement = mean over images of |N(x) ∩ N₀(x)| / 10     N(x), N₀(x): the 10 nearest images now and at the start
//! ```
//!
//! `start.json` in the run folder holds the measures of the start and of each evaluation, so that a run that is
//! resumed compares with the same numbers.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use probe::Matrix;
use probe::geometry::spectrum::rankme;
use probe::similarity::{Near, nearest};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, io_error};

/// Images that are compared without labels.
pub(crate) const IMAGES: usize = 1000;
/// Neighbors of an image.
const NEIGHBORS: usize = 10;
/// Percent of accuracy that may be lost: about the error of 2000 images.
const LOSS: f64 = 1.0;
/// Share of the start's RankMe that must be left, and of its neighbors.
const RANK: f64 = 0.8;
const AGREEMENT: f64 = 0.3;

/// The file in the run folder.
const FILE: &str = "start.json";

/// What is measured of features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Accuracy in percent.
    Accuracy(f64),
    /// Without labels.
    Geometry {
        /// Effective dimensions.
        rankme: f64,
        /// Agreement of neighbors with those of the start; 1 at the start.
        agreement: f64,
    },
}

impl Measure {
    /// Higher is better.
    fn score(&self) -> f64 {
        match self {
            Self::Accuracy(value) | Self::Geometry { rankme: value, .. } => *value,
        }
    }

    /// How these features are worse than those of the start, if they are.
    fn worse_than(&self, start: &Self) -> Option<String> {
        match (self, start) {
            (Self::Accuracy(now), Self::Accuracy(start)) => (start - now > LOSS)
                .then(|| format!("accuracy is {now:.2}, at the start it was {start:.2}")),
            (Self::Geometry { rankme, agreement }, Self::Geometry { rankme: start, .. }) => {
                (*rankme < RANK * start || *agreement < AGREEMENT).then(|| {
                    format!(
                        "RankMe is {rankme:.1}, at the start it was {start:.1}, and images have {:.0} % of their \
                         neighbors of the start",
                        100.0 * agreement
                    )
                })
            }
            _ => None,
        }
    }
}

/// What a comparison with the start says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Steps done.
    pub step: u64,
    /// Of the features now.
    pub now: Measure,
    /// Of the features of the checkpoint.
    pub start: Measure,
    /// How the features are worse, if they are.
    pub worse: Option<String>,
    /// The step with the best features so far; 0 is the start.
    pub best_step: u64,
}

/// What `start.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The checkpoint, and what it is.
    pub(crate) checkpoint: String,
    /// Norm of the weights at the start, for alarms.
    pub(crate) weight_norm: f64,
    /// Measures by step, the first of the start; empty without a guard.
    measures: Vec<(u64, Measure)>,
    /// Of each image that is compared without labels, its neighbors at the start.
    neighbors: Vec<Vec<u32>>,
}

impl Record {
    pub(crate) fn new(checkpoint: String, weight_norm: f64) -> Self {
        Self { checkpoint, weight_norm, measures: Vec::new(), neighbors: Vec::new() }
    }

    /// Reads the record of a run, without what came after `step`. `None` if it did not start from a checkpoint.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(run: &Path, step: u64) -> Result<Option<Self>> {
        let path = run.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read(&path).map_err(io_error("read", &path))?;
        let mut record: Self = serde_json::from_slice(&text).map_err(|error| {
            let remedy = "without this file features are not compared with those of the start";
            io_error("read", &path)(io::Error::other(format!("it is damaged: {error}; {remedy}")))
        })?;
        record.measures.retain(|(of, _)| *of <= step);
        Ok(Some(record))
    }

    /// Writes the record into the run folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, run: &Path) -> Result<()> {
        let path = run.join(FILE);
        let text = serde_json::to_vec(self).map_err(|error| Error::Io {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        atomic_file::write(&path, &text).map_err(io_error("write", &path))
    }

    /// The measure of features without labels, one row for each image. At the start, keeps their neighbors.
    pub(crate) fn geometry(&mut self, mut features: Matrix) -> Measure {
        let rankme = rankme(&features);
        features.normalize();
        let neighbors = neighbors(&features);
        if self.neighbors.is_empty() {
            self.neighbors = neighbors;
            return Measure::Geometry { rankme, agreement: 1.0 };
        }
        Measure::Geometry { rankme, agreement: agreement(&neighbors, &self.neighbors) }
    }

    /// Adds the measure of a step, and compares it with the start. The first one is that of the start.
    pub(crate) fn add(&mut self, step: u64, now: Measure) -> Comparison {
        self.measures.retain(|(of, _)| *of != step);
        self.measures.push((step, now.clone()));
        let start = self.measures[0].1.clone();
        let worse = now.worse_than(&start);
        Comparison { step, now, start, worse, best_step: self.best_step().unwrap_or(step) }
    }

    /// Whether the features of the start are measured.
    pub(crate) fn has_start(&self) -> bool {
        !self.measures.is_empty()
    }

    /// The step with the best features; the first of equal ones.
    pub(crate) fn best_step(&self) -> Option<u64> {
        let kind = |measure: &Measure| std::mem::discriminant(measure);
        let start = kind(&self.measures.first()?.1);
        let same = self.measures.iter().filter(|(_, measure)| kind(measure) == start);
        let best =
            same.reduce(|best, other| if other.1.score() > best.1.score() { other } else { best });
        best.map(|(step, _)| *step)
    }
}

/// For each row, the rows with the largest cosine; of equal ones, the first.
fn neighbors(unit: &Matrix) -> Vec<Vec<u32>> {
    let itself: Vec<_> = (0..unit.len()).map(Some).collect();
    let near = Near { queries: unit, bank: unit, count: NEIGHBORS, itself: &itself };
    let found = nearest(near, &mut |_, _| ControlFlow::Continue(()));
    let found = found.expect("rows in memory can be read").expect("nothing stops the search");
    found.iter().map(|near| near.iter().map(|neighbor| neighbor.row as u32).collect()).collect()
}

/// The mean share of neighbors that are the same.
fn agreement(now: &[Vec<u32>], start: &[Vec<u32>]) -> f64 {
    let shares = now.iter().zip(start).map(|(now, start)| {
        let start: BTreeSet<_> = start.iter().collect();
        let same = now.iter().filter(|j| start.contains(j)).count();
        same as f64 / now.len().max(1) as f64
    });
    shares.sum::<f64>() / now.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` vectors on a half circle, of which `stride` neighbors follow each other.
    fn circle(n: usize, stride: usize) -> Matrix {
        let angle = |i: usize| ((i * stride % n) as f32 / n as f32 * 3.0).sin_cos();
        let values = (0..n).map(angle).flat_map(|(sin, cos)| [cos, sin]).collect();
        Matrix::new(values, 2)
    }

    #[test]
    fn the_same_features_agree_and_others_do_not() {
        let mut record = Record::new("weights.pth".to_owned(), 1.0);
        let start = record.geometry(circle(101, 1));
        assert!(matches!(start, Measure::Geometry { agreement: 1.0, .. }), "{start:?}");
        let first = record.add(0, start);
        assert_eq!((first.worse, first.best_step), (None, 0));
        let same = record.geometry(circle(101, 1));
        assert!(matches!(same, Measure::Geometry { agreement: 1.0, .. }), "{same:?}");
        let other = record.geometry(circle(101, 37));
        let found = record.add(5, other);
        assert!(found.worse.is_some_and(|text| text.contains("neighbors of the start")));
    }

    #[test]
    fn lost_accuracy_is_worse_and_the_best_step_is_kept() {
        let mut record = Record::new("weights.pth".to_owned(), 1.0);
        for (step, accuracy, is_worse) in
            [(0, 60.0, false), (10, 61.5, false), (20, 59.1, false), (30, 58.9, true)]
        {
            let found = record.add(step, Measure::Accuracy(accuracy));
            assert_eq!(found.worse.is_some(), is_worse, "{step}");
        }
        assert_eq!(record.best_step(), Some(10));
    }

    #[test]
    fn a_record_is_read_without_what_came_later() {
        let run = tempfile::tempdir().unwrap();
        let mut record = Record::new("weights.pth".to_owned(), 1.5);
        record.add(0, Measure::Accuracy(50.0));
        record.add(9, Measure::Accuracy(70.0));
        record.write(run.path()).unwrap();
        let read = Record::read(run.path(), 5).unwrap().unwrap();
        assert_eq!((read.best_step(), read.weight_norm), (Some(0), 1.5));
        assert!(Record::read(&run.path().join("other"), 5).unwrap().is_none());
    }
}
