//! The error type of this crate.

/// Why a JPEG cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes violate the standard and cannot be repaired, or end too early.
    #[error("{0}")]
    Damaged(String),
    /// The file uses a JPEG process that this crate does not support.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged(reason.into())
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    /// The bytes end before the last block.
    #[cold]
    pub(crate) fn truncated() -> Self {
        Self::damaged("the JPEG data end too early")
    }
}
