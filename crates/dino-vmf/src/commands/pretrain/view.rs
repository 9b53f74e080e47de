//! A [`View`] shows the events of a run as lines of JSON, progress and notes.

use std::time::{Duration, Instant};

use dino::monitor::Alarm;
use dino::schedule::Extended;
use dino::start::guard::{Comparison, Measure};
use dino::trainer::{Event, Headline, LONG_REST, ProbeRecord, Started, StepRecord, Summary};
use report::Metric;
use report::number::{counted, duration};
use serde_json::json;

use super::conclusion::{self, Conclusion, in_words, sign};
use crate::commands::forecasting;
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
    /// Steps done.
    done: u64,
    started: Option<Started>,
    first_step: bool,
    /// Steps shown so far.
    steps: u64,
    /// Names of the alarms that are raised and not cleared.
    alarms: Vec<&'static str>,
    task: Task,
    /// When the last thing was shown that a person sees.
    shown: Instant,
    /// Seconds of a step, by the forecast.
    expected: Option<f64>,
    stopping: bool,
}

/// What the run is doing.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// Something without progress, in words that go on after "still".
    Other(&'static str),
    /// Waiting for the images of a step.
    Loading { done: usize, total: usize },
    /// Computing a step. `left` is the time that the rest was going to take at `at`.
    Step { step: u64, share: f64, left: Option<Duration>, at: Instant },
    /// Evaluating, which shows its own progress.
    Evaluating,
}

/// Time without anything to see after which the task is shown.
const SILENCE: Duration = Duration::from_secs(2);

impl<'a> View<'a> {
    pub(super) fn new(console: &'a mut Console, batch_size: usize) -> Self {
        Self {
            console,
            batch_size,
            total_steps: 0,
            done: 0,
            started: None,
            first_step: true,
            steps: 0,
            alarms: Vec::new(),
            task: Task::Other("setting up the run"),
            shown: Instant::now(),
            expected: None,
            stopping: false,
        }
    }

    /// Shows what goes on if nothing was shown for a while, and answers a signal. Called again and again.
    pub(super) fn tick(&mut self, is_stopped: bool) {
        if is_stopped && !self.stopping {
            self.stopping = true;
            let text = self.answer();
            self.console.event("stopping", &json!({ "text": text }));
            self.console.warn(text);
        }
        if self.shown.elapsed() >= SILENCE {
            self.show_task();
        }
    }

    /// The answer to a signal.
    fn answer(&self) -> String {
        let what = match self.task {
            Task::Other(what) => format!("stopping after {what}"),
            Task::Loading { .. } => "stopping".to_owned(),
            Task::Evaluating => "stopping without the evaluation".to_owned(),
            Task::Step { left: None, .. } => "stopping after this step".to_owned(),
            Task::Step { left: Some(left), at, .. } => match left.saturating_sub(at.elapsed()) {
                left if left <= LONG_REST => {
                    format!("stopping after this step, about {}", duration(left.as_secs_f64()))
                }
                left => format!(
                    "stopping within this step, whose rest would take about {}; the run is saved after \
                     the step before it",
                    duration(left.as_secs_f64())
                ),
            },
        };
        format!("{what}; press Ctrl-C again to leave now, without saving")
    }

    /// Shows progress within the task.
    fn show_task(&mut self) {
        let text = match self.task {
            Task::Evaluating => return,
            Task::Other(what) => return self.console.waiting(what),
            Task::Loading { done, total } => format!("  loading, {done} of {total} images"),
            Task::Step { step, share, left, at } => {
                // Between two blocks, time goes on.
                let left = left.map(|left| left.saturating_sub(at.elapsed()).as_secs_f64());
                let left = left.map(|left| format!(", about {} left of it", duration(left)));
                let percent = (100.0 * share).floor();
                format!("  step {step}: {percent} % done{}", left.unwrap_or_default())
            }
        };
        self.shown = Instant::now();
        let (done, total) = (self.done, self.total_steps);
        self.console.progress(&Progress { what: "step", done, total, text }, false);
    }

