//! What can go wrong when features are written, in one sentence each.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything this crate can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that does not say the format.
    #[error("`{}` must end in .npy, .safetensors or .parquet, which says the format", .path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// A NumPy file is one array.
    #[error(
        "a .npy file holds one kind of features, and {found} are asked for: write .safetensors or .parquet, \
         or one .npy file for each"
    )]
    OneArray {
        /// Kinds that are asked for.
        found: usize,
    },
    /// The file is there already.
    #[error("`{}` exists already: remove it, or choose another --out", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes the same file.
    #[error("another process writes `{}`: wait for it, or choose another --out", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Another file has the name of the table of names and labels.
    #[error(
        "`{}` exists already, is not of these images, and would be the table of names beside `{}`: remove it, or choose \
         another --out",
        .path.display(),
        .out.display()
    )]
    TableExists {
        /// The table.
        path: PathBuf,
        /// The file of features.
        out: PathBuf,
    },
    /// The partial export in the same place is one of something else.
    #[error(
        "`{}` has the beginning of another export ({what}): remove this folder, or choose another --out",
        .path.display()
    )]
    OtherExport {
        /// The folder.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// The partial export is damaged.
    #[error("`{}` is damaged: remove this folder to start again", .path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
    },
    /// A file that cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file without the features that are asked for.
    #[error("`{}` cannot be used as features: {reason}", .path.display())]
    NoFeatures {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that cannot be written.
    #[error("cannot write `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The features.
    #[error(transparent)]
    Features(#[from] probe::Error),
}

impl Error {
    /// Whether the command line is at fault, not the system or the data.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownFormat { .. } | Self::OneArray { .. })
    }
}

/// An error of the operating system, with the file's name.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Io { path: path.to_owned(), source }
}
