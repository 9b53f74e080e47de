//! A [`View`] shows the events of a run as lines of JSON, progress and notes.

use dino::monitor::Alarm;
use dino::trainer::{Event, Headline, ProbeRecord, Started, StepRecord, Summary};
use report::Metric;
use serde_json::json;

use crate::commands::viewing::show_images;
use crate::console::{Console, Progress};

/// Share of the time spent waiting for images above which the progress line reports it.
const SLOW_DATA: f64 = 0.05;

/// Steps after which the speed is stable enough to predict the duration of a run.
const PACE_IS_KNOWN: u64 = 3;
/// Duration in seconds, one week, above which a run gets a warning.
const LONG: f64 = 7.0 * 86_400.0;

/// Shows a run on the console.
pub(super) struct View<'a> {
    console: &'a mut Console,
    batch_size: usize,
    total_steps: u64,
    first_step: bool,
    /// Steps shown so far.
    steps: u64,
    /// Names of the alarms that are raised and not cleared.
    alarms: Vec<&'static str>,
}

impl<'a> View<'a> {
    pub(super) fn new(console: &'a mut Console, batch_size: usize) -> Self {
        Self { console, batch_size, total_steps: 0, first_step: true, steps: 0, alarms: Vec::new() }
    }

    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Warning(text) => {
                self.console.event("warning", &json!({ "text": text }));
                self.console.warn(text);
            }
            Event::Started(started) => self.show_start(started),
            Event::Step(record) => self.show_step(record),
            Event::Skipped { step, reason } => {
                self.console.event("skipped", &json!({ "step": step, "reason": reason }));
                self.console.warn(format!("step {step} is skipped: {reason}"));
            }
            Event::Alarm(alarm) => self.show_alarm(alarm),
            Event::Diagnostics(found) => self.console.event("diagnostics", found),
            Event::Evaluating { what, done, total } => {
                show_images(self.console, "k-NN", (*done, *total), in_words(what));
            }
            Event::Scores(record) => self.show_scores(record),
            Event::Checkpoint { path, step } => {
                self.console.event(
                    "checkpoint",
                    &json!({ "step": step, "path": path.display().to_string() }),
                );
            }
            _ => {}
        }
    }

    fn show_start(&mut self, started: &Started) {
        self.total_steps = started.total_steps;
        self.console.event("started", started);
        let Started { run, step, total_steps, data, images, crops, threads, .. } = started;
        let (run, batch) = (run.display(), self.batch_size);
        let millions = started.parameters as f64 / 1e6;
        self.console.note(format!(
            "{run}: {images} images ({data}), {total_steps} steps of {batch} images x {crops} \
             crops, {millions:.2} M parameters, {threads} threads"
        ));
        if *step > 0 {
            self.console.note(format!("resuming after step {step}"));
        }
    }

    fn show_step(&mut self, record: &StepRecord) {
        self.console.event("step", record);
        let left = self.total_steps.saturating_sub(record.step);
        let always = self.first_step || left == 0;
        self.first_step = false;
        let value = |metric| record.metrics.value(metric);
        let rate = value(Metric::ImagesPerSecond);
        let seconds = (left * self.batch_size as u64) as f64 / rate.max(1e-9);
        self.steps += 1;
        if self.steps == PACE_IS_KNOWN {
            too_long(seconds).into_iter().for_each(|warning| self.console.warn(warning));
        }
        let wait = match value(Metric::DataWaitShare) {
            share if share < SLOW_DATA => String::new(),
            share => format!("  {:.0} % waiting for images, try more `--workers`", 100.0 * share),
        };
        let alarms = self.alarms.iter().map(|name| format!("  {name}!")).collect::<String>();
        let text = format!(
            "{alarms}  epoch {}  loss {:.3}  entropy {:.3}  {rate:.0} images/s  {} left{wait}",
            value(Metric::Epoch) + 1.0,
            value(Metric::Loss),
            value(Metric::TeacherEntropy),
            duration(seconds),
        );
        let (done, total) = (record.step, self.total_steps);
        self.console.progress(&Progress { what: "step", done, total, text }, always);
    }

    fn show_alarm(&mut self, alarm: &Alarm) {
        self.console.event("alarm", alarm);
        let name = alarm.kind.name();
        if alarm.raised {
            self.alarms.push(name);
            self.console.warn(alarm);
        } else {
            self.alarms.retain(|other| *other != name);
            self.console.note(alarm);
        }
    }

    fn show_scores(&mut self, record: &ProbeRecord) {
        self.console.end_progress();
        self.console.event(record.probe, record);
        if let Some(Headline { title, setting, score, .. }) = record.headline {
            let (features, step) = (in_words(record.features), record.step);
            let setting = setting.map(|(name, value)| format!(" ({name} = {value})"));
            self.console.note(format!(
                "{title} of {features} at step {step}: {:.2} {} {}{}",
                score.value,
                sign(score.unit),
                score.title,
                setting.unwrap_or_default()
            ));
        }
    }

    /// Prints the summary of the run.
    pub(super) fn conclude(self, summary: &Summary) {
        let console = self.console;
        console.end_progress();
        let run = summary.run.display();
        if summary.interrupted {
            console.note(format!(
                "interrupted after step {}; `dino-vmf pretrain --resume {run}` continues the run",
                summary.steps
            ));
        }
        for found in summary.probes.values().flatten() {
            let Headline { title, score, .. } = found.headline;
            console.text(format!("{title} {}, {}", score.title, score.unit));
            for (name, value) in
                [("raw", found.raw), ("untrained", found.untrained), ("trained", found.trained)]
            {
                console.text(format!("  {:<18}{value:6.2}", in_words(name)));
            }
        }
        console.text(format!("run folder: {run}"));
        console.event("summary", summary);
    }
}

/// Features in words.
fn in_words(features: &str) -> &str {
    match features {
        "raw" => "raw pixels",
        "untrained" => "untrained network",
        "trained" => "trained network",
        other => other,
    }
}

/// A unit as it is written behind a number.
fn sign(unit: &str) -> &str {
    if unit == "percent" { "%" } else { unit }
}

/// The warning for a run that will take `seconds`, if it is too long.
fn too_long(seconds: f64) -> Option<String> {
    (seconds >= LONG).then(|| {
        format!(
            "at this speed the run takes {:.0} days; try fewer `--epochs`, a smaller network or \
             smaller crops",
            seconds / 86_400.0
        )
    })
}

/// A duration as `3h 05m`, `4m 10s` or `9s`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {:02}s", seconds % 60),
        _ => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, too_long};

    #[test]
    fn runs_longer_than_a_week_get_a_warning() {
        assert_eq!(too_long(6.9 * 86_400.0), None);
        let warning = too_long(23.4 * 86_400.0).unwrap();
        assert!(warning.starts_with("at this speed the run takes 23 days"), "{warning}");
    }

    #[test]
    fn durations_have_two_units() {
        let texts = [0.4, 59.0, 61.0, 3600.0 * 26.0 + 61.0].map(duration);
        assert_eq!(texts, ["0s", "59s", "1m 01s", "26h 01m"]);
    }
}
