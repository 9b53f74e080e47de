//! What a source holds and does not give out as an image.

use std::fmt;

/// One kind of things that were left out, counted and shown by an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub count: usize,
    /// What they are and why they are left out, in the plural: `files in folders beside the parts`.
    pub what: String,
    /// The name of one of them.
    pub example: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (for example `{}`)", self.count, self.what, self.example)
    }
}
