//! A checkpoint is a folder with the tensors and the state of a run:
//! `checkpoints/step-00001800/{model.safetensors,state.json}`.
//!
//! It is written under a temporary name, synced to the disk and renamed. A folder `step-…` was therefore
//! whole when it appeared. `state.json` holds the checksum of the tensors and its own; a checkpoint with one
//! wrong bit is refused, and the one before it is used. Nothing in a checkpoint depends on time, threads or
//! the order of a map: equal runs write equal bytes.

mod contents;
mod error;
mod read;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fingerprint;

pub use contents::{CenterOf, ParamSet};
pub use error::Error;
pub use read::{Loaded, Newest, Refused, Tensors, load, load_newest_valid};
pub(crate) use write::clean;
pub use write::{Retention, Tensor, save};

/// The folder of checkpoints in a run folder.
pub const FOLDER: &str = "checkpoints";
/// The file of tensors in a checkpoint.
pub const TENSORS: &str = "model.safetensors";
/// The file of everything else in a checkpoint.
pub const STATE: &str = "state.json";

const PREFIX: &str = "step-";
const TEMPORARY: &str = ".tmp-";
const REPLACED: &str = ".old-";
const FORMAT: u32 = 1;

/// Everything in a checkpoint that is not a tensor. The position in the data follows from `step`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of this layout.
    format: u32,
    /// Version of the library that wrote it.
    library: String,
    /// Optimizer steps done. The next step has this number, because steps count from 0.
    pub step: u64,
    /// Seed of the run.
    pub seed: u64,
    /// [`Config::fingerprint`](crate::config::Config::fingerprint) of the run.
    pub config: String,
    /// Updates of each tensor so far, for AdamW's bias correction.
    pub optimizer_steps: BTreeMap<String, u64>,
    /// Further values by name, such as the settings of the run.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// SHA-256 of `model.safetensors`, in hexadecimal; [`save`] sets it.
    tensors_sha256: String,
    /// SHA-256 of this state with this field empty; [`save`] sets it.
    checksum: String,
}

impl State {
    /// A state without optimizer steps and extras.
    pub fn new(step: u64, seed: u64, config: String) -> Self {
        Self {
            format: FORMAT,
            library: env!("CARGO_PKG_VERSION").to_owned(),
            step,
            seed,
            config,
            optimizer_steps: BTreeMap::new(),
            extra: BTreeMap::new(),
            tensors_sha256: String::new(),
            checksum: String::new(),
        }
    }

    /// Version of the library that wrote it.
    pub fn library(&self) -> &str {
        &self.library
    }

    /// SHA-256 of `model.safetensors` beside it, in hexadecimal.
    pub fn tensors_sha256(&self) -> &str {
        &self.tensors_sha256
    }

    /// The bytes of `state.json`, checksum included.
    fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut state = Self { checksum: String::new(), ..self.clone() };
        state.checksum = fingerprint::of(&serde_json::to_vec_pretty(&state)?);
        let mut bytes = serde_json::to_vec_pretty(&state)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The folder of the checkpoint at `step` of the run in `run`.
pub fn path_of(run: &Path, step: u64) -> PathBuf {
    run.join(FOLDER).join(format!("{PREFIX}{step:08}"))
}

/// Steps of all checkpoints of the run in `run`, whole or damaged, ascending. A run without a folder of
/// checkpoints has none.
///
/// # Errors
/// If the folder cannot be listed.
pub fn steps(run: &Path) -> Result<Vec<u64>, Error> {
    let folder = run.join(FOLDER);
    let list = |source| Error::Read { path: folder.clone(), source };
    let mut steps = Vec::new();
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(steps),
        entries => entries.map_err(list)?,
    };
    for entry in entries {
        let name = entry.map_err(list)?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some(step) = digits.and_then(|digits| digits.parse().ok())
            && path_of(run, step).file_name() == Some(&name)
        {
            steps.push(step);
        }
    }
    steps.sort_unstable();
    Ok(steps)
}
