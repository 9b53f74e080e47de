//! Setting a run up. Whatever can be refused is refused before its folder is made or changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use engine::Params;
use multicrop::Dataset;
use multicrop::error::Error as DataError;
use multicrop::loader::Loader;
use probe::Evaluation;
use report::{JsonLines, MetricsWriter};
use serde_json::json;

use super::super::events::{Event, Started};
use super::super::pace::Pace;
use super::super::saved;
use super::super::step::Training;
use super::guard::first_state;
use super::sources::{OwnParts, Sources};
use super::threads;
use super::watch::Watch;
use super::{Request, Run};
use crate::config::{Config, Origin};
use crate::error::{Error, Result};
use crate::evaluation;
use crate::forecast::{Disk, Forecast, Subject};
use crate::memory;
use crate::plan::{Facts, Plan, image_warnings};
use crate::run_folder::evaluations::Evaluations;
use crate::run_folder::{Images, Resumed, RunFolder, Wanted};
use crate::start::guard::Record;

/// A run whose settings are resolved and whose sources are open. Its folder is not touched yet.
pub struct Prepared {
    /// The settings of the run, and what follows from them.
    pub plan: Plan,
    /// The images.
    pub dataset: Arc<dyn Dataset>,
    /// The labelled images, if there are any.
    pub evaluation: Option<Evaluation>,
    images: Images,
}

/// Resolves the settings of a run and opens its sources, but for `dataset`, which is `data.source` if it is open
/// already. Warnings go to `report`. A run that resumes goes on
/// without labelled images if they are gone.
///
/// # Errors
/// Bad settings; sources that cannot be opened.
pub fn prepare(
    config: &Config,
    dataset: Option<Arc<dyn Dataset>>,
    resume: bool,
    report: &mut dyn FnMut(Event),
) -> Result<Prepared> {
    // What needs no images is refused before they are opened, which may take minutes.
    config.validate()?;
    threads::start(config.run.threads).into_iter().for_each(|text| report(Event::Warning(text)));
    let mut sources = Sources::new(&config.data);
    let source = config.locate("data.source", &config.data.source);
    dataset.into_iter().for_each(|dataset| sources.add(&source, dataset));
    let dataset = sources.open(&source).map_err(|error| name_preset(error, config))?;
    let mut config = config.clone();
    config.data.measure_range(dataset.as_ref())?;
    let own_parts = sources.own_parts(&config);
    let has_labelled_parts = own_parts.as_ref().is_some_and(OwnParts::are_labelled);
    let plan = Plan::new(&config, &Facts { images: dataset.len(), has_labelled_parts })?;
    let notes = multicrop::dataset::notes(dataset.as_ref());
    let of_images = image_warnings(&plan.config, dataset.as_ref());
    let of_parts = own_parts.as_ref().and_then(OwnParts::warning);
    for warning in notes.into_iter().chain(plan.warnings.clone()).chain(of_images).chain(of_parts) {
        report(Event::Warning(warning));
    }
    let images = Images::of(dataset.as_ref());
    // Training itself needs no labels, and nobody asked for these parts.
    let is_optional = resume || own_parts.is_some();
    let evaluation = open_evaluation(&plan.config, is_optional, sources, report)?;
    Ok(Prepared { plan, dataset, evaluation, images })
}

