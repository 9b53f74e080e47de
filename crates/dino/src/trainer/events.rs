//! An [`Event`] is what a run reports to its caller while it trains. The library itself prints nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use probe::{Score, Scores};
use report::Metrics;
use serde::Serialize;

use crate::forecast::Forecast;
use crate::monitor::{Alarm, Diagnostics};
use crate::schedule::Extended;
use crate::start::guard::Comparison;

/// Something that happened in a run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A warning; training goes on.
    Warning(String),
    /// The run is set up and training starts.
    Started(Started),
    /// What the run will cost, measured and computed. Reported once, before the start.
    Forecast(Box<Forecast>),
    /// Training waits for the images of the next batch.
    Loading {
        /// Images that are ready.
        done: usize,
        /// Images of the batch.
        total: usize,
    },
    /// A step has started, or another block of the network is done in it. Reported often.
    InStep {
        /// The step, counted from 1.
        step: u64,
        /// Share of the step that is done.
        share: f64,
        /// Time that the rest takes, from the first block on.
        left: Option<Duration>,
    },
    /// A resumed run is longer than before.
    Extended(Extended),
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
    /// Features were compared with those of the checkpoint that the run started from.
    Guard(Comparison),
    /// Progress of an evaluation.
    Evaluating {
        /// The features: `raw`, `untrained`, `start` or `trained`.
        what: &'static str,
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// A probe has judged features.
    Scores(ProbeRecord),
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
    /// The loss of a student that has learned nothing; see [`Config::chance_loss`](crate::config::Config::chance_loss).
    pub chance_loss: f64,
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

/// What one probe says about features, one line of `metrics.jsonl` under the probe's name.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeRecord {
    /// Name of the probe, such as `knn`.
    #[serde(skip)]
    pub probe: &'static str,
    /// The one number that progress shows.
    #[serde(skip)]
    pub headline: Option<Headline>,
    /// Steps done.
    pub step: u64,
    /// `raw`, `untrained`, `start` or `trained`.
    pub features: &'static str,
    /// One entry for each setting of the probe.
    pub scores: Vec<Scores>,
}

/// The number of a probe that stands for all its scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Headline {
    /// Name of the probe, such as `knn`.
    pub probe: &'static str,
    /// Its name in sentences, such as `k-NN`.
    pub title: &'static str,
    /// Name and value of the setting, such as `k = 20`.
    pub setting: Option<(&'static str, usize)>,
    /// The number with its name and unit.
    pub score: Score,
}

impl Headline {
    /// The first of these scores.
    pub fn of(probe: &'static str, title: &'static str, scores: &Scores) -> Option<Self> {
        let Scores { setting, values } = scores;
        values.first().map(|&score| Self { probe, title, setting: *setting, score })
    }
}

/// The numbers of a probe at the end of a run, in the unit of its headline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProbeSummary {
    /// What the numbers are.
    #[serde(skip)]
    pub headline: Headline,
    /// Of the pixels of the evaluation crop, by probes that judge them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<f64>,
    /// With the features of the backbone at its initial weights; `None` if that evaluation failed.
    pub untrained: Option<f64>,
    /// With the features of the checkpoint that the run started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// With the features of the teacher's backbone.
    pub trained: f64,
}

/// An evaluation that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missing {
    /// `raw`, `untrained`, `start` or `trained`.
    pub features: &'static str,
    /// Steps done.
    pub step: u64,
    /// Why, in words.
    pub reason: String,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run folder.
    pub run: PathBuf,
    /// Steps done.
    pub steps: u64,
    /// Duration of this process in seconds, with evaluations.
    pub seconds: f64,
    /// Mean training speed of this process, without evaluations; 0 if it took no step.
    pub images_per_second: f64,
    /// Loss of the last step of this process, if it took one.
    pub loss: Option<f64>,
    /// Each probe by its name; `None` without labelled images, or if the run was interrupted.
    #[serde(flatten)]
    pub probes: BTreeMap<&'static str, Option<ProbeSummary>>,
    /// The evaluations of this process that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_evaluations: Vec<Missing>,
    /// Whether a signal stopped the run; it is saved then.
    #[serde(skip)]
    pub interrupted: bool,
}
