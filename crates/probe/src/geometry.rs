//! Measures of a set of vectors: how many dimensions they fill, and how many are not near-duplicates.
//!
//! Training uses them for its diagnostics, analysis for a whole data set.

pub mod spectrum;
pub mod unique;
