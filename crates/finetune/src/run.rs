//! The loop: batches from the loader, steps, tests of the network, saves, and a clean end on request.

mod open;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::Params;
use interchange::About;
use multicrop::dataset::Dataset;
use multicrop::loader::{Batch as Loaded, Loader, LoaderConfig};
use probe::{Preprocess, Subset};
use serde_json::Value;
use vit::VitShape;

use crate::error::{Error, Result};
use crate::events::{Event, StepRecord};
use crate::pace::Pace;
use crate::saved::{BEST, Folder, LAST, Progress, in_json};
use crate::settings::Settings;
use crate::step::{Batch, NotFinite, State, Training};
use crate::tested::{self, Tested};
use crate::view::TrainingView;

/// Time between two looks at the stop flag while the loader makes a batch.
const LOOK_AROUND: Duration = Duration::from_millis(200);
/// Longest time without a save.
const SAVE_EVERY: Duration = Duration::from_secs(600);

/// What to train.
#[derive(Clone)]
pub struct Request<'a> {
    /// The shape of the backbone. Its precision is that of training.
    pub shape: VitShape,
    /// A network with the weights of the backbone.
    pub trained: &'a Params,
    /// Where they come from, for the record.
    pub source: String,
    /// Labelled images to learn from.
    pub train: Arc<dyn Dataset>,
    /// Labelled images to classify, of the same classes.
    pub test: Arc<dyn Dataset>,
    /// Use at most this many images to learn from, and to test with.
    pub limits: [Option<usize>; 2],
    /// How test images become the input of the network. Training images have the same size and normalization.
    pub preprocess: Preprocess,
    /// How the network is trained.
    pub settings: Settings,
    /// The folder for results, if any.
    pub out: Option<PathBuf>,
    /// Continue what the folder holds, if it holds anything.
    pub resume: bool,
}

/// How training ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// All tests.
    pub tests: Vec<Tested>,
    /// Steps done.
    pub steps: u64,
    /// Images trained on, and tested with.
    pub images: [usize; 2],
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// The step of the newest checkpoint and the folder.
    pub saved: Option<(u64, PathBuf)>,
}

impl Summary {
    /// The test after the best epoch, the first of several.
    pub fn best(&self) -> Option<&Tested> {
        best(&self.tests)
    }

    /// Number of test images: of those that could be read, if that is known.
    pub fn test_images(&self) -> usize {
        let read = self.tests.last().map_or(0, |last| last.images);
        if read > 0 { read } else { self.images[1] }
    }
}

fn best(tests: &[Tested]) -> Option<&Tested> {
    tests.iter().reduce(|best, other| if other.top1 > best.top1 { other } else { best })
}

/// Trains to the end, or until `stop` is set. Then the step that is going on is left, and the state after the last
/// whole one is saved.
///
/// # Errors
/// Settings out of range; classes that differ; too little memory; images that cannot be read; a folder that cannot be
/// used; a loss or gradient that is not finite, in which case the last checkpoint is kept.
pub fn finetune(
    request: Request<'_>,
    stop: &AtomicBool,
    report: &mut dyn FnMut(Event),
) -> Result<Summary> {
    let mut run = Run::open(request, stop, report)?;
    run.go(report)?;
    Ok(Summary {
        interrupted: !run.is_complete(),
        steps: run.state.step,
        images: [run.train.len(), run.test.len()],
        saved: run.saved(),
        tests: run.progress.tests,
    })
}

/// A fine-tuning that is set up.
struct Run<'a> {
    stop: &'a AtomicBool,
    training: Training,
    state: State,
    progress: Progress,
    settings: Settings,
    train: Arc<dyn Dataset>,
    test: Subset,
    preprocess: Preprocess,
    steps_per_epoch: u64,
    folder: Option<Folder>,
    about: About,
    record: Value,
    saved_step: Option<u64>,
    saved_at: Instant,
    pace: Pace,
}

