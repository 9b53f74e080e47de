//! The threads that compute.

use std::error::Error as _;

use crate::config::Warning;

/// Starts this many threads for the process; 0 leaves their number to the system. Returns a warning if
/// the process computes with another number already, which cannot be changed any more.
pub(super) fn start(threads: usize) -> Option<Warning> {
    if threads == 0 {
        return None;
    }
    let started = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let reason = match started {
        Ok(()) => return None,
        // Only a thread that the system refuses has a source.
        Err(error) if error.source().is_some() => error.to_string(),
        Err(_) => "they are started already".to_owned(),
    };
    let running = rayon::current_num_threads();
    (running != threads).then(|| {
        format!("`run.threads` is {threads}, but {running} threads compute, because {reason}")
    })
}
