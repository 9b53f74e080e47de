//! Signals that stop long work after saving it.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXCPU, SIGXFSZ};
use signal_hook::flag;

/// Returns a flag that signals set. A second SIGINT or SIGTERM ends the process immediately.
///
/// # Errors
/// The system refuses a signal handler.
pub(crate) fn stop_on_signals() -> io::Result<Arc<AtomicBool>> {
    let (stop, exit_at_once) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: handlers run in it, and the first signal must not see the flag that it sets.
        flag::register_conditional_shutdown(signal, 130, exit_at_once.clone())?;
        flag::register(signal, exit_at_once.clone())?;
        flag::register(signal, stop.clone())?;
    }
    for signal in [SIGUSR1, SIGXCPU] {
        flag::register(signal, stop.clone())?;
    }
    // A closing terminal can send SIGHUP twice, so a second one must not end the process.
    if !is_ignored(SIGHUP) {
        flag::register(SIGHUP, stop.clone())?;
    }
    Ok(stop)
}

/// Makes a write beyond the limit of a file's size (`ulimit -f`) an error that says which file it is. Without this, the system
/// ends the process there.
///
/// # Errors
/// The system refuses a signal handler.
pub(crate) fn survive_large_files() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// Whether the program was started with this signal ignored, as `nohup` does for SIGHUP. True if the
/// system does not report it, so that `nohup` always works.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & (1 << (signal - 1)) != 0)
}
