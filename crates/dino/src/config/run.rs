//! `[run]`: settings that do not change the result, such as threads, folders and checkpoints.

use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_EPOCHS, MAX_STEPS};
use super::error::Result;

/// Most threads of one kind; a system refuses more sooner or later, each with memory of its own.
const MAX_THREADS: u64 = 1024;
/// A year.
const MAX_MINUTES: f64 = 525_600.0;

/// How the program runs: threads, folders, checkpoints, reports. Nothing here but `device` changes the
/// result, so all of it may change when a run is resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// Threads that compute. 0 uses all cores; set it where cores are shared. Results do not depend on it.
    pub threads: usize,
    /// Threads that read and crop images. 0 takes as many as compute. If `data_wait_share` in
    /// `metrics.jsonl` is above a few percent, set more, or `data.reduced_for`.
    pub workers: usize,
    /// Where to compute: `cpu`, the only device of this version.
    pub device: String,
    /// The run folder; `none` takes the first free `runs/<preset>-<n>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// The folder that relative paths in `data.source`, `eval.train` and `eval.test` start from. The
    /// program writes it when a run starts, so that the run can be resumed from another folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Epochs between checkpoints; 0 saves none between. The end of a run is always saved. Set it so that
    /// you can afford to lose the time between two.
    pub checkpoint_every_epochs: f64,
    /// Steps between checkpoints, in addition; 0 saves none.
    pub checkpoint_every_steps: u64,
    /// Minutes after which a run is saved if no other setting has saved it; 0 saves none. Set it to the time
    /// that you can afford to lose where epochs are long.
    pub checkpoint_every_minutes: f64,
    /// Keep one checkpoint for each this many epochs, besides the last two; 0 keeps only these two.
    pub keep_every_epochs: u64,
    /// Steps between lines of `metrics.jsonl`.
    pub log_every_steps: u64,
    /// Steps between measurements of all weights and prototypes (norms, near-duplicates, distance of
    /// teacher and student), which some alarms need; 0 measures nothing. A measurement costs about as much
    /// as a small part of a step.
    pub diagnose_every_steps: u64,
    /// What an alarm does (collapse, exploding norms, a teacher equal to the student): `warn` reports it
    /// and goes on, `stop` saves the run and ends it with exit code 1, which suits unattended jobs. Partial
    /// collapse of the prototypes only warns.
    pub on_collapse: OnCollapse,
    /// What the backward pass computes again instead of keeping it: `none`, `light` (hidden layers of the
    /// MLPs, a tenth of a step's arithmetic) or `blocks` (everything between the inputs of two blocks, a
    /// quarter). Use it, after `optim.accumulate`, if a run does not fit into memory.
    pub recompute: Recompute,
}

/// What an alarm does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCollapse {
    /// Reports it.
    Warn,
    /// Saves the run and ends it, unless the prototypes have collapsed only in part.
    Stop,
}

/// What the backward pass computes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// Only what is cheaper to compute than to keep, such as outputs of norms and GELU.
    None,
    /// The hidden layers of the MLPs as well.
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
            checkpoint_every_minutes: 30.0,
            keep_every_epochs: 0,
            log_every_steps: 1,
            diagnose_every_steps: 100,
            on_collapse: OnCollapse::Warn,
            recompute: Recompute::None,
        }
    }
}

impl Run {
    /// Threads that read and crop images: as set, else as many as compute.
    pub fn worker_threads(&self) -> usize {
        match self.workers {
            0 => rayon::current_num_threads(),
            workers => workers,
        }
    }

    pub(super) fn check(&self, check: &Check<'_>) -> Result<()> {
        let device = format!("{:?}", self.device);
        check.require(!self.device.is_empty(), "run.device", &device, "name a device")?;
        let needed = "be \"cpu\": this version computes on nothing else yet";
        check.require(self.device == "cpu", "run.device", &device, needed)?;
        check.at_most("run.threads", self.threads as u64, MAX_THREADS)?;
        check.at_most("run.workers", self.workers as u64, MAX_THREADS)?;
        let epochs = self.checkpoint_every_epochs;
        check.not_negative("run.checkpoint_every_epochs", epochs, MAX_EPOCHS)?;
        let minutes = self.checkpoint_every_minutes;
        check.not_negative("run.checkpoint_every_minutes", minutes, MAX_MINUTES)?;
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
