//! What can go wrong, in one sentence each.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything this crate can report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting outside its range.
    #[error("{name} is {found}, but must {needed}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it must do.
        needed: &'static str,
    },
    /// Fewer training images than a step needs.
    #[error(
        "there are {images} training images, but one step needs {batch_size}: give a smaller batch size"
    )]
    TooFewImages {
        /// Training images with a label.
        images: usize,
        /// Images of a step.
        batch_size: usize,
    },
    /// No test image with a label.
    #[error("{data} has no image with a label to test with")]
    NoTestImages {
        /// The source.
        data: String,
    },
    /// A value that nothing can be computed with.
    #[error(
        "{what} is {value} in step {step}, so training ends there; {}; a lower learning rate or `clip` usually helps",
        kept(saved)
    )]
    NotFinite {
        /// Loss, or the name of the gradient.
        what: String,
        /// Its value.
        value: f64,
        /// The step, from 1.
        step: u64,
        /// The step of the newest checkpoint and the folder, if there is one.
        saved: Option<(u64, PathBuf)>,
    },
    /// The folder for results has a fine-tuning in it.
    #[error("`{}` is not empty: continue it by `--resume`, or name another folder", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has something in it, and no fine-tuning.
    #[error("`{}` is not empty and holds no fine-tuning: name another folder", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// What is continued was started with other images.
    #[error(
        "the {what} images or their labels are not those that `{}` was started with: give the same, or start again in \
         another folder",
        path.display()
    )]
    OtherImages {
        /// `training` or `test`.
        what: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// The folder is used by another process.
    #[error("`{}` is used by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to continue.
    #[error("`{}` has no fine-tuning to continue", path.display())]
    NothingToResume {
        /// The folder.
        path: PathBuf,
    },
    /// What is continued was started differently.
    #[error("`{}` was started with {key} {before}, not {now}: start again in another folder", path.display())]
    Differs {
        /// The folder.
        path: PathBuf,
        /// What differs.
        key: String,
        /// Its value at the start.
        before: String,
        /// Its value now.
        now: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// A verb, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A checkpoint.
    #[error("{0}")]
    Checkpoint(#[from] dino::checkpoint::Error),
    /// The machine, or a checkpoint's settings.
    #[error("{0}")]
    Dino(#[from] dino::error::Error),
    /// The test images.
    #[error("{0}")]
    Probe(#[from] probe::Error),
    /// The training images.
    #[error("{0}")]
    Data(#[from] multicrop::Error),
}

fn kept(saved: &Option<(u64, PathBuf)>) -> String {
    match saved {
        None => "nothing was saved before".to_owned(),
        Some((step, path)) => {
            format!("the state after step {step} is kept in `{}`", path.display())
        }
    }
}

/// Turns an error of the system into one that names the file.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}
