//! Mistakes in the command line that are seen only after it is parsed.

/// What is wrong with a flag or an argument, in one sentence. The program ends with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);
