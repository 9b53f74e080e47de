//! What a network has learned, in numbers: its mixture and its features.
//!
//! ```text
//! images ─▶ vectors ─▶ assignment ─▶ mixture (agreement, ease, distribution, unique)
//!               └────▶ features (spectrum)
//! ```
//!
//! Everything here is a pure function of weights and images, equal in every bit for any number of
//! threads. `docs/analysis.md` says what each number means to a reader.

pub mod agreement;
pub mod assignment;
pub mod distribution;
pub mod ease;
pub mod features;
pub mod mixture;
pub mod vectors;

pub use crate::geometry::{spectrum, unique};
