//! A `Run` takes batches from the loader and trains: steps, checkpoints, evaluations, and a clean end on a
//! signal.

mod evaluate;
mod guard;
mod leave;
mod open;
mod shown;
mod sources;
mod threads;
mod watch;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::Params;
use multicrop::Dataset;
use multicrop::loader::{Batch, Loader};
use probe::Evaluation;
use report::{JsonLines, Metric, MetricsWriter};
use serde_json::json;

use super::events::{Event, Missing, StepRecord, Summary};
use super::pace::Pace;
use super::step::{CropBatch, NonFinite, State, StepReport, Training};
use crate::config::{Config, Horizon, to_steps};
use crate::error::{Error, Result};
use crate::monitor::remedy;
use crate::plan::Plan;
use crate::run_folder::evaluations::Evaluations;
use crate::run_folder::{Images, RunFolder};
use crate::schedule::StepValues;
use crate::start::guard::Record;
pub use open::{Prepared, prepare};
use watch::Watch;

/// Skipped steps in a row after which a run ends with an error.
const PATIENCE: u32 = 5;
/// When somebody asks to stop, a step that needs more time than this is left. A batch system waits for 30 to
/// 90 seconds before it kills a job, and saving takes a part of them.
pub const LONG_REST: Duration = Duration::from_secs(10);
/// Time between two looks at the stop flag while the loader makes a batch.
const LOOK_AROUND: Duration = Duration::from_millis(200);
const GO_ON: ControlFlow<()> = ControlFlow::Continue(());
const BREAK: ControlFlow<()> = ControlFlow::Break(());

/// What to train.
#[derive(Clone)]
pub struct Request {
    /// All settings.
    pub config: Config,
    /// The preset's name, for the default run folder `runs/<name>-<n>`.
    pub name: String,
    /// Resume the run in the folder, or start it if the folder has none.
    pub resume: bool,
    /// Resume although the images differ from those trained on so far.
    pub allow_data_change: bool,
    /// `data.source`, if it is open already.
    pub dataset: Option<Arc<dyn Dataset>>,
}

/// Trains to the end, or until `stop` is set. Then the run is saved after the last whole step: the current
/// step is finished if that takes at most [`LONG_REST`], and left otherwise. An evaluation is abandoned.
///
/// # Errors
/// Bad settings, data that cannot be read, a run folder that cannot be used or written, a loss that
/// is not finite in several steps in a row. Before an error is returned, the steps done are saved if
/// possible. A run folder without a finished step is removed.
pub fn pretrain(
    request: Request,
    stop: &AtomicBool,
    report: &mut dyn FnMut(Event),
) -> Result<Summary> {
    let mut run = Run::open(request, stop, report)?;
    run.go(report).map_err(|error| run.leave(error, report))
}

/// The time that the rest of a step takes, of which a share is done after this time.
fn time_left(elapsed: Duration, share: f64) -> Duration {
    elapsed.mul_f64(((1.0 - share) / share.max(1e-3)).max(0.0))
}

/// A run that is set up.
struct Run<'a> {
    stop: &'a AtomicBool,
    training: Training,
    state: State,
    grads: Params,
    plan: Plan,
    folder: RunFolder,
    metrics: MetricsWriter,
    quarantine: JsonLines,
    dataset: Arc<dyn Dataset>,
    evaluation: Option<Evaluation>,
    evaluations: Evaluations,
    missing: Vec<Missing>,
    warned: BTreeSet<String>, // sentences about evaluations that were reported already
    pace: Pace,
    started: Instant,
    loss: Option<f64>, // of the last step of this process
    watch: Watch,
    start: Option<Record>, // of the checkpoint that the run started from
    images: Images,
    bad: BTreeSet<String>, // names of unreadable images that are in the quarantine file
    skipped: u32,          // steps skipped since the last finished one
    skip_reason: String,   // why the last of them was skipped
    saved: Option<u64>,    // step of the newest checkpoint
    saved_at: Instant,     // when it was written, or when this process began
}