impl<'a> Run<'a> {
    pub(super) fn open(
        request: Request,
        stop: &'a AtomicBool,
        report: &mut dyn FnMut(Event),
    ) -> Result<Self> {
        let started = Instant::now();
        let Request { config, name, resume, allow_data_change, dataset } = request;
        let mut prepared = prepare(&config, dataset, resume, report)?;
        prepared.require_memory()?;
        let mut resumed = prepared.folder(&config, &name, resume, allow_data_change)?;
        let is_longer = resumed.longer.as_ref().is_some_and(|longer| longer.is_new);
        if let Some(longer) = resumed.longer.take() {
            prepared.plan = longer.plan;
        }
        let first_step = resumed.loaded.as_ref().map_or(0, |loaded| loaded.state.step);
        let required = Disk::require(&prepared.subject(resumed.folder.path(), first_step));
        required.inspect_err(|_| resumed.folder.discard())?;
        resumed.warnings.iter().for_each(|text| report(Event::Warning(text.clone())));
        // Measured before the run takes its memory. Images that cannot be read are reported when training
        // reads them.
        let forecast = Forecast::of_start(&prepared.subject(resumed.folder.path(), first_step));
        let data_change = resumed.data_change.clone();
        let mut run = prepared.set_up(resumed, started, stop)?;
        report(Event::Started(run.started()));
        forecast.into_iter().for_each(|found| report(Event::Forecast(Box::new(found))));
        if is_longer {
            run.note_extension(report)?;
        }
        run.warn_of_lost_comparisons(first_step, report);
        if let Some(difference) = data_change {
            run.note_data_change(&difference, report).map_err(|error| run.leave(error, report))?;
        }
        Ok(run)
    }

    /// Says what a run that goes on no longer compares: features with those of the start, or evaluations with earlier ones.
    fn warn_of_lost_comparisons(&self, first_step: u64, report: &mut dyn FnMut(Event)) {
        if first_step > 0 && self.start.is_none() && self.config().init.is_guarded() {
            let text = "`start.json` is not in the run folder, so features are not compared with those of the \
                        checkpoint that the run started from";
            report(Event::Warning(text.to_owned()));
        }
        let before = self.evaluations.best_before().last();
        if let (true, Some(best)) = (self.evaluations.is_empty(), before) {
            report(Event::Warning(format!(
                "a key of `[eval]` differs from before, so `{}@best` is sought anew; the checkpoint of step {best}, the \
                 best one before, is kept",
                self.folder.path().display()
            )));
        }
    }

    fn started(&self) -> Started {
        Started {
            run: self.folder.path().to_owned(),
            step: self.state.step,
            total_steps: self.horizon().total_steps,
            steps_per_epoch: self.horizon().steps_per_epoch,
            data: self.dataset.describe(),
            images: self.dataset.len(),
            parameters: self.training.network.table().len(),
            crops: self.config().data.crops(),
            threads: rayon::current_num_threads(),
            chance_loss: self.config().chance_loss(),
        }
    }

    pub(super) fn loader(&self, first: u64, last: u64) -> Result<Loader> {
        let settings = self.plan.loader();
        let recipe = Arc::new(self.plan.recipe.clone());
        Ok(Loader::start(self.dataset.clone(), recipe, settings, first, last)?)
    }

    /// Writes down that a run is longer from here on.
    fn note_extension(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        if let Some(extended) = self.plan.schedules.extended() {
            self.metrics.write(self.state.step, &json!({ "extended": extended }))?;
            report(Event::Extended(extended));
        }
        Ok(())
    }

    /// Writes down that a run goes on with other images, in its metrics and in its newest checkpoint.
    fn note_data_change(&mut self, difference: &str, report: &mut dyn FnMut(Event)) -> Result<()> {
        let change = json!({ "data_change": { "images": self.images, "difference": difference } });
        self.metrics.write(self.state.step, &change)?;
        report(Event::Warning(format!("the run goes on with other images: {difference}")));
        self.save(report).map(drop)
    }
}

impl Prepared {
    /// Refuses a run that needs more memory than the machine has.
    ///
    /// # Errors
    /// [`Error::TooLittleMemory`], with settings that fit.
    pub fn require_memory(&self) -> Result<()> {
        let evaluated = self.evaluation.as_ref().map(Evaluation::size);
        memory::require(&self.plan.config, rayon::current_num_threads(), evaluated)
    }

    /// What is to be forecast, for a run that writes to `folder` and has done `first_step` steps.
    pub fn subject<'a>(&'a self, folder: &'a Path, first_step: u64) -> Subject<'a> {
        let Self { plan, dataset, evaluation, .. } = self;
        Subject { plan, dataset, evaluation: evaluation.as_ref(), folder, first_step }
    }

