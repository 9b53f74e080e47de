//! The table of `bench step --profile`: the time of each operation, and how close its rate is to the
//! machine's peak.

use std::time::Duration;

use engine::pool::Usage;
use engine::profile::{Peaks, Total};
use report::number::counted;

use crate::console::Console;

/// The steps that were profiled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timed {
    pub(super) steps: u32,
    /// Time of all steps together.
    pub(super) elapsed: Duration,
}

/// Prints the time that the steps spent in each operation, the longest first.
pub(super) fn print(
    console: &mut Console,
    mut totals: Vec<(&'static str, Total)>,
    peaks: Peaks,
    timed: Timed,
) {
    totals.sort_by_key(|(_, total)| std::cmp::Reverse(total.time));
    let threads = rayon::current_num_threads();
    console.note(format!(
        "with {}: {:.0} GFLOP/s in registers and {:.1} GB/s in memory",
        counted(threads, "thread"),
        peaks.flops / 1e9,
        peaks.bandwidth / 1e9
    ));
    console.note(format!(
        "{:<38}{:>8}{:>10}{:>8}{:>10}{:>8}{:>8}{:>8}",
        "operation", "calls", "ms/step", "share", "GFLOP/s", "of peak", "GB/s", "of peak"
    ));
    let mut measured = Duration::ZERO;
    for (name, total) in totals {
        measured += total.time;
        console.note(row(name, &total, peaks, timed));
    }
    let rest = Total { time: timed.elapsed.saturating_sub(measured), ..Total::default() };
    console.note(row("everything else", &rest, peaks, timed));
}

/// Prints the peak memory of tensors, and the memory that the pool holds.
pub(super) fn print_memory(console: &mut Console, usage: Usage) {
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let (peak, reserved) = (mib(usage.peak), mib(usage.reserved));
    console.note(format!("tensors: {peak:.0} MiB at the peak, {reserved:.0} MiB held by the pool"));
}

fn row(name: &str, total: &Total, peaks: Peaks, timed: Timed) -> String {
    let Timed { steps, elapsed } = timed;
    let seconds = total.time.as_secs_f64().max(1e-9);
    let rate = |work: f64, peak: f64, unit: f64| {
        if work == 0.0 {
            return format!("{:>8}{:>8}", "", "");
        }
        let rate = work / seconds;
        format!("{:8.1}{:6.0} %", rate / unit, 100.0 * rate / peak)
    };
    format!(
        "{name:<38}{:8.0}{:10.2}{:6.1} %  {}{}",
        total.calls as f64 / f64::from(steps),
        1e3 * seconds / f64::from(steps),
        100.0 * seconds / elapsed.as_secs_f64().max(1e-9),
        rate(total.work.flop, peaks.flops, 1e9),
        rate(total.work.bytes, peaks.bandwidth, 1e9),
    )
}
