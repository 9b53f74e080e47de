//! `Error` lists what can go wrong with a checkpoint.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// A checkpoint could not be written or read, or its content is wrong.
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
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The disk is full.
    #[error("no space left for checkpoint `{}`, which needs {:.1} MiB", path.display(), *bytes as f64 / 1048576.0)]
    DiskFull {
        /// The checkpoint.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The state could not be serialized.
    #[error("cannot write the state of `{}`: {source}", path.display())]
    State {
        /// The checkpoint.
        path: PathBuf,
        /// What the serializer says.
        source: serde_json::Error,
    },
    /// The bytes are not those of a checkpoint, or not those that were written.
    #[error("`{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
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
    /// The checkpoint has a layout that this version does not know.
    #[error("`{}` has layout {found}, but this version reads {known}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The version of its layout.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// All checkpoints of a run are damaged.
    #[error("none of the {count} checkpoints in `{}` can be used; the newest: {newest}", path.display())]
    NoneValid {
        /// The folder of checkpoints.
        path: PathBuf,
        /// How many there are.
        count: usize,
        /// What is wrong with the newest.
        newest: String,
    },
    /// The file lacks a tensor of the model.
    #[error("tensor `{name}` is missing in `{}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The file has tensors that the model does not have.
    #[error("`{}` has {count} unknown tensors, the first is `{name}`", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first of them in alphabetical order.
        name: String,
    },
    /// A tensor has another shape than in the model.
    #[error("tensor `{name}` is {found:?} in `{}`, but {expected:?} in this model", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape in the model.
        expected: Vec<usize>,
        /// Its shape in the file.
        found: Vec<usize>,
    },
    /// A tensor has another type than f32.
    #[error("tensor `{name}` is {found} in `{}`, but F32 is needed", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
}

impl Error {
    /// Whether the checkpoint is damaged, so that an older one must be used. A file that the system cannot
    /// read now, or that a newer version wrote, may be whole.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Read { source, .. } => matches!(
                source.kind(),
                ErrorKind::NotFound
                    | ErrorKind::NotADirectory
                    | ErrorKind::IsADirectory
                    | ErrorKind::UnexpectedEof
            ),
            Self::Write { .. } | Self::DiskFull { .. } | Self::Format { .. } => false,
            _ => true,
        }
    }

    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Shape { .. } | Self::Missing { .. } | Self::Unknown { .. } => {
                "pass the `config.toml` that lies beside the checkpoint"
            }
            Self::DiskFull { .. } => {
                "all earlier checkpoints are whole; make room, then go on with `--resume`"
            }
            Self::Damaged { .. } => "an interrupted copy leaves a short file; copy it again",
            Self::NoneValid { .. } => "start again in another folder with `--out`",
            Self::Format { .. } => "use the version that wrote it",
            Self::Read { .. } if !self.is_damage() => {
                "it may be whole: make it readable and try again, or move this checkpoint elsewhere \
                 to use the one before it"
            }
            Self::NotFinite { .. } => {
                "training diverged before it was saved; use an earlier checkpoint, or train with a \
                 lower `--set optim.lr=…`"
            }
            Self::Read { .. } | Self::Write { .. } | Self::State { .. } | Self::Dtype { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}
