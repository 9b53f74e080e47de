//! From this program's names to those of another: which tensors a file has, and where their values come from.
//!
//! | target | the file | what it cannot hold |
//! | --- | --- | --- |
//! | DINO | `blocks.0.attn.qkv.weight` | layer scale, registers, SwiGLU, GELU by tanh, another ε than 1e-6 |
//! | iBOT | the same, and `gamma_1` | registers, SwiGLU, GELU by tanh, another ε than 1e-6 |
//! | timm | the same, `ls1.gamma`, `reg_token` | nothing |
//! | Hugging Face | the names of `ViTModel`, `Dinov2Model` or `Dinov2WithRegistersModel` | MLPs of some widths |
//! | this program | its own names | nothing |
//!
//! A [`Layout`] is a plan. It has no values: [`Values::resolve`] asks for them by this program's names.

mod hugging_face;
mod layout;
mod refuse;
mod timm;
mod training;

use std::fmt;

pub use hugging_face::{Model, config, preprocessor};
pub use layout::{Layout, Placed, Values};
pub use training::{GroupMember, groups_of_adamw};

use crate::about::About;
use crate::dialect::{Gelu, Heads, Mlp, Network};

/// A program that a file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The DINO project.
    Dino,
    /// The iBOT project.
    Ibot,
    /// timm.
    Timm,
    /// The transformers library of Hugging Face.
    HuggingFace,
    /// This program's names, in safetensors.
    Own,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dino => "dino",
            Self::Ibot => "ibot",
            Self::Timm => "timm",
            Self::HuggingFace => "hf",
            Self::Own => "safetensors",
        })
    }
}

impl Target {
    /// All of them, in the order in which a refusal looks for another one.
    pub const ALL: [Self; 5] = [Self::Timm, Self::HuggingFace, Self::Ibot, Self::Dino, Self::Own];

    /// The tensors of a backbone for this program.
    ///
    /// # Errors
    /// What of the network it cannot hold, each in a few words.
    pub fn layout(self, network: &Network) -> Result<Layout, Vec<String>> {
        let reasons = refuse::reasons(self, network);
        if reasons.is_empty() { Ok(Layout::of(self, network)) } else { Err(reasons) }
    }

    /// How the program resamples positions for images of another size: what it adds to the number of patches, and
    /// whether with antialiasing. `None` if it does so as the file says.
    pub fn resampling(self, network: &Network) -> Option<(f64, bool)> {
        match self {
            Self::Dino | Self::Ibot => Some((0.1, false)),
            Self::Timm => Some((0.0, true)),
            Self::HuggingFace => Some((0.0, Model::of(network) == Model::Dinov2WithRegisters)),
            Self::Own => None,
        }
    }

    /// The line of Python that opens the file, for people to paste.
    pub fn python(self, network: &Network, path: &str) -> String {
        let path = serde_json::Value::from(path).to_string(); // quoted and escaped
        match self {
            Self::Dino | Self::Ibot => training::python(self, network, &path),
            Self::Timm => timm::python(network, &path),
            Self::HuggingFace => format!(
                "transformers.AutoModel.from_pretrained({path}), \
                 transformers.AutoImageProcessor.from_pretrained({path})"
            ),
            Self::Own => format!("safetensors.torch.load_file({path})"),
        }
    }
}

/// The number of heads. Networks without one are refused before.
fn heads(network: &Network) -> usize {
    match network.heads {
        Heads::Known(heads) | Heads::Assumed(heads) => heads,
        Heads::Unknown => 1,
    }
}

/// Width of the hidden layer of the MLPs.
fn hidden(network: &Network) -> usize {
    match network.mlp {
        Mlp::Gelu { hidden, .. } | Mlp::SwiGlu { hidden } => hidden,
    }
}

/// The quotient of an MLP's width and the network's from which Python computes that width again, by
/// `int(embed_dim * ratio)`.
fn ratio(width: usize, embed_dim: usize) -> f64 {
    let ratio = width as f64 / embed_dim as f64;
    let is_exact = (embed_dim as f64 * ratio) as usize == width;
    if is_exact { ratio } else { (width as f64 + 0.5) / embed_dim as f64 }
}

impl About {
    /// The settings of a network. The origin is empty.
    pub fn of(target: Target, network: &Network) -> Self {
        let (mean, std) = network.pixels.clone().unzip();
        Self {
            program: concat!("dino-vmf ", env!("CARGO_PKG_VERSION")).to_owned(),
            format: target.to_string(),
            source: String::new(),
            origin: String::new(),
            weights: String::new(),
            heads: Some(heads(network)),
            image_size: network.image_size(),
            norm_eps: network.norm_eps,
            gelu_tanh: matches!(network.mlp, Mlp::Gelu { gelu: Gelu::Tanh, .. }),
            position_offset: network.position_offset,
            position_antialias: network.antialias,
            mean,
            std,
            view: network.view,
        }
    }
}
