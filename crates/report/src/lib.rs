//! What a run reports: its metrics, the files that hold them, and the parts that pages consist of.
//!
//! ```text
//! Metric, Metrics ─▶ MetricsWriter ─▶ JsonLines    metrics.jsonl
//!                         └─────────▶ EventFile    TensorBoard
//! metrics.jsonl ─▶ History ─▶ Series                  thinned, for plots
//! Axis, Plot ─▶ Figure, Tile, Table ─▶ Page        one HTML file that loads nothing else
//! ```
//!
//! | module | |
//! | --- | --- |
//! | [`metrics`] | the values of a training step, and the table of all metrics |
//! | [`jsonl`] | a file of JSON lines |
//! | [`history`] | what `metrics.jsonl` says about a run, in bounded memory |
//! | [`tensorboard`] | a TensorBoard event file |
//! | [`writer`] | writes metrics and other records of a run to both files |
//! | [`number`] | numbers as text |
//! | [`plot`] | plots as inline SVG |
//! | [`page`] | the parts of a page, and the page around them |
//!
//! Nothing here knows of networks, training or settings.

#![forbid(unsafe_code)]

pub mod error;
pub mod history;
pub mod jsonl;
pub mod metrics;
pub mod number;
pub mod page;
pub mod plot;
pub mod shell;
pub mod tensorboard;
pub mod writer;

pub use error::Error;
pub use history::History;
pub use jsonl::JsonLines;
pub use metrics::{Metric, Metrics};
pub use writer::MetricsWriter;
