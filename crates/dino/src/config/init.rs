//! `[init]`: the checkpoint that a run starts from.

use serde::{Deserialize, Serialize};

use super::check::Check;
use super::error::Result;

/// A checkpoint of this or of another program that training goes on from, instead of random weights. It decides
/// on the shape of the network; `docs/checkpoints.md` says which other settings follow from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Init {
    /// The checkpoint: a run folder, or a file of DINO, iBOT, DINOv2, timm or Hugging Face. The run reads it once,
    /// before its first step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Which weights of the file are read, such as `student`; by default the teacher's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Attention heads of a block, if the file does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Names of tensors that may be missing, unexpected or mis-shaped; a `*` at the end stands for any rest.
    pub ignore: Vec<String>,
    /// Whether the heads start at random although the checkpoint has some. Set it for images of another kind, or
    /// for another number of prototypes.
    pub fresh_heads: bool,
    /// What happens if features become worse than those of the checkpoint: `warn` says so, `stop` also saves the
    /// run and ends it with exit code 1, `off` compares nothing. `stop` suits unattended jobs.
    pub guard: GuardAction,
}

impl Init {
    /// Whether features are compared with those of the checkpoint.
    pub(crate) fn is_guarded(&self) -> bool {
        self.checkpoint.is_some() && self.guard != GuardAction::Off
    }
}

/// What the guard does about worse features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardAction {
    /// Says so.
    #[default]
    Warn,
    /// Saves the run and ends it.
    Stop,
    /// Compares nothing.
    Off,
}

impl Init {
    pub(super) fn check(&self, check: &Check<'_>) -> Result<()> {
        check.count("init.heads", self.heads.unwrap_or(1), 1 << 16)?;
        let named = self.checkpoint.as_deref() != Some("");
        check.require(named, "init.checkpoint", "\"\"", "name a file or a folder")
    }
}
