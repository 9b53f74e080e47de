//! The loop: batches in, steps, checkpoints, evaluations, and a clean end on a signal.

mod watch;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::Params;
use multicrop::Dataset;
use multicrop::loader::{Batch, Loader, LoaderConfig};
use serde_json::json;

use super::events::{Event, KnnRecord, KnnSummary, Started, StepRecord, Summary};
use super::pace::Pace;
use super::saved;
use super::step::{CropBatch, NonFinite, Report, State, Step};
use crate::checkpoint::Retention;
use crate::config::{Config, Horizon, to_steps};
use crate::error::{Error, Result};
use crate::eval::features::{Extractor, KnnData};
use crate::eval::knn;
use crate::metrics::{JsonLines, Metrics};
use crate::model::init;
use crate::run_folder::RunFolder;
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
}

/// Trains until the end, or until `stop` is set: then the step is finished and saved, and an
/// evaluation is given up.
///
/// # Errors
/// Bad settings, data that cannot be read, a run folder that cannot be used or written, a loss that
/// stays without a finite value.
pub fn pretrain(
    request: Request,
    stop: &AtomicBool,
    report: &mut dyn FnMut(Event),
) -> Result<Summary> {
    let mut run = Run::open(request, stop, report)?;
    let mut untrained = None;
    if run.state.step == 0 {
        untrained = run.evaluate_baselines(report)?;
    }
    run.train(report)?;
    let knn = if run.is_stopped() { None } else { run.summarize(untrained, report)? };
    let interrupted =
        run.state.step < run.horizon().total_steps || (run.knn.is_some() && knn.is_none());
    Ok(Summary {
        run: run.folder.path().to_owned(),
        steps: run.state.step,
        images_per_second: run.pace.total(),
        knn,
        interrupted,
    })
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
    bad: BTreeSet<usize>, // images that are listed already
}

impl<'a> Run<'a> {
    fn open(request: Request, stop: &'a AtomicBool, report: &mut dyn FnMut(Event)) -> Result<Self> {
        let Request { mut config, name, resume } = request;
        let dataset = config.data.open(&config.data.source)?;
        let (horizon, warnings) = config.fit(dataset.len())?;
        let notes = multicrop::dataset::notes(dataset.as_ref());
        for warning in notes.into_iter().chain(warnings).chain(config.idle_keys()) {
            report(Event::Warning(warning));
        }
        let knn = KnnData::open(&config)?;
        let out = config.run.out.as_ref().map(PathBuf::from);
        let (folder, loaded) = if resume {
            let path = out.or_else(|| RunFolder::latest(&name));
            match path {
                Some(path) => {
                    let resumed = RunFolder::resume(&path, &config)?;
                    for refused in resumed.refused {
                        let path = refused.path.display();
                        let text = format!("checkpoint `{path}` is not used: {}", refused.reason);
                        report(Event::Warning(text));
                    }
                    (resumed.folder, resumed.loaded)
                }
                None => (RunFolder::create(None, &name, &config)?, None),
            }
        } else {
            (RunFolder::create(out.as_deref(), &name, &config)?, None)
        };
        let step = Step::new(config);
        let state = match &loaded {
            Some(loaded) => saved::restore(&step, loaded)?,
            None => step.initial_state(),
        };
        let schedules = Schedules::new(&step.config, horizon);
        let run = Self {
            stop,
            grads: Params::zeros(step.network.table().clone()),
            watch: Watch::new(&step, &state, &schedules),
            schedules,
            metrics: folder.metrics(state.step)?,
            quarantine: folder.quarantine()?,
            pace: Pace::new(step.config.optim.batch_size),
            bad: BTreeSet::new(),
            step,
            state,
            folder,
            dataset,
            knn,
        };
        report(Event::Started(run.started()));
        Ok(run)
    }

    fn started(&self) -> Started {
        Started {
            run: self.folder.path().to_owned(),
            step: self.state.step,
            total_steps: self.horizon().total_steps,
            steps_per_epoch: self.horizon().steps_per_epoch,
            data: self.dataset.describe(),
            images: self.dataset.len(),
            parameters: self.step.network.table().len(),
            crops: self.config().data.crops(),
            threads: rayon::current_num_threads(),
        }
    }

    fn config(&self) -> &Config {
        &self.step.config
    }

