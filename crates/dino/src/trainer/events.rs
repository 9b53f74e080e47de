//! What a run reports while it goes on. The library prints nothing; whoever calls it decides.

use std::path::PathBuf;

use serde::Serialize;

use crate::eval::knn::Score;
use crate::monitor::{Alarm, Diagnostics};

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
        /// `raw pixels`, `untrained` or `trained`.
        what: &'static str,
        /// Images done.
        done: usize,
        /// Of all.
        total: usize,
    },
    /// An evaluation is done.
    Knn(KnnRecord),
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

/// A k-NN evaluation, one line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct KnnRecord {
    /// Steps done.
    pub step: u64,
    /// `raw`, `untrained` or `trained`.
    pub features: &'static str,
    /// One entry for each k.
    pub scores: Vec<Score>,
}

/// Top-1 accuracies at k = 20 (or the k nearest to it that was asked for), in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KnnSummary {
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
    /// Nothing without labelled images, or if the run was interrupted.
    pub knn: Option<KnnSummary>,
    /// Stopped by a signal, after saving.
    #[serde(skip)]
    pub interrupted: bool,
}