    fn note_step(&mut self, step: u64, share: f64, left: Option<Duration>) {
        let left = left.or(self.expected.map(Duration::from_secs_f64));
        self.task = Task::Step { step, share, left, at: Instant::now() };
    }

    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Forecast(forecast) => {
                self.console.event("plan", forecast);
                self.expected = forecast.time.map(|time| time.step);
                forecasting::short(forecast).iter().for_each(|line| self.console.note(line));
            }
            Event::Loading { done, total } => {
                self.task = Task::Loading { done: *done, total: *total };
            }
            Event::InStep { step, share, left } => self.note_step(*step, *share, *left),
            Event::Warning(text) => {
                self.console.event("warning", &json!({ "text": text }));
                self.console.warn(text);
            }
            Event::Started(started) => self.show_start(started),
            Event::Extended(extended) => self.show_extended(extended),
            Event::Step(record) => self.show_step(record),
            Event::Skipped { step, reason } => {
                self.console.event("skipped", &json!({ "step": step, "reason": reason }));
                self.console.warn(format!("step {step} is skipped: {reason}"));
            }
            Event::Alarm(alarm) => self.show_alarm(alarm),
            Event::Guard(found) => self.show_guard(found),
            Event::Diagnostics(found) => self.console.event("diagnostics", found),
            Event::Evaluating { what, done, total } => {
                (self.task, self.shown) = (Task::Evaluating, Instant::now());
                show_images(self.console, "evaluation", (*done, *total), in_words(what));
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
        (self.total_steps, self.done) = (started.total_steps, started.step);
        self.console.event("started", started);
        self.started = Some(started.clone());
        let Started { run, step, total_steps, data, images, crops, threads, .. } = started;
        self.console.note(format!(
            "{}: {} ({data}), {} of {} x {}, {:.2} M parameters, {}",
            run.display(),
            counted(*images, "image"),
            counted(*total_steps as usize, "step"),
            counted(self.batch_size, "image"),
            counted(*crops, "crop"),
            started.parameters as f64 / 1e6,
            counted(*threads, "thread"),
        ));
        if *step > 0 {
            self.console.note(format!("resuming after step {step}"));
        }
    }

    fn show_extended(&mut self, extended: &Extended) {
        self.console.event("extended", extended);
        let Extended { steps_before, steps, join_steps, lr: [from, to], .. } = extended;
        self.console.note(format!(
            "extended from {steps_before} to {steps} steps: within {join_steps} steps the learning rate \
             goes from {from:.1e} to {to:.1e}, and from there as in a run of {steps} steps"
        ));
    }

    fn show_step(&mut self, record: &StepRecord) {
        (self.done, self.shown) = (record.step, Instant::now());
        self.task = Task::Other("writing to the run folder");
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
        let chance = self.started.as_ref().map_or(f64::NAN, |started| started.chance_loss);
        let alarms = self.alarms.iter().map(|name| format!("  {name}!")).collect::<String>();
        let text = format!(
            "{alarms}  epoch {}  loss {:.3} (chance {chance:.3})  entropy {:.3}  {rate:.0} images/s  {} left\
             {wait}",
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

    /// Accuracy is shown as a score already.
    fn show_guard(&mut self, found: &Comparison) {
        self.console.end_progress();
        self.console.event("guard", found);
        let step = found.step;
        if let Some(reason) = &found.worse {
            let best = match found.best_step {
                0 => "the best features are those of the checkpoint itself".to_owned(),
                best => format!("the best features are those of step {best}, which is kept"),
            };
            self.console.warn(format!("features are worse at step {step}: {reason}; {best}"));
        } else if let Measure::Geometry { rankme, agreement } = &found.now {
            self.console.note(format!(
                "features at step {step}: RankMe {rankme:.1}, {:.0} % of the neighbors of the start",
                100.0 * agreement
            ));
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
        let Self { console, started, steps, alarms, .. } = self;
        console.end_progress();
        conclusion::print(
            &Conclusion { summary, started: started.as_ref(), steps, alarms: &alarms },
            console,
        );
        console.event("summary", summary);
    }
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

#[cfg(test)]
mod tests {
    use super::too_long;

    #[test]
    fn runs_longer_than_a_week_get_a_warning() {
        assert_eq!(too_long(6.9 * 86_400.0), None);
        let warning = too_long(23.4 * 86_400.0).unwrap();
        assert!(warning.starts_with("at this speed the run takes 23 days"), "{warning}");
    }
}
