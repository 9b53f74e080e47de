//! The loop: batches in, steps, checkpoints, evaluations, and a clean end on a signal.

mod evaluate;
mod leave;
mod open;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::Params;
use multicrop::Dataset;
use multicrop::loader::Batch;
use serde_json::json;

use super::events::{Event, StepRecord, Summary};
use super::pace::Pace;
use super::step::{CropBatch, NonFinite, Report, State, Step};
use crate::config::{Config, Horizon, to_steps};
use crate::error::{Error, Result};
use crate::eval::features::KnnData;
use crate::metrics::{JsonLines, Metrics};
use crate::run_folder::{Images, RunFolder};
use crate::schedule::{Schedules, StepValues};
use watch::Watch;

/// Steps in a row without a finite number after which a run stops.
const PATIENCE: u32 = 5;

/// What to train.
#[derive(Debug, Clone)]
pub struct Request {
    /// All settings.
    pub config: Config,
    /// The preset's name, for the default run folder `runs/<name>-<n>`.
    pub name: String,
    /// Go on with the run in the folder, or start it there if there is none.
    pub resume: bool,
    /// Go on with a run although its images are not those that it was trained on so far.
    pub allow_data_change: bool,
}

/// Trains until the end, or until `stop` is set: then the step is finished and saved, and an
/// evaluation is given up.
///
/// # Errors
/// Bad settings, data that cannot be read, a run folder that cannot be used or written, a loss that
/// stays without a finite value. The steps done before are saved if that is possible, and a run
/// folder in which no step was done is removed.
pub fn pretrain(
    request: Request,
    stop: &AtomicBool,
    report: &mut dyn FnMut(Event),
) -> Result<Summary> {
    let mut run = Run::open(request, stop, report)?;
    run.go(report).map_err(|error| run.leave(error, report))
}

/// A run that is set up.
struct Run<'a> {
    stop: &'a AtomicBool,
    step: Step,
    state: State,
    grads: Params,
    schedules: Schedules,
    folder: RunFolder,
    metrics: Metrics,
    quarantine: JsonLines,
    dataset: Arc<dyn Dataset>,
    knn: Option<KnnData>,
    pace: Pace,
    watch: Watch,
    images: Images,
    bad: BTreeSet<String>, // names of images that are listed already
    skipped: u32,          // steps left out since the last one that was done
    saved: Option<u64>,    // step of the newest checkpoint
}

impl Run<'_> {
    fn config(&self) -> &Config {
        &self.step.config
    }

    fn horizon(&self) -> Horizon {
        self.schedules.horizon
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn go(&mut self, report: &mut dyn FnMut(Event)) -> Result<Summary> {
        let mut untrained = None;
        if self.state.step == 0 {
            untrained = self.evaluate_baselines(report)?;
        }
        self.train(report)?;
        let knn = if self.is_stopped() { None } else { self.summarize(untrained, report)? };
        let is_complete = self.state.step >= self.horizon().total_steps;
        let given_up = self.knn.is_some() && knn.is_none() && self.is_stopped();
        Ok(Summary {
            run: self.folder.path().to_owned(),
            steps: self.state.step,
            images_per_second: self.pace.total(),
            knn,
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
            let Some(batch) = loader.next() else { break };
            let batch = batch?;
            self.note_bad_images(&batch, report)?;
            let values = self.schedules.at(self.state.step);
            match self.take(&batch, &values) {
                Ok(result) => {
                    self.skipped = 0;
                    self.record(&result, &values, loader.waited() - waited, report)?;
                }
                Err(reason) => self.skip(&batch, &reason, report)?,
            }
            loader.recycle(batch);
            self.after_step(report)?;
        }
        self.save_if_new(report)
    }

    fn take(&mut self, batch: &Batch, values: &StepValues) -> Result<Report, NonFinite> {
        let count = self.config().optim.accumulate.max(1);
        let images = batch.globals.images / count;
        if count == 1 {
            let (globals, locals) = (&batch.globals.data[..], &batch.locals.data[..]);
            let masks = &self.config().draw_masks(batch.epoch, &batch.indices)[..];
            let whole = [CropBatch { globals, locals, masks, images }];
            return self.step.take(&mut self.state, &mut self.grads, &whole, values);
        }
        let parts: Vec<_> = (0..count)
            .map(|i| {
                let range = i * images..(i + 1) * images;
                let masks = self.config().draw_masks(batch.epoch, &batch.indices[range.clone()]);
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
        self.step.take(&mut self.state, &mut self.grads, &batches, values)
    }

    /// Reports a step and writes it down.
    fn record(
        &mut self,
        result: &Report,
        values: &StepValues,
        waited: Duration,
        report: &mut dyn FnMut(Event),
    ) -> Result<()> {
        self.pace.step(waited);
        let record = StepRecord {
            step: self.state.step,
            epoch: values.epoch,
            loss: result.loss,
            teacher_entropy: result.teacher_entropy,
            kl: result.kl,
            prototypes_in_use: result.prototypes_in_use,
            assignment_entropy: result.assignment_entropy,
            feature_std: result.feature_std,
            image_agreement: result.image_agreement,
            kappa_mean: result.kappa.mean,
            kappa_max: result.kappa.max,
            grad_norm: result.grad_norm(),
            lr: values.lr,
            weight_decay: values.weight_decay,
            momentum: values.momentum,
            teacher_temp: values.teacher_temp,
            patch_loss: result.patch_loss,
            patch_teacher_entropy: result.patch_teacher_entropy,
            patch_prototypes_in_use: result.patch_prototypes_in_use,
            images_per_second: self.pace.recent(),
            data_wait_share: self.pace.data_wait_share(),
            memory_mib: engine::pool::usage().reserved as f64 / (1 << 20) as f64,
        };
        let every = self.config().run.log_every_steps.max(1);
        if record.step.is_multiple_of(every) || record.step == self.horizon().total_steps {
            self.metrics.write(record.step, &record)?;
        }
        report(Event::Step(record.clone()));
        self.watch(&record, &result.teacher_vectors, report)
    }

    /// Leaves out a step whose numbers are not finite, and gives up after too many.
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
        self.metrics.write(self.state.step, &line)?;
        report(Event::Skipped { step, reason: reason.to_string() });
        if self.skipped >= PATIENCE {
            let count = self.skipped;
            return Err(Error::Diverged { reason: reason.to_string(), count, step });
        }
        Ok(())
    }

    fn note_bad_images(&mut self, batch: &Batch, report: &mut dyn FnMut(Event)) -> Result<()> {
        for bad in &batch.bad {
            // An image comes back in every epoch; it is listed once for each run.
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

    /// Checkpoints and evaluations that are due.
    fn after_step(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let (step, Horizon { total_steps, steps_per_epoch }) = (self.state.step, self.horizon());
        if step >= total_steps {
            return Ok(());
        }
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        let run = &self.config().run;
        let epochs = to_steps(run.checkpoint_every_epochs, steps_per_epoch);
        let evaluates =
            self.knn.is_some() && due(self.config().eval.every_epochs * steps_per_epoch);
        // An evaluation can fail in ways that no program survives, so the run is saved before it.
        if due(run.checkpoint_every_steps) || due(epochs) || evaluates {
            self.save_on_the_way(report)?;
        }
        if evaluates {
            self.evaluate("trained", report)?;
            self.pace.start();
        }
        Ok(())
    }
}
