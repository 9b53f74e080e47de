//! Similar images: the nearest ones of each query, and all pairs above a threshold. Similarity is the cosine of
//! features.
//!
//! ```text
//! Rows (a Matrix, or a file) ─▶ tiles, left × right, one matrix product each ─▶ nearest, duplicates::search
//! ```
//!
//! Everything is exact: each pair is compared. Only two blocks of rows and one tile of cosines are in memory, so
//! rows may lie in a file that is larger than memory.

pub mod duplicates;
mod nearest;
mod rows;

pub use nearest::{Near, Nearest, Neighbor, nearest};
pub use rows::Rows;
