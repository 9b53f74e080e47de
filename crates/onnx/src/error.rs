//! `Error` lists why no file is written.

use std::io;
use std::path::PathBuf;

/// The result of writing a file.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// No file is written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A weight that 16-bit floats cannot hold.
    #[error("weight `{name}` has the value {value}, but 16-bit floats end at 65504; write f32")]
    TooLarge {
        /// The weight.
        name: String,
        /// Its first value that is too large.
        value: f32,
    },
    /// An image without a patch.
    #[error("images of {height} x {width} pixels have no patch of {patch} x {patch}")]
    NoPatch {
        /// Pixels.
        height: usize,
        /// Pixels.
        width: usize,
        /// Side of a patch in pixels.
        patch: usize,
    },
    /// The file system.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
