//! What fine-tuning reports while it goes on.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::tested::Tested;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Training begins, or goes on after `step` steps.
    Started {
        /// Steps done before.
        step: u64,
        /// All steps.
        total_steps: u64,
        /// Parameters that are trained.
        parameters: usize,
        /// The best test accuracy so far, in percent.
        best: Option<f64>,
    },
    /// A step is going on, of which a share is done.
    InStep {
        /// Steps done.
        step: u64,
        /// The share, from 0 to 1.
        share: f64,
    },
    /// A step is done.
    Step(StepRecord),
    /// So many of the test images are done.
    Testing {
        /// Images done.
        done: usize,
        /// All images.
        total: usize,
    },
    /// Results on the test images.
    Tested(Tested),
    /// What a person should know.
    Warning(String),
    /// Somebody asked to stop, and training ends now.
    Stopping,
    /// The state was saved.
    Saved(PathBuf),
}

/// A step that is done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StepRecord {
    /// Steps done.
    pub step: u64,
    /// All steps.
    pub total_steps: u64,
    /// The epoch, from 1.
    pub epoch: u64,
    /// Loss of the step.
    pub loss: f64,
    /// Learning rate of the last layer.
    pub lr: f64,
    /// Training images in a second.
    pub images_per_second: f64,
    /// The time that the rest will take.
    #[serde(skip)]
    pub left: Duration,
}