    fn horizon(&self) -> Horizon {
        self.schedules.horizon
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn train(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let (first, last) = (self.state.step, self.horizon().total_steps);
        if first >= last {
            return Ok(());
        }
        let mut loader = self.loader(first, last)?;
        let mut skipped = 0;
        self.pace.start();
        while self.state.step < last && !self.is_stopped() {
            let waited = loader.waited();
            let Some(batch) = loader.next() else { break };
            let batch = batch?;
            self.note_bad_images(&batch, report)?;
            let values = self.schedules.at(self.state.step);
            match self.take(&batch, &values) {
                Ok(result) => {
                    skipped = 0;
                    self.record(&result, &values, loader.waited() - waited, report)?;
                }
                Err(reason) => {
                    skipped += 1;
                    self.skip(&batch, &reason, skipped, report)?;
                }
            }
            loader.recycle(batch);
            self.after_step(report)?;
        }
        if self.state.step > first {
            self.save(report)?;
        }
        Ok(())
    }

    fn loader(&self, first: u64, last: u64) -> Result<Loader> {
        let config = self.config();
        let workers = match config.run.workers {
            0 => rayon::current_num_threads(),
            workers => workers,
        };
        let settings = LoaderConfig {
            batch_size: config.optim.batch_size,
            workers,
            seed: config.seed,
            strict: config.data.strict,
            decode: config.data.decode_options(),
            ..LoaderConfig::default()
        };
        let recipe = config.data.recipe();
        recipe.validate()?;
        Ok(Loader::start(self.dataset.clone(), Arc::new(recipe), settings, first, last)?)
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
            .map(|(globals, locals, masks)| CropBatch { globals, locals, masks, images })
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
        count: u32,
        report: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let step = self.state.step;
        let line =
            json!({ "skipped": step, "reason": reason.to_string(), "images": batch.indices });
        self.state.step += 1;
        self.metrics.write(self.state.step, &line)?;
        report(Event::Skipped { step, reason: reason.to_string() });
        if count >= PATIENCE {
            return Err(Error::Diverged { reason: reason.to_string(), count, step });
        }
        Ok(())
    }

    fn note_bad_images(&mut self, batch: &Batch, report: &mut dyn FnMut(Event)) -> Result<()> {
        for bad in &batch.bad {
            // An image comes back in every epoch; it is listed once for each process.
            if !self.bad.insert(bad.index) {
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
        if due(run.checkpoint_every_steps) || due(epochs) {
            self.save(report)?;
        }
        if due(self.config().eval.every_epochs * steps_per_epoch) {
            self.evaluate("trained", report)?;
            self.pace.start();
        }
        Ok(())
    }

    fn save(&mut self, report: &mut dyn FnMut(Event)) -> Result<PathBuf> {
        let every_steps = self.config().run.keep_every_epochs * self.horizon().steps_per_epoch;
        let retention = Retention { every_steps, ..Retention::default() };
        let path = saved::save(self.folder.path(), &self.step, &self.state, retention)?;
        report(Event::Checkpoint { path: path.clone(), step: self.state.step });
        Ok(path)
    }

    /// Raw pixels and the untrained backbone: what training has to beat.
    fn evaluate_baselines(&mut self, report: &mut dyn FnMut(Event)) -> Result<Option<(f64, f64)>> {
        let raw = self.evaluate("raw", report)?;
        let untrained = self.evaluate("untrained", report)?;
        Ok(raw.zip(untrained))
    }

    /// Top-1 of these features, reported and written down; nothing without labelled images, or if
    /// the run is stopped meanwhile.
    fn evaluate(
        &mut self,
        features: &'static str,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<f64>> {
        let Some(data) = &self.knn else { return Ok(None) };
        let network = &self.step.network;
        let drawn;
        let extractor = match features {
            "raw" => Extractor::RawPixels,
            "untrained" => {
                drawn = init::draw(network, self.step.config.seed, self.step.config.model.init_std);
                Extractor::Backbone(network, &drawn)
            }
            _ => Extractor::Backbone(network, &self.state.teacher),
        };
        let mut progress = |done, total| {
            report(Event::Evaluating { what: features, done, total });
            if self.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let Some(scores) = data.evaluate(extractor, &mut progress)? else { return Ok(None) };
        let top1 = knn::headline(&scores).map(|score| score.top1);
        let record = KnnRecord { step: self.state.step, features, scores };
        self.metrics.write(record.step, &json!({ "knn": record }))?;
        report(Event::Knn(record));
        Ok(top1)
    }

    fn summarize(
        &mut self,
        baselines: Option<(f64, f64)>,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<KnnSummary>> {
        // A resumed run has not measured them in this process; they come out the same.
        let baselines = match baselines {
            Some(baselines) => Some(baselines),
            None => self.evaluate_baselines(report)?,
        };
        let trained = self.evaluate("trained", report)?;
        let summary = |((raw, untrained), trained)| KnnSummary { raw, untrained, trained };
        Ok(baselines.zip(trained).map(summary))
    }
}
