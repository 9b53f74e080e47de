//! The result of `bench step`, as text and as a JSON line. Its fields are those of the PyTorch script that it
//! is compared with.

use std::env::consts::ARCH;
use std::fs;
use std::time::Duration;

use dino::config::{Config, keys};
use dino::trainer::step::Times;
use report::number::counted;
use serde::Serialize;

use crate::console::Console;

/// Setup and result of a measurement.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    #[serde(flatten)]
    pub(super) setup: Setup,
    #[serde(flatten)]
    pub(super) speed: Speed,
}

/// The settings of the measurement.
#[derive(Debug, Serialize)]
pub(super) struct Setup {
    peer: &'static str,
    version: &'static str,
    device: String,
    threads: usize,
    method: String,
    arch: String,
    patch: usize,
    batch: usize,
    crops: String,
    k: usize,
    precision: String,
    drop_path: f64,
}

impl Setup {
    pub(super) fn of(config: &Config, threads: usize) -> Self {
        let (model, data) = (&config.model, &config.data);
        let Config { optim, .. } = config;
        Self {
            peer: "dino-vmf",
            version: env!("CARGO_PKG_VERSION"),
            device: format!("cpu {ARCH}"),
            threads,
            method: name_of("objective.method", config),
            arch: name_of("model.arch", config),
            patch: model.patch_size,
            batch: optim.batch_size,
            crops: format!("2x{}+{}x{}", data.global_size, data.local_crops, data.local_size),
            k: model.prototypes,
            precision: name_of("model.precision", config),
            drop_path: model.drop_path,
        }
    }
}

/// The name that is the value of the setting `key`.
pub(super) fn name_of(key: &str, config: &Config) -> String {
    let value = keys::find(key).and_then(|key| key.value_in(config));
    value.unwrap_or_default().trim_matches('"').to_owned()
}

impl Record {
    /// Prints the result for people.
    pub(super) fn print(&self, console: &mut Console) {
        let Self { setup, speed } = self;
        let Setup { method, arch, patch, batch, crops, k, precision, threads, .. } = setup;
        let seconds = speed.s_per_step_median;
        console.text(format!(
            "{seconds:.3} s per step, {:.2} images/s: {method}, {arch}/{patch}, {precision}, {batch} \
             images of {crops} crops, K {k}, {}",
            speed.img_per_s,
            counted(*threads, "thread")
        ));
        let Breakdown { teacher_forward, student_forward, loss, backward, clip_and_adamw, ema } =
            &speed.breakdown_s;
        for (part, time) in [
            ("teacher", teacher_forward),
            ("student", student_forward),
            ("loss", loss),
            ("backward pass", backward),
            ("clipping and AdamW", clip_and_adamw),
            ("update of the teacher", ema),
        ] {
            console.text(format!("{time:10.3} s {part}"));
        }
        if let Some(memory) = speed.peak_rss_mib {
            console.text(format!("{memory:6} MiB of memory at the peak"));
        }
    }
}

/// The measured times.
#[derive(Debug, Serialize)]
pub(super) struct Speed {
    s_per_step_median: f64,
    s_per_step: Vec<f64>,
    img_per_s: f64,
    peak_rss_mib: Option<u64>,
    breakdown_s: Breakdown,
    losses: Vec<f64>,
}

/// Mean time of the parts of a step, in seconds.
#[derive(Debug, Serialize)]
struct Breakdown {
    teacher_forward: f64,
    student_forward: f64,
    loss: f64,
    backward: f64,
    clip_and_adamw: f64,
    ema: f64,
}

impl Speed {
    /// Summarizes the timed steps of `images` images each.
    pub(super) fn of(images: usize, times: &[(Duration, Times)], losses: &[f64]) -> Self {
        let seconds: Vec<_> = times.iter().map(|(time, _)| time.as_secs_f64()).collect();
        let median = median(&seconds);
        Self {
            s_per_step_median: rounded(median, 4),
            s_per_step: seconds.iter().map(|time| rounded(*time, 4)).collect(),
            img_per_s: rounded(images as f64 / median.max(1e-9), 3),
            peak_rss_mib: peak_rss_mib(),
            breakdown_s: Breakdown::of(times),
            losses: losses.iter().map(|loss| rounded(*loss, 5)).collect(),
        }
    }
}

impl Breakdown {
    fn of(times: &[(Duration, Times)]) -> Self {
        let mean = |part: fn(&Times) -> Duration| {
            let sum: Duration = times.iter().map(|(_, times)| part(times)).sum();
            rounded(sum.as_secs_f64() / times.len().max(1) as f64, 4)
        };
        Self {
            teacher_forward: mean(|times| times.teacher_forward),
            student_forward: mean(|times| times.student_forward),
            loss: mean(|times| times.objective),
            backward: mean(|times| times.backward),
            clip_and_adamw: mean(|times| times.optimizer),
            ema: mean(|times| times.teacher_update),
        }
    }
}

/// The median: the middle value, or the mean of the middle two.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |i: usize| sorted.get(i).copied().unwrap_or(0.0);
    let (len, half) = (sorted.len(), sorted.len() / 2);
    if len % 2 == 1 { middle(half) } else { (middle(half.saturating_sub(1)) + middle(half)) / 2.0 }
}

/// `value` rounded to `digits` decimal digits.
pub(super) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// The peak memory of this process in MiB. None on systems other than Linux.
pub(super) fn peak_rss_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some((kib + 512) / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn peak_memory_is_known_on_linux() {
        assert_eq!(peak_rss_mib().is_some(), cfg!(target_os = "linux"));
    }
}