impl Run<'_> {
    fn total_steps(&self) -> u64 {
        self.settings.epochs * self.steps_per_epoch
    }

    fn is_complete(&self) -> bool {
        self.state.step >= self.total_steps() && !self.owes_test()
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the epoch that has just ended is one that is tested, and was not yet.
    fn owes_test(&self) -> bool {
        let (step, last) = (self.state.step, self.total_steps());
        if step == 0 || !step.is_multiple_of(self.steps_per_epoch) {
            return false;
        }
        let epoch = step / self.steps_per_epoch;
        let wanted = step >= last || epoch.is_multiple_of(self.settings.test_every.max(1));
        wanted && self.progress.tests.last().is_none_or(|tested| tested.epoch < epoch)
    }

    fn go(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let (step, total_steps) = (self.state.step, self.total_steps());
        let parameters = self.training.network().table().len();
        let best = best(&self.progress.tests).map(|best| best.top1);
        report(Event::Started { step, total_steps, parameters, best });
        if self.owes_test() {
            self.look(report)?;
        }
        if step < total_steps && !self.is_stopped() {
            self.train(report)?;
        }
        if self.is_stopped() && !self.is_complete() {
            report(Event::Stopping);
        }
        self.save_if_new(report)?;
        if let Some(folder) = self.folder.as_ref().filter(|_| self.is_complete()) {
            folder.export(LAST, &self.state.weights, &self.about)?;
        }
        Ok(())
    }

    fn train(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let (first, last) = (self.state.step, self.total_steps());
        let mut grads = Params::zeros(self.training.network().table().clone());
        let mut loader = self.loader(first, last)?;
        self.pace.start(self.state.step);
        while self.state.step < last {
            let mut batch = match self.next_batch(&mut loader) {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    self.save_if_new(report)?;
                    return Err(error);
                }
                None => break,
            };
            self.warn_of_bad_images(&batch, report);
            let Some(loss) = self.step(&mut batch, &mut grads, report)? else { break };
            loader.recycle(batch);
            self.progress.loss_sum += loss;
            report(Event::Step(self.step_record(loss)));
            if self.owes_test() {
                self.look(report)?;
                continue;
            }
            if self.state.step.is_multiple_of(self.steps_per_epoch) {
                self.progress.loss_sum = 0.0;
            }
            if self.saved_at.elapsed() >= SAVE_EVERY {
                self.save(report)?;
            }
        }
        Ok(())
    }

    fn loader(&self, first: u64, last: u64) -> Result<Loader> {
        let view = TrainingView {
            side: self.preprocess.view.crop,
            mean: self.preprocess.view.mean.clone(),
            std: self.preprocess.view.std.clone(),
            changes: self.settings.changes,
        };
        let config = LoaderConfig {
            batch_size: self.settings.batch_size,
            workers: rayon::current_num_threads(),
            seed: self.settings.seed,
            strict: self.preprocess.strict,
            decode: self.preprocess.decode.clone(),
            ..LoaderConfig::default()
        };
        Ok(Loader::start(self.train.clone(), Arc::new(view), config, first, last)?)
    }

    /// The next batch; `None` if somebody asks to stop.
    fn next_batch(&self, loader: &mut Loader) -> Option<Result<Loaded>> {
        while !self.is_stopped() {
            if loader.wait(LOOK_AROUND) == 0 {
                return loader.next().map(|batch| batch.map_err(Error::from));
            }
        }
        None
    }

    fn warn_of_bad_images(&self, batch: &Loaded, report: &mut dyn FnMut(Event)) {
        // A bad image comes back in every epoch, but is reported in the first one alone.
        for bad in batch.bad.iter().filter(|_| batch.epoch == 0) {
            let text = format!("image `{}` is left out: {}", bad.name, bad.reason);
            report(Event::Warning(text));
        }
    }

    /// Takes a step and returns its loss; `None` if somebody asks to stop.
    fn step(
        &mut self,
        batch: &mut Loaded,
        grads: &mut Params,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<f64>> {
        // Only images with a label are in the training set, so none is left out here.
        let labels = batch.indices.iter().filter_map(|&index| self.train.label(index));
        let labels: Vec<u32> = labels.collect();
        let side = self.preprocess.view.crop as usize;
        let (step, stop) = (self.state.step, self.stop);
        let mut watch = |share| {
            report(Event::InStep { step, share });
            match stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let batch = Batch { pixels: &mut batch.globals.data, labels: &labels, side };
        let NotFinite { what, value } =
            match self.training.step(&mut self.state, grads, batch, &mut watch) {
                Ok(loss) => return Ok(loss),
                Err(found) => found,
            };
        self.save_if_new(report)?;
        Err(Error::NotFinite { what, value, step: step + 1, saved: self.saved() })
    }

    fn step_record(&mut self, loss: f64) -> StepRecord {
        let (step, total_steps) = (self.state.step, self.total_steps());
        let tests = (total_steps / self.steps_per_epoch).div_ceil(self.settings.test_every.max(1));
        let tests_left = tests.saturating_sub(self.progress.tests.len() as u64);
        StepRecord {
            step,
            total_steps,
            epoch: (step - 1) / self.steps_per_epoch + 1,
            loss,
            lr: self.training.lr(step - 1),
            images_per_second: self.pace.images_per_second(step),
            left: self.pace.left(step, total_steps, tests_left),
        }
    }

    /// Looks at the test images, and saves. Does neither if somebody asks to stop.
    fn look(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let (start, stop) = (Instant::now(), self.stop);
        let found = tested::test(
            (self.training.network(), &self.state.weights),
            (&self.test, &self.preprocess),
            &mut |done, total| {
                report(Event::Testing { done, total });
                match stop.load(Ordering::Relaxed) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            },
        );
        let (found, left_out) = match found {
            Err(Error::Probe(probe::Error::Stopped(_))) => return Ok(()),
            found => found?,
        };
        if let Some(text) = left_out.filter(|_| self.progress.tests.is_empty()) {
            report(Event::Warning(text));
        }
        let epoch = self.state.step / self.steps_per_epoch;
        let loss = self.progress.loss_sum / self.steps_per_epoch as f64;
        let found = Tested { epoch, loss, ..found };
        let is_best = best(&self.progress.tests).is_none_or(|best| found.top1 > best.top1);
        self.progress.tests.push(found);
        report(Event::Tested(found));
        self.pace.tested(start.elapsed());
        self.progress.loss_sum = 0.0;
        if let Some(folder) = &self.folder {
            // before the checkpoint, which says that this epoch is the best
            if is_best {
                folder.export(BEST, &self.state.weights, &self.about)?;
            }
            self.record["tests"] = in_json(&self.progress.tests);
            folder.record(&self.record)?;
        }
        self.save(report)
    }

    /// Saves, unless that was done after the last step.
    fn save_if_new(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        if self.saved_step == Some(self.state.step) { Ok(()) } else { self.save(report) }
    }

    fn save(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.save(&self.state, &self.progress, self.settings.seed)?;
        (self.saved_step, self.saved_at) = (Some(self.state.step), Instant::now());
        report(Event::Saved(path));
        Ok(())
    }

    fn saved(&self) -> Option<(u64, PathBuf)> {
        self.saved_step.zip(self.folder.as_ref().map(|folder| folder.path().to_owned()))
    }
}
