//! What a run reports while it goes on. The library prints nothing; whoever calls it decides.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::monitor::{Alarm, Diagnostics};
use crate::probe::{Score, Scores};

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Worth telling, stops nothing.
    Warning(String),
    /// The run is set up.
    Started(Started),
    /// A step is done (also in every step that is not logged to `metrics.jsonl`).
    Step(StepRecord),
    /// A step was skipped because a number was not finite.
    Skipped {
        /// The step.
        step: u64,
        /// Which number, in words.
        reason: String,
    },
    /// Something goes wrong, or does so no longer.
    Alarm(Alarm),
    /// What is measured every `run.diagnose_every_steps`.
    Diagnostics(Diagnostics),
    /// An evaluation goes on: images done, of all.
    Evaluating {
        /// `raw`, `untrained` or `trained`.
        what: &'static str,
        /// Images done.
        done: usize,
        /// Of all.
        total: usize,
    },
    /// A probe has judged features.
    Scores(ProbeRecord),
    /// A checkpoint was written.
    Checkpoint {
        /// Its folder.
        path: PathBuf,
        /// Steps done.
        step: u64,
    },
}

/// How a run starts.
#[derive(Debug, Clone, Serialize)]
pub struct Started {
    /// The run folder.
    pub run: PathBuf,
    /// Steps done before: 0 for a new run.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// The data set in words.
    pub data: String,
    /// Its images.
    pub images: usize,
    /// Parameters of the student.
    pub parameters: usize,
    /// Crops of an image.
    pub crops: usize,
    /// Threads that compute.
    pub threads: usize,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct StepRecord {
    /// Steps done.
    pub step: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// Nats.
    pub loss: f64,
    /// Mean entropy of the teacher's assignments, nats.
    pub teacher_entropy: f64,
    /// Mean divergence of student from teacher, nats: their cross-entropy minus the entropy.
    pub kl: f64,
    /// Different prototypes that the teacher's crops of this batch prefer.
    pub prototypes_in_use: usize,
    /// Entropy of the histogram of these preferences, nats.
    pub assignment_entropy: f64,
    /// Spread of the teacher's \[CLS\] vectors, in [0, 1]; 0: all the same.
    pub feature_std: f64,
    /// How much more alike the crops of one image are than those of different images, at most 1; 0:
    /// the image does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_agreement: Option<f64>,
    /// Mean concentration of the student's prototypes.
    pub kappa_mean: f64,
    /// Largest concentration.
    pub kappa_max: f64,
    /// Norm of the whole gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate.
    pub lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// The teacher's momentum.
    pub momentum: f64,
    /// The teacher's temperature.
    pub teacher_temp: f64,
    /// The part of the loss that masked patches have; nothing for methods that do not mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_loss: Option<f64>,
    /// Mean entropy of the teacher's assignments of patches, masked or not, nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_teacher_entropy: Option<f64>,
    /// Different prototypes that the teacher's patches of this batch prefer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_prototypes_in_use: Option<usize>,
    /// Over the last steps.
    pub images_per_second: f64,
    /// Part of the time of the last steps that was waiting for images, in [0, 1].
    pub data_wait_share: f64,
    /// Memory taken from the system for tensors.
    pub memory_mib: f64,
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
    /// `raw`, `untrained` or `trained`.
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
    /// Of the pixels of the evaluation crop.
    pub raw: f64,
    /// Of the backbone with its initial weights.
    pub untrained: f64,
    /// Of the teacher's backbone.
    pub trained: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run folder.
    pub run: PathBuf,
    /// Steps done.
    pub steps: u64,
    /// Of this process, evaluations left out.
    pub images_per_second: f64,
    /// Each probe by its name; `None` without labelled images, or if the run was interrupted.
    #[serde(flatten)]
    pub probes: BTreeMap<&'static str, Option<ProbeSummary>>,
    /// Stopped by a signal, after saving.
    #[serde(skip)]
    pub interrupted: bool,
}
