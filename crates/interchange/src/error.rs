//! `Error` lists what can go wrong with a file of another program.

use std::io;
use std::path::{Path, PathBuf};

use crate::dialect::Differences;

/// A checkpoint is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no checkpoint of any known format.
    #[error("`{}` is no checkpoint: {found}", path.display())]
    NoCheckpoint {
        /// The file or folder.
        path: PathBuf,
        /// What it is, or how it starts.
        found: String,
    },
    /// The bytes are not those that were written.
    #[error("`{}` is damaged: {place}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The tensor, the member of the archive, or the byte.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// A pickle names code.
    #[error("`{}` refers to `{name}` at byte {offset} of its pickle, which is code; only tensors and plain data are read", path.display())]
    Code {
        /// The file.
        path: PathBuf,
        /// The class or function.
        name: String,
        /// Where it is named.
        offset: usize,
    },
    /// The file is whole, but holds what this program does not read.
    #[error("`{}` has {what}, which this program does not read", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it has.
        what: String,
    },
    /// A tensor has values that are no weights.
    #[error("tensor `{name}` in `{}` is {found}, but weights are F16, BF16, F32 or F64", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// A tensor holds NaN or infinity.
    #[error("tensor `{name}` in `{}` has the value {value}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its first value that is not finite.
        value: f32,
    },
    /// The file has no weights of a vision transformer.
    #[error("`{}` has no weights of a vision transformer: {found}", path.display())]
    NoNetwork {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: String,
    },
    /// A tensor that is needed is not there.
    #[error("`{}` has no tensor `{name}`, which cannot be left out", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// This program's name of the tensor.
        name: String,
    },
    /// Another program cannot hold the network.
    #[error("the format `{target}` cannot hold the network of `{}`, which has {reasons}", path.display())]
    NotExpressible {
        /// The file that was to be converted.
        path: PathBuf,
        /// The format that was asked for.
        target: String,
        /// What it cannot hold.
        reasons: String,
        /// A format that can, if there is one.
        instead: Option<String>,
    },
    /// A value is too large for the type that was asked for.
    #[error("tensor `{name}` has the value {value}, which {dtype} cannot hold")]
    TooLarge {
        /// The tensor, by its name in the new file.
        name: String,
        /// Its first value that is too large.
        value: f32,
        /// The type.
        dtype: String,
    },
    /// Tensors are missing, unexpected or have another shape.
    #[error("{}", in_words(path, format, differences))]
    Differs {
        /// The file.
        path: PathBuf,
        /// The format that it seems to have.
        format: String,
        /// The tensors.
        differences: Box<Differences>,
    },
}

/// Tensors of each kind that a message names; `checkpoint inspect` lists all.
const NAMED: usize = 4;

/// The tensors that differ, in one sentence.
fn in_words(path: &Path, format: &str, differences: &Differences) -> String {
    let Differences { missing, unexpected, misshaped } = differences;
    let quoted = |name: &String| format!("`{name}`");
    let shapes = |(name, expected, found): &(String, Vec<usize>, Vec<usize>)| {
        format!("`{name}` ({found:?} instead of {expected:?})")
    };
    let kinds = [
        ("missing", missing.iter().map(quoted).collect::<Vec<_>>()),
        ("unexpected", unexpected.iter().map(quoted).collect()),
        ("mis-shaped", misshaped.iter().map(shapes).collect()),
    ];
    let list = |(kind, names): &(&str, Vec<String>)| {
        let rest = names.len().saturating_sub(NAMED);
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        format!("{kind}: {}{more}", names[..names.len() - rest].join(", "))
    };
    let kinds: Vec<_> = kinds.iter().filter(|(_, names)| !names.is_empty()).map(list).collect();
    format!("`{}` does not fit a {format}: {}", path.display(), kinds.join("; "))
}

impl Error {
    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Damaged { .. } => "an interrupted copy leaves a short file; copy it again",
            Self::Code { .. } => {
                "if you trust the file, save its weights alone, in Python: \
                 `torch.save(torch.load(FILE, weights_only=False)[\"teacher\"], \"weights.pth\")`"
            }
            Self::NoCheckpoint { .. } => {
                "PyTorch files (.pth, .pt, .bin) and safetensors are read, and Hugging Face folders with them"
            }
            Self::Differs { .. } => "`dino-vmf checkpoint inspect FILE` lists all of them",
            Self::NotFinite { .. } => {
                "training diverged before it was saved; use an earlier checkpoint"
            }
            Self::NotExpressible { instead, .. } => {
                return instead.as_ref().map(|other| format!("`--to {other}` can hold it"));
            }
            Self::TooLarge { .. } => "`--dtype bf16` has the range of f32",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
