//! What does not change results: threads, folders, checkpoints.

use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_EPOCHS, MAX_STEPS};
use crate::error::Result;

/// Most threads of one kind; a system refuses more sooner or later, each with memory of its own.
const MAX_THREADS: u64 = 1024;

/// Section `[run]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// Threads that compute; 0 uses all cores.
    pub threads: usize,
    /// Threads that read and crop images; 0 lets the program choose.
    pub workers: usize,
    /// `cpu`.
    pub device: String,
    /// The run folder; by default the first free `runs/<preset>-<n>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// The folder that relative paths in `data.source`, `eval.train` and `eval.test` start from. It is
    /// written when a run starts, so that the run can go on from another folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Epochs between checkpoints, 0 for none between. There is always one at the end.
    pub checkpoint_every_epochs: f64,
    /// Steps between checkpoints, in addition; 0 for none.
    pub checkpoint_every_steps: u64,
    /// Keep, beside the last two checkpoints, one for each this many epochs; 0 keeps none.
    pub keep_every_epochs: u64,
    /// Steps between lines of `metrics.jsonl`.
    pub log_every_steps: u64,
    /// Steps between measurements of all weights and prototypes (norms, copies, distance of teacher
    /// and student), which some alarms need; 0 for none.
    pub diagnose_every_steps: u64,
    /// What an alarm does (collapse, exploding norms, a teacher that is the student): `warn` names it
    /// and goes on, `stop` saves the run and ends it with exit code 1. Partial collapse of the
    /// prototypes only warns.
    pub on_collapse: OnCollapse,
    /// What the backward pass computes again to need less memory: `none`, `light` (the MLPs' hidden
    /// layers) or `blocks` (everything between the inputs of two blocks).
    pub recompute: Recompute,
}

/// What an alarm does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCollapse {
    /// It is reported.
    Warn,
    /// The run is saved and ends, unless the prototypes have collapsed in part only.
    Stop,
}

/// What the backward pass computes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// Only what is cheaper to compute than to keep.
    None,
    /// Also the hidden layers of the MLPs.
    Light,
    /// Everything between the inputs of two blocks.
    Blocks,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            threads: 0,
            workers: 0,
            device: "cpu".to_owned(),
            out: None,
            working_dir: None,
            checkpoint_every_epochs: 1.0,
            checkpoint_every_steps: 0,
            keep_every_epochs: 0,
            log_every_steps: 1,
            diagnose_every_steps: 100,
            on_collapse: OnCollapse::Warn,
            recompute: Recompute::None,
        }
    }
}

impl Run {
    pub(super) fn check(&self, check: &Check<'_>) -> Result<()> {
        let device = format!("{:?}", self.device);
        check.require(!self.device.is_empty(), "run.device", device, "name a device")?;
        check.at_most("run.threads", self.threads as u64, MAX_THREADS)?;
        check.at_most("run.workers", self.workers as u64, MAX_THREADS)?;
        let epochs = self.checkpoint_every_epochs;
        check.not_negative("run.checkpoint_every_epochs", epochs, MAX_EPOCHS)?;
        check.at_most("run.keep_every_epochs", self.keep_every_epochs, MAX_EPOCHS as u64)?;
        for (key, steps) in [
            ("run.checkpoint_every_steps", self.checkpoint_every_steps),
            ("run.diagnose_every_steps", self.diagnose_every_steps),
            ("run.log_every_steps", self.log_every_steps),
        ] {
            check.at_most(key, steps, MAX_STEPS)?;
        }
        let every = self.log_every_steps;
        check.require(every >= 1, "run.log_every_steps", every, "be 1 or more")
    }
}
