//! An [`Event`] is what a run reports to its caller while it trains. The library itself prints nothing.

use std::path::PathBuf;

use serde::Serialize;

use crate::eval::knn::Score;
use crate::metrics::Metrics;
use crate::monitor::{Alarm, Diagnostics};

/// Something that happened in a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A warning; training goes on.
    Warning(String),
    /// The run is set up and training starts.
    Started(Started),
    /// A step is done. Reported for every step, also for those not written to `metrics.jsonl`.
    Step(StepRecord),
    /// A step was skipped because a value was not finite.
    Skipped {
        /// Steps done before it.
        step: u64,
        /// Which value, in words.
        reason: String,
    },
    /// An alarm was raised or cleared.
    Alarm(Alarm),
    /// The measurements made every `run.diagnose_every_steps`.
    Diagnostics(Diagnostics),
    /// Progress of an evaluation.
    Evaluating {
        /// The features: `raw`, `untrained` or `trained`.
        what: &'static str,
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// An evaluation is done.
    Knn(KnnRecord),
    /// A checkpoint was saved.
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// Steps done.
        step: u64,
    },
}

/// The setup of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Started {
    /// The run folder.
    pub run: PathBuf,
    /// Steps done before; 0 for a new run.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps per epoch.
    pub steps_per_epoch: u64,
    /// The data set, in words.
    pub data: String,
    /// Number of its images.
    pub images: usize,
    /// Number of the student's parameters.
    pub parameters: usize,
    /// Crops per image.
    pub crops: usize,
    /// Compute threads.
    pub threads: usize,
}

/// The metrics of a step, one line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepRecord {
    /// Steps done.
    pub step: u64,
    /// Its metrics.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// A k-NN evaluation, one line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct KnnRecord {
    /// Steps done.
    pub step: u64,
    /// `raw`, `untrained` or `trained`.
    pub features: &'static str,
    /// One score for each k.
    pub scores: Vec<Score>,
}

/// Top-1 accuracies in percent, for k = 20 or the configured k nearest to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KnnSummary {
    /// With the pixels of the evaluation crop as features.
    pub raw: f64,
    /// With the features of the backbone at its initial weights.
    pub untrained: f64,
    /// With the features of the teacher's backbone.
    pub trained: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run folder.
    pub run: PathBuf,
    /// Steps done.
    pub steps: u64,
    /// Mean training speed of this process, without evaluations.
    pub images_per_second: f64,
    /// The last evaluation; nothing without labelled images, or if the run was interrupted.
    pub knn: Option<KnnSummary>,
    /// Whether a signal stopped the run; it is saved then.
    #[serde(skip)]
    pub interrupted: bool,
}
