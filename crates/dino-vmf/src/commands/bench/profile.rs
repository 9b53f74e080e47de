//! The table of `bench step --profile`: where a step's time goes, and how near the machine's limits.

use std::time::Duration;

use engine::pool::Usage;
use engine::profile::{Peaks, Total};

use crate::console::Console;

/// Prints what `steps` steps, `elapsed` long together, spent in each operation, longest first.
pub(super) fn show(
    console: &mut Console,
    mut totals: Vec<(&'static str, Total)>,
    peaks: Peaks,
    (steps, elapsed): (u32, Duration),
) {
    totals.sort_by_key(|(_, total)| std::cmp::Reverse(total.time));
    let threads = rayon::current_num_threads();
    console.note(format!(
        "{threads} threads reach {:.0} GFLOP/s in registers and {:.1} GB/s in memory",
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
        console.note(row(name, &total, peaks, (steps, elapsed)));
    }
    let rest = Total { time: elapsed.saturating_sub(measured), ..Total::default() };
    console.note(row("everything else", &rest, peaks, (steps, elapsed)));
}

/// Prints how much memory tensors took.
pub(super) fn show_memory(console: &mut Console, usage: Usage) {
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let (peak, reserved) = (mib(usage.peak), mib(usage.reserved));
    console.note(format!("tensors: {peak:.0} MiB at most at once, {reserved:.0} MiB held"));
}

fn row(name: &str, total: &Total, peaks: Peaks, (steps, elapsed): (u32, Duration)) -> String {
    let seconds = total.time.as_secs_f64().max(1e-9);
    let rate = |done: f64, peak: f64, unit: f64| {
        if done == 0.0 {
            return format!("{:>8}{:>8}", "", "");
        }
        let rate = done / seconds;
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
