//! What can go wrong in an evaluation, in one sentence each.

use std::io;
use std::path::PathBuf;

/// Somebody asked to stop: no result, and nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped on request")]
pub struct Stopped;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything this crate can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Images that were to be evaluated have no labels.
    #[error(
        "`{data}` has no labels, so no accuracy can be computed: expected a folder for each class, a list with a \
         column `label` that is not empty in all rows, or another format with labels"
    )]
    NoLabels {
        /// The source.
        data: String,
    },
    /// An image cannot be read and the evaluation needs it: in a strict evaluation, or if no image is left.
    #[error("image `{name}` of {data} cannot be evaluated: {reason}")]
    EvalImage {
        /// The image.
        name: String,
        /// The data set.
        data: String,
        /// Why.
        reason: String,
    },
    /// A class that is too small to be learned and validated.
    #[error(
        "class `{class}` has {found} of the {needed} training images that are needed: add images, or leave the class \
         out of both sets"
    )]
    SmallClass {
        /// Its name.
        class: String,
        /// Its training images.
        found: usize,
        /// How many it must have.
        needed: usize,
    },
    /// A network whose features are not finite.
    #[error("the network's features are not finite for {bad} of {all} images")]
    NonFiniteFeatures {
        /// Images with such a feature.
        bad: usize,
        /// All images.
        all: usize,
    },
    /// Features that are larger than the memory, and cannot be kept on disk either.
    #[error(
        "features cannot be kept in a file in `{folder}`: {source}; free some space, or set `TMPDIR` to another folder"
    )]
    Storage {
        /// Where temporary files lie.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An evaluation was stopped by the caller.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The source of images.
    #[error(transparent)]
    Data(#[from] multicrop::error::Error),
}

impl Error {
    /// A failure of temporary files.
    pub(crate) fn storage(source: io::Error) -> Self {
        Self::Storage { folder: on_disk::folder(), source }
    }
}
