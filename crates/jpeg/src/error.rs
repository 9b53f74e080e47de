//! Why a JPEG cannot be decoded.

/// Why a JPEG cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes break the standard in a way that leaves no image, or end too early.
    #[error("{0}")]
    Damaged(String),
    /// A JPEG process that this crate does not decode.
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
