//! `About` is what a converted file says about itself beside its tensors: origin, and what tensors do not tell.
//!
//! It is JSON: under `dino-vmf` in the metadata of safetensors, and in the member `extra/dino-vmf.json` of
//! PyTorch's zip archives, which `torch.load` passes over.

use serde::{Deserialize, Serialize};

use crate::dialect::View;

/// The key in the metadata of safetensors.
pub const KEY: &str = "dino-vmf";

/// The member of a zip archive, inside its folder.
pub const MEMBER: &str = "extra/dino-vmf.json";

/// Longest text that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// Origin of a file, and the settings of its network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The program that wrote it, with its version.
    pub program: String,
    /// The format that it was written in, as `--to` names it.
    pub format: String,
    /// The file that it was made from.
    pub source: String,
    /// What that was: its format, and its step or epoch.
    pub origin: String,
    /// Which weights of it: `teacher`, `student` and so on.
    pub weights: String,
    /// Attention heads.
    pub heads: Option<usize>,
    /// Side of the image that the position table is made for, in pixels.
    pub image_size: Option<usize>,
    /// ε of the layer norms.
    pub norm_eps: f64,
    /// Whether GELU has its tanh form.
    pub gelu_tanh: bool,
    /// Added to the number of patches when positions are resampled.
    pub position_offset: f64,
    /// Whether positions are resampled with antialiasing.
    pub position_antialias: bool,
    /// Mean of each channel of the images.
    pub mean: Option<Vec<f64>>,
    /// Standard deviation of each channel of the images.
    pub std: Option<Vec<f64>>,
    /// How evaluations see images; earlier versions did not say it.
    #[serde(default)]
    pub view: Option<View>,
}

impl About {
    /// Reads it; `None` if the text is something else.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}