impl Run<'_> {
    fn config(&self) -> &Config {
        &self.plan.config
    }

    fn horizon(&self) -> Horizon {
        self.plan.horizon()
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn go(&mut self, report: &mut dyn FnMut(Event)) -> Result<Summary> {
        self.show_config()?;
        if self.state.step == 0 {
            self.evaluate_baselines(report)?;
            self.measure_start(report)?;
        }
        self.train(report)?;
        let probes = if self.is_stopped() { None } else { self.summarize(report)? };
        let is_complete = self.state.step >= self.horizon().total_steps;
        let given_up = self.evaluation.is_some() && probes.is_none() && self.is_stopped();
        Ok(Summary {
            run: self.folder.path().to_owned(),
            steps: self.state.step,
            seconds: self.started.elapsed().as_secs_f64(),
            images_per_second: self.pace.total(),
            loss: self.loss,
            probes: self.by_probe(probes),
            missing_evaluations: std::mem::take(&mut self.missing),
            interrupted: !is_complete || given_up,
        })
    }

    fn train(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let (first, last) = (self.state.step, self.horizon().total_steps);
        if first >= last {
            return Ok(());
        }
        let mut loader = self.loader(first, last)?;
        self.pace.start();
        while self.state.step < last && !self.is_stopped() {
            let waited = loader.waited();
            let Some(batch) = self.next_batch(&mut loader, report) else { break };
            let batch = batch?;
            self.note_bad_images(&batch, report)?;
            if self.state.step == first {
                self.show_crops(&batch)?;
            }
            let values = self.plan.schedules.at(self.state.step);
            match self.take(&batch, &values, report) {
                Ok(Some(result)) => {
                    self.skipped = 0;
                    self.record(result, &values, loader.waited() - waited, report)?;
                }
                Ok(None) => break,
                Err(reason) => self.skip(&batch, &reason, report)?,
            }
            loader.recycle(batch);
            self.after_step(report)?;
        }
        if self.skipped > 0 && self.state.step >= last {
            return Err(self.ends_not_finite(report)?);
        }
        self.save_if_new(report)
    }

    /// Waits for the next batch, and reports how many of its images are ready. `None` after the last one, and
    /// if somebody asks to stop.
    fn next_batch(
        &self,
        loader: &mut Loader,
        report: &mut dyn FnMut(Event),
    ) -> Option<Result<Batch, multicrop::Error>> {
        let total = self.config().optim.batch_size;
        loop {
            let missing = loader.wait(LOOK_AROUND);
            if missing == 0 {
                return loader.next();
            }
            if self.is_stopped() {
                return None;
            }
            report(Event::Loading { done: total.saturating_sub(missing), total });
        }
    }

    /// Takes a step. `None` if somebody asks to stop and the rest of the step would take long.
    fn take(
        &mut self,
        batch: &Batch,
        values: &StepValues,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<StepReport>, NonFinite> {
        let count = self.config().optim.accumulate.max(1);
        let images = batch.globals.images / count;
        let (start, step, stop) = (Instant::now(), self.state.step + 1, self.stop);
        report(Event::InStep { step, share: 0.0, left: None });
        let mut watch = |share: f64| {
            let left = time_left(start.elapsed(), share);
            report(Event::InStep { step, share, left: Some(left) });
            if stop.load(Ordering::Relaxed) && left > LONG_REST { BREAK } else { GO_ON }
        };
        if count == 1 {
            let (globals, locals) = (&batch.globals.data[..], &batch.locals.data[..]);
            let masks = &self.plan.draw_masks(batch.epoch, &batch.indices)[..];
            let whole = [CropBatch { globals, locals, masks, images }];
            let Self { training, state, grads, .. } = self;
            return training.step_watched(state, grads, &whole, values, &mut watch);
        }
        let parts: Vec<_> = (0..count)
            .map(|i| {
                let range = i * images..(i + 1) * images;
                let masks = self.plan.draw_masks(batch.epoch, &batch.indices[range.clone()]);
                (batch.globals.part(range.clone()), batch.locals.part(range), masks)
            })
            .collect();
        let batches: Vec<_> = parts
            .iter()
            .map(|(globals, locals, masks)| {
                let (globals, locals) = (&globals.data[..], &locals.data[..]);
                CropBatch { globals, locals, masks, images }
            })
            .collect();
        let Self { training, state, grads, .. } = self;
        training.step_watched(state, grads, &batches, values, &mut watch)
    }

    /// Completes the metrics of a step, writes and reports them, and passes them to the monitor.
    fn record(
        &mut self,
        result: StepReport,
        values: &StepValues,
        waited: Duration,
        report: &mut dyn FnMut(Event),
    ) -> Result<()> {
        self.pace.step(waited);
        let StepReport { mut metrics, observations, .. } = result;
        metrics.add(Metric::Epoch, values.epoch as f64);
        metrics.add(Metric::Lr, values.lr);
        metrics.add(Metric::WeightDecay, values.weight_decay);
        metrics.add(Metric::Momentum, values.momentum);
        metrics.add(Metric::TeacherTemp, values.teacher_temp);
        self.pace.measure(&mut metrics);
        let reserved = engine::pool::usage().reserved as f64;
        metrics.add(Metric::MemoryMib, reserved / (1 << 20) as f64);
        self.loss = metrics.get(Metric::Loss);
        let record = StepRecord { step: self.state.step, metrics };
        let every = self.config().run.log_every_steps.max(1);
        if record.step.is_multiple_of(every) || record.step == self.horizon().total_steps {
            self.metrics.write(record.step, &record)?;
            self.metrics.events().scalars(record.step, &record.metrics.scalars())?;
        }
        report(Event::Step(record.clone()));
        self.watch(&record, &observations, report)
    }

    /// Skips a step with a value that is not finite. After several in a row, ends the run.
    fn skip(
        &mut self,
        batch: &Batch,
        reason: &NonFinite,
        report: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let step = self.state.step;
        let line =
            json!({ "skipped": step, "reason": reason.to_string(), "images": batch.indices });
        self.state.step += 1;
        self.skipped += 1;
        self.skip_reason = reason.to_string();
        self.metrics.write(self.state.step, &line)?;
        report(Event::Skipped { step, reason: reason.to_string() });
        if self.skipped >= PATIENCE {
            let (count, remedy) = (self.skipped, remedy::of_divergence(self.config()));
            return Err(Error::Diverged { reason: reason.to_string(), count, step, remedy });
        }
        Ok(())
    }

    fn note_bad_images(&mut self, batch: &Batch, report: &mut dyn FnMut(Event)) -> Result<()> {
        for bad in &batch.bad {
            // An image comes back in every epoch, but is listed once per run.
            if !self.bad.insert(bad.name.clone()) {
                continue;
            }
            self.quarantine.write(&json!({
                "step": batch.step, "index": bad.index, "name": bad.name, "reason": bad.reason,
            }))?;
            report(Event::Warning(format!("image `{}` is left out: {}", bad.name, bad.reason)));
        }
        Ok(())
    }

    /// Whether the newest checkpoint is older than `run.checkpoint_every_minutes`.
    fn is_late(&self) -> bool {
        let minutes = self.config().run.checkpoint_every_minutes;
        minutes > 0.0 && self.saved_at.elapsed() >= Duration::from_secs_f64(60.0 * minutes)
    }

    /// Saves a checkpoint and evaluates, if either is due.
    fn after_step(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let (step, Horizon { total_steps, steps_per_epoch }) = (self.state.step, self.horizon());
        if step >= total_steps {
            return Ok(());
        }
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        let run = &self.config().run;
        let epochs = to_steps(run.checkpoint_every_epochs, steps_per_epoch);
        let is_judged = self.evaluation.is_some() || self.start.is_some();
        let evaluates = is_judged && due(self.config().eval.every_epochs * steps_per_epoch);
        // Save first: an evaluation can end the process, for example out of memory.
        if due(run.checkpoint_every_steps) || due(epochs) || self.is_late() || evaluates {
            self.save_on_the_way(report)?;
        }
        if evaluates {
            let trained = self.evaluate_trained(report)?;
            self.compare_with_start(trained.as_deref(), report)?;
            self.pace.start();
        }
        Ok(())
    }
}
