//! The subcommands, and code that several of them share.

pub(crate) mod analyze;
pub(crate) mod attention;
pub(crate) mod bench;
mod candidates;
pub(crate) mod checkpoint;
mod choosing;
mod compared;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod convert;
pub(crate) mod data;
mod drawing;
pub(crate) mod duplicates;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod features;
mod forecasting;
mod histogram;
mod image_memory;
mod looking;
pub(crate) mod man;
pub(crate) mod neighbors;
mod network_role;
mod opening;
pub(crate) mod outliers;
mod output_file;
mod own_neighbors;
mod page_file;
pub(crate) mod parts;
mod pictures;
pub(crate) mod plan;
pub(crate) mod presets;
pub(crate) mod pretrain;
pub(crate) mod run_report;
mod settings;
pub(crate) mod signals;
mod table_file;
mod threads;
mod throughput;
mod viewing;
pub(crate) mod watch;

use anyhow::{Context, Result};
use report::number::counted;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The command did all of its work.
    Done,
    /// A signal stopped the command; the work done so far is saved.
    Interrupted,
}

/// Parses the value of `--threads`.
fn thread_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count <= 1024);
    count.ok_or_else(|| "must be a whole number from 0 to 1024".to_owned())
}

/// Reads a number above 0, for clap.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "must be a number above 0".to_owned())
}

/// Sets the number of compute threads; 0 uses all cores.
///
/// # Errors
/// The operating system cannot start the threads.
fn use_threads(threads: usize) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build_global().with_context(|| format!("cannot start {}", counted(threads, "thread")))
}
