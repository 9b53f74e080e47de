//! k-NN during training. An evaluation that fails is a warning: training goes on.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;

use super::super::events::{Event, KnnRecord, KnnSummary};
use super::Run;
use crate::error::Result;
use crate::eval::features::Extractor;
use crate::eval::knn::{self, Score};
use crate::model::init;

impl Run<'_> {
    /// Raw pixels and the untrained backbone: what training has to beat.
    pub(super) fn evaluate_baselines(
        &mut self,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<(f64, f64)>> {
        let raw = self.evaluate("raw", report)?;
        let untrained = self.evaluate("untrained", report)?;
        Ok(raw.zip(untrained))
    }

    /// Top-1 of these features, reported and written down; nothing without labelled images, if the
    /// evaluation fails, or if the run is stopped meanwhile.
    ///
    /// # Errors
    /// If the result cannot be written down.
    pub(super) fn evaluate(
        &mut self,
        features: &'static str,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<f64>> {
        let step = self.state.step;
        let scores = match self.scores(features, report) {
            Ok(Some(scores)) => scores,
            Ok(None) => return Ok(None),
            Err(reason) => {
                let failed = json!({ "features": features, "reason": reason });
                self.metrics.write(step, &json!({ "evaluation_failed": failed }))?;
                let text = format!("k-NN of {features} features failed at step {step}: {reason}");
                report(Event::Warning(text));
                return Ok(None);
            }
        };
        let top1 = knn::headline(&scores).map(|score| score.top1);
        let record = KnnRecord { step, features, scores };
        self.metrics.write(step, &json!({ "knn": record }))?;
        report(Event::Knn(record));
        Ok(top1)
    }

    /// The scores of these features; why there are none, in words, if that is nobody's wish.
    fn scores(
        &self,
        features: &'static str,
        report: &mut dyn FnMut(Event),
    ) -> Result<Option<Vec<Score>>, String> {
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
        // An evaluation changes nothing of the run, so a panic in it leaves the run whole.
        let evaluate = AssertUnwindSafe(|| data.evaluate(extractor, &mut progress));
        match catch_unwind(evaluate) {
            Ok(scores) => scores.map_err(|error| error.to_string()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Err(format!("it ended by a panic: {}", text.unwrap_or("no message")))
            }
        }
    }

    pub(super) fn summarize(
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
