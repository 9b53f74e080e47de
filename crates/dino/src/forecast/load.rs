//! [`Load`]: how busy other programs keep the machine on which times are measured.

use std::{fs, thread};

use serde::Serialize;

/// Cores of the machine, and how many programs want one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Cores that this process may use.
    pub cores: usize,
    /// Mean number of threads that ran or waited for a core in the last minute, by the system; `None` if it is
    /// not known.
    pub wanted: Option<f64>,
}

impl Load {
    pub(super) fn now() -> Self {
        let text = fs::read_to_string("/proc/loadavg").ok();
        let wanted = text.as_deref().and_then(|text| text.split_whitespace().next()?.parse().ok());
        Self { cores: cores(), wanted }
    }

    /// Whether there were not enough cores for `threads` threads beside other programs.
    pub fn is_busy(&self, threads: usize) -> bool {
        // What a desktop needs in the mean is no other program.
        const IDLE: f64 = 0.5;
        let left = self.cores.saturating_sub(threads) as f64;
        self.wanted.is_some_and(|wanted| wanted > left + IDLE)
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_busy_when_other_programs_want_the_cores_of_the_threads() {
        let busy = |wanted, threads| Load { cores: 4, wanted }.is_busy(threads);
        assert!(!busy(Some(0.4), 4));
        assert!(busy(Some(1.0), 4));
        assert!(!busy(Some(3.0), 1));
        assert!(busy(Some(4.0), 1));
        assert!(!busy(None, 4));
    }
}
