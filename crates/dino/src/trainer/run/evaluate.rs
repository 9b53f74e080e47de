//! Evaluations during training. One that fails is a warning: training goes on.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use probe::{Encoder, Judged, Judgment, Probe, RawPixels, Source};
use serde_json::{Map, json};

use super::super::events::{Event, Headline, Missing, ProbeRecord, ProbeSummary};
use super::{Run, shown};
use crate::error::Result;
use crate::evaluation;
use crate::memory;
use crate::run_folder::evaluations::Numbers;
use vit::init;

/// Whose features are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    RawPixels,
    Untrained,
    /// The checkpoint that the run starts from, before the first step.
    Start,
    Trained,
}

impl Subject {
    /// The name in `metrics.jsonl`, events and reports.
    fn name(self) -> &'static str {
        match self {
            Self::RawPixels => "raw",
            Self::Untrained => "untrained",
            Self::Start => "start",
            Self::Trained => "trained",
        }
    }
}

impl Run<'_> {
    /// Judges raw pixels and the untrained backbone, unless this was done before the run was resumed.
    ///
    /// # Errors
    /// If a result cannot be written down.
    pub(super) fn evaluate_baselines(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        for subject in [Subject::RawPixels, Subject::Untrained] {
            let known = self.evaluations.baseline(subject.name());
            let is_missing = |probe: &dyn Probe| {
                let applies = subject != Subject::RawPixels || probe.judges_pixels();
                applies && !known.contains_key(probe.name())
            };
            let probes = evaluation::probes(self.config());
            if probes.iter().any(|probe| is_missing(probe.as_ref())) {
                self.evaluate(subject, report)?;
            }
        }
        Ok(())
    }

    /// Judges the features of the checkpoint that the run starts from.
    ///
    /// # Errors
    /// If the result cannot be written down.
    pub(super) fn evaluate_start(
        &mut self,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<Vec<Headline>>> {
        self.evaluate(Subject::Start, report)
    }

    /// Judges the teacher.
    ///
    /// # Errors
    /// If the result cannot be written down.
    pub(super) fn evaluate_trained(
        &mut self,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<Vec<Headline>>> {
        self.evaluate(Subject::Trained, report)
    }

    /// One number of each probe, reported and written down. `None` without labelled images, if the
    /// evaluation fails, or if the run is stopped meanwhile.
    fn evaluate(
        &mut self,
        subject: Subject,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<Vec<Headline>>> {
        let (step, features) = (self.state.step, subject.name());
        let judged = match self.judge(subject, report) {
            Ok(Some(judged)) => judged,
            Ok(None) => return Ok(None),
            Err(reason) => {
                self.note_missing(Missing { features, step, reason }, report)?;
                return Ok(None);
            }
        };
        for text in judged.warnings {
            // Every evaluation leaves out the same images; one warning for each run is enough.
            if self.warned.insert(text.clone()) {
                report(Event::Warning(text));
            }
        }
        let mut headlines = Vec::new();
        for Judgment { probe, title, scores, headline, .. } in judged.judgments {
            let headline = headline.and_then(|scores| Headline::of(probe, title, &scores));
            headlines.extend(headline);
            let record = ProbeRecord { probe, headline, step, features, scores };
            self.metrics.write(step, &Map::from_iter([(probe.to_owned(), json!(record))]))?;
            self.metrics.events().scalars(step, &shown::scores(&record))?;
            report(Event::Scores(record));
        }
        let number = |of: &Headline| (of.probe.to_owned(), of.score.value);
        self.evaluations.add(features, step, headlines.iter().map(number).collect());
        self.evaluations.write(self.folder.path())?;
        Ok(Some(headlines))
    }

    /// Writes down that an evaluation failed, and warns of each reason once.
    fn note_missing(&mut self, missing: Missing, report: &mut dyn FnMut(Event)) -> Result<()> {
        let Missing { features, step, reason } = &missing;
        let failed = json!({ "features": features, "reason": reason });
        self.metrics.write(*step, &json!({ "evaluation_failed": failed }))?;
        if self.warned.insert(format!("{features}: {reason}")) {
            let titles = self.evaluation.iter().flat_map(|data| data.titles());
            let titles = titles.collect::<Vec<_>>().join(", ");
            let text = format!("{titles} of {features} features failed at step {step}: {reason}");
            report(Event::Warning(text));
        }
        self.missing.push(missing);
        Ok(())
    }

    /// The step of the checkpoint that `eval.keep_best` keeps.
    pub(super) fn best_step(&self) -> Option<u64> {
        self.evaluations.best_step(self.config().eval.keep_best?, self.folder.path())
    }

    /// What the probes say about these features. `Err` is a reason in words; `Ok(None)` means that
    /// somebody asked to stop or that there are no labelled images.
    fn judge(
        &self,
        subject: Subject,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<Judged>, String> {
        let Some(data) = &self.evaluation else { return Ok(None) };
        let (network, config) = (&self.training.network, &self.training.config);
        let drawn;
        let params = match subject {
            Subject::RawPixels | Subject::Start | Subject::Trained => &self.state.teacher,
            Subject::Untrained => {
                drawn = init::draw(network, config.seed, config.model.init_std);
                &drawn
            }
        };
        let encoder = Encoder { name: subject.name(), network, params };
        memory::require_during(&self.plan.config, data.size(), subject == Subject::RawPixels)
            .map_err(|error| error.to_string())?;
        let source: &dyn Source = if subject == Subject::RawPixels { &RawPixels } else { &encoder };
        let mut progress = |done, total| {
            report(Event::Evaluating { what: subject.name(), done, total });
            if self.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        // An evaluation changes nothing of the run, so a panic in it leaves the run whole.
        let judge = AssertUnwindSafe(|| data.judge(&[source], &mut progress));
        match catch_unwind(judge) {
            Ok(Ok(judged)) => Ok(Some(judged)),
            Ok(Err(probe::Error::Stopped(_))) => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Err(format!("it ended by a panic: {}", text.unwrap_or("no message")))
            }
        }
    }

    /// One number of each probe for the trained network, beside the baselines. `None` if there is none.
    ///
    /// # Errors
    /// If a result cannot be written down.
    pub(super) fn summarize(
        &mut self,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<Vec<ProbeSummary>>> {
        self.evaluate_baselines(report)?;
        let trained = self.evaluate(Subject::Trained, report)?;
        self.compare_with_start(trained.as_deref(), report)?;
        let baselines = [Subject::RawPixels, Subject::Untrained, Subject::Start];
        let baselines = baselines.map(|subject| self.evaluations.baseline(subject.name()));
        let summary = |headline: Headline| {
            let of = |numbers: &Numbers| numbers.get(headline.probe).copied();
            let [raw, untrained, start] = baselines.each_ref().map(of);
            ProbeSummary { headline, raw, untrained, start, trained: headline.score.value }
        };
        Ok(trained.map(|trained| trained.into_iter().map(summary).collect()))
    }

    /// The summaries by the names of their probes; `None` for probes without one.
    pub(super) fn by_probe(
        &self,
        summaries: Option<Vec<ProbeSummary>>,
    ) -> BTreeMap<&'static str, Option<ProbeSummary>> {
        let names = evaluation::probes(self.config()).into_iter().map(|probe| (probe.name(), None));
        let summaries = summaries.into_iter().flatten();
        names.chain(summaries.map(|found| (found.headline.probe, Some(found)))).collect()
    }
}
