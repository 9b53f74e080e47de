//! Flags that `bench step` and `bench objective` share.

use anyhow::Result;
use clap::Args;
use dino::config::Flag;

use crate::commands::use_threads;

/// The conditions under which steps are timed.
#[derive(Debug, Args)]
pub(super) struct Conditions {
    /// Warm-up steps, not timed
    ///
    /// The first steps are slower, because they allocate memory.
    #[arg(long, value_name = "N", default_value_t = 2, allow_negative_numbers = true)]
    pub(super) warmup: u32,
    /// Compute threads; 0 uses all cores
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    threads: i64,
}

impl Conditions {
    /// The setting that `--threads` is checked as.
    pub(super) fn threads_flag(&self) -> Flag {
        Flag { name: "--threads", key: "run.threads", value: self.threads.into() }
    }
}

/// Starts the compute threads, 0 for all cores, and returns their number.
///
/// # Errors
/// The operating system cannot start the threads.
pub(super) fn start_threads(threads: usize) -> Result<usize> {
    use_threads(threads)?;
    Ok(match threads {
        0 => dino::forecast::cores(),
        threads => threads,
    })
}
