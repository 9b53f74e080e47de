//! The flag `--threads`.

use anyhow::Result;
use clap::Args;

use super::{thread_count, use_threads};

/// Compute threads of a command.
#[derive(Debug, Args)]
pub(crate) struct Threads {
    /// Compute threads; 0 uses all cores. Results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// The operating system cannot.
    pub(crate) fn start(&self) -> Result<()> {
        use_threads(self.threads)
    }
}
