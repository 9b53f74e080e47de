//! Compares the features of a run with those of the checkpoint that it started from.

use std::ops::ControlFlow;

use probe::{Encoder, Kind, Pass, Progress, Subset, Views, Wanted};
use serde_json::json;

use super::super::events::{Event, Headline};
use super::super::step::{State, Training};
use super::Run;
use crate::checkpoint;
use crate::config::{During, GuardAction};
use crate::error::{Error, Result};
use crate::evaluation;
use crate::monitor::diagnostics::norm;
use crate::start::guard::{IMAGES, Measure, Record};
use crate::start::{self, settings};

/// The state before the first step: the weights of a checkpoint, with a record of it, or random ones.
///
/// # Errors
/// The checkpoint cannot be read, or has another network than the settings.
pub(super) fn first_state(training: &Training) -> Result<(State, Option<Record>)> {
    let Some(opened) = start::open(&training.config)? else {
        return Ok((training.initial_state(), None));
    };
    settings::check(&training.config, &opened)?;
    let state = start::state(training, &opened);
    let checkpoint = format!("{}, {}", opened.path.display(), opened.origin);
    let record = Record::new(checkpoint, norm(&state.student));
    Ok((state, Some(record)))
}

impl Run<'_> {
    /// Measures the features of the checkpoint, before the first step.
    pub(super) fn measure_start(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        let Some(record) = &self.start else { return Ok(()) };
        record.write(self.folder.path())?;
        let guarded = self.config().init.guard != GuardAction::Off;
        let scores = if guarded { self.evaluate_start(report)? } else { None };
        self.compare_with_start(scores.as_deref(), report)
    }

    /// Compares the features of the teacher with those of the start; `scores` are those of the probes on labelled
    /// images. Worse features are reported, and end the run with `init.guard = "stop"`.
    ///
    /// # Errors
    /// [`Error::Worse`]; if the result cannot be written down.
    pub(super) fn compare_with_start(
        &mut self,
        scores: Option<&[Headline]>,
        report: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let (step, action) = (self.state.step, self.config().init.guard);
        let is_comparable = self.start.as_ref().is_some_and(|start| step == 0 || start.has_start());
        if !is_comparable || action == GuardAction::Off {
            return Ok(());
        }
        let measure = match (&self.evaluation, scores) {
            (Some(_), scores) => {
                let knn = |of: &&Headline| of.probe == During::Knn.name();
                let of = scores.and_then(|all| all.iter().find(knn).or(all.first()));
                of.map(|of| Measure::Accuracy(of.score.value))
            }
            (None, _) => self.measure_geometry(report)?,
        };
        let Some((measure, record)) = measure.zip(self.start.as_mut()) else { return Ok(()) };
        let found = record.add(step, measure);
        record.write(self.folder.path())?;
        self.metrics.write(step, &json!({ "guard": found }))?;
        report(Event::Guard(found.clone()));
        match found.worse {
            Some(reason) if action == GuardAction::Stop => {
                self.save_if_new(report)?;
                let path = checkpoint::path_of(self.folder.path(), step);
                Err(Error::Worse { step, reason, path, best_step: found.best_step })
            }
            _ => Ok(()),
        }
    }

    /// RankMe and neighbors of the features of some of the run's images. `None` if somebody asks to stop, or if the
    /// images cannot be read, with a warning.
    fn measure_geometry(&mut self, report: &mut dyn FnMut(Event)) -> Result<Option<Measure>> {
        let images = Subset::new(self.dataset.clone(), Some(IMAGES), 0);
        let preprocess = evaluation::preprocess(self.config(), self.dataset.as_ref())?;
        let (network, params) = (&self.training.network, &self.state.teacher);
        let encoder = Encoder { name: "trained", network, params };
        let pass = Pass { images: &images, preprocess: &preprocess, views: Views::Square };
        let mut show = |done, total| {
            report(Event::Evaluating { what: "trained", done, total });
            if self.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let wanted = [Wanted { kind: Kind::Cls, unit: false }];
        let progress = &mut Progress::new(images.len(), &mut show);
        let extracted = pass.extract(&[&encoder], &wanted, progress);
        let checked = extracted.and_then(|found| found.passed.require_finite().map(|()| found));
        let features = match checked {
            Ok(found) => found.features.into_iter().flatten().next(),
            Err(probe::Error::Stopped(_)) => None,
            Err(error) => {
                let text = format!("features are not compared with those of the start: {error}");
                report(Event::Warning(text));
                None
            }
        };
        Ok(features.zip(self.start.as_mut()).map(|(found, start)| start.geometry(found.rows)))
    }
}
