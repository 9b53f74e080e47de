//! A `Probe` judges frozen features: it gets those of training and of test images and returns scores.
//!
//! ```text
//! Subset ─▶ Pass ─▶ Source ─▶ Features ─▶ Probe ─▶ Scores
//! images    batches  a network  rows and    k-NN      top-1, top-5
//!                    or pixels  labels
//! ```
//!
//! [`Pass`] is the only loop over images: evaluations and analyses share it. It leaves out images that
//! cannot be read and counts them.
//!
//! A new probe is one file with a type that implements [`Probe`], and one line in `list.rs`. Training,
//! `eval` and `--json` then report its scores by their names.

mod definition;
mod evaluation;
pub mod knn;
mod list;
mod pass;
mod preprocess;
mod progress;
mod source;
mod subset;

pub use definition::{Features, Probe, Score, Scores};
pub use evaluation::{Evaluation, Judged, Judgment, open_labelled};
pub use list::all;
pub use pass::{Chunk, Extracted, Pass, Passed, Views};
pub use preprocess::Preprocess;
pub use progress::Progress;
pub use source::{Encoder, Kind, RawPixels, Source, Wanted};
pub use subset::Subset;