    /// The run's folder, and what it holds if the run goes on.
    fn folder(
        &self,
        config: &Config,
        preset: &str,
        resume: bool,
        allow_data_change: bool,
    ) -> Result<Resumed> {
        let Self { plan, dataset, images, .. } = self;
        let out = plan.config.run.out.as_ref().map(PathBuf::from);
        if resume {
            let path = out.map_or_else(|| RunFolder::to_resume(Some(preset)), Ok)?;
            let dataset = dataset.as_ref();
            let wanted = Wanted { config, plan, dataset, images, allow_data_change };
            return RunFolder::resume(&path, &wanted);
        }
        let folder = RunFolder::create(out.as_deref(), preset, &plan.config)?;
        let warnings = Vec::new();
        Ok(Resumed { folder, loaded: None, longer: None, data_change: None, warnings })
    }

    fn set_up(self, resumed: Resumed, started: Instant, stop: &AtomicBool) -> Result<Run<'_>> {
        let Resumed { mut folder, loaded, .. } = resumed;
        let training = Training::new(self.plan.config.clone());
        let (state, start) = match &loaded {
            Some(loaded) => {
                let state = saved::restore(&training, loaded)?;
                let start = Record::read(folder.path(), state.step)?;
                (state, start)
            }
            None => first_state(&training).inspect_err(|_| folder.discard())?,
        };
        let config = &self.plan.config;
        let evaluations = Evaluations::read(folder.path(), config, state.step)?;
        let opened = open_files(&mut folder, state.step);
        let (metrics, quarantine) = opened.inspect_err(|_| folder.discard())?;
        Ok(Run {
            stop,
            grads: Params::zeros(training.network.table().clone()),
            watch: Watch::new(&training, &state, &self.plan.schedules, start.as_ref()),
            start,
            metrics,
            bad: quarantine.texts("name")?.into_iter().collect::<BTreeSet<_>>(),
            quarantine,
            pace: Pace::new(training.config.optim.batch_size),
            started,
            loss: None,
            saved: loaded.map(|loaded| loaded.state.step),
            saved_at: Instant::now(),
            skipped: 0,
            skip_reason: String::new(),
            plan: self.plan,
            images: self.images,
            dataset: self.dataset,
            training,
            state,
            folder,
            evaluation: self.evaluation,
            evaluations,
            missing: Vec::new(),
            warned: BTreeSet::new(),
        })
    }
}

fn open_files(folder: &mut RunFolder, step: u64) -> Result<(MetricsWriter, JsonLines)> {
    Ok((folder.metrics(step)?, folder.quarantine()?))
}

/// Says of a source that is missing that nobody but the preset named it.
fn name_preset(error: Error, config: &Config) -> Error {
    match (error, config.origin("data.source")) {
        (Error::Data(DataError::NoSuchSource { spec: images, .. }), Origin::Preset(preset)) => {
            Error::NoImagesOfPreset { preset, images }
        }
        (error, _) => error,
    }
}

/// Opens the labelled images. If they are optional, the run goes on without those that cannot be used.
fn open_evaluation(
    config: &Config,
    is_optional: bool,
    mut sources: Sources,
    report: &mut dyn FnMut(Event),
) -> Result<Option<Evaluation>> {
    let open = &mut |source: &str| sources.open(source);
    let data = match evaluation::open_with(config, evaluation::probes(config), open) {
        Err(error) if is_optional => {
            let probes = evaluation::probes(config);
            let titles: Vec<_> = probes.iter().map(|probe| probe.title()).collect();
            let text = format!("the run goes on without {}: {error}", titles.join(", "));
            report(Event::Warning(text));
            return Ok(None);
        }
        data => data?,
    };
    let sentences = |data: &Evaluation| [data.warnings(), data.without_label()].concat();
    for text in data.iter().flat_map(sentences) {
        report(Event::Warning(text));
    }
    Ok(data)
}
