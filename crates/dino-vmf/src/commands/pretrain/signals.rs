//! Signals that save a run and end it.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXCPU};
use signal_hook::flag;

/// A flag that signals set; a second SIGINT or SIGTERM leaves at once.
pub(super) fn stop_on_signals() -> io::Result<Arc<AtomicBool>> {
    let (stop, leave) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM] {
        // In this order, so that the first signal does not find its own mark.
        flag::register_conditional_shutdown(signal, 130, leave.clone())?;
        flag::register(signal, leave.clone())?;
        flag::register(signal, stop.clone())?;
    }
    for signal in [SIGUSR1, SIGXCPU] {
        flag::register(signal, stop.clone())?;
    }
    // A terminal that closes may send it twice, so a second one does not leave at once.
    if !is_ignored(SIGHUP) {
        flag::register(SIGHUP, stop.clone())?;
    }
    Ok(stop)
}

/// Whether the program was started with this signal ignored, as `nohup` does it for SIGHUP. Where the
/// system does not say, it counts as ignored, so that `nohup` is never overruled.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & (1 << (signal - 1)) != 0)
}
