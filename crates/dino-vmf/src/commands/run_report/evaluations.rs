//! Evaluations of runs: their names, their last numbers beside the baselines, and their course.

use report::history::Evaluation;
use serde::Serialize;

use super::run::Run;

/// Features that are compared with trained ones.
const RAW: &str = "raw";
const UNTRAINED: &str = "untrained";
const START: &str = "start";
const TRAINED: &str = "trained";
/// The spread of a number over draws.
const DEVIATION: &str = "deviation";
/// The setting that DINO reports.
const USUAL: &str = "k = 20";

/// The name of a number: probe, setting, score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Name {
    pub(super) probe: String,
    pub(super) setting: String,
    pub(super) score: String,
}

/// A number of a run with its baselines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Scored {
    #[serde(flatten)]
    pub(super) name: Name,
    pub(super) raw: Option<f64>,
    pub(super) untrained: Option<f64>,
    /// Of the checkpoint that the run started from.
    pub(super) start: Option<f64>,
    /// The last number, and the steps done then.
    pub(super) trained: Option<f64>,
    pub(super) step: Option<u64>,
    /// The highest number, and the steps done then; nothing if a higher one is no better.
    pub(super) highest: Option<f64>,
    pub(super) highest_step: Option<u64>,
}

impl Name {
    fn of(evaluation: &Evaluation) -> Self {
        let Evaluation { probe, setting, score, .. } = evaluation;
        Self { probe: probe.clone(), setting: setting.clone(), score: score.clone() }
    }

    /// Its words: `k-NN top1, k = 20`.
    pub(super) fn title(&self) -> String {
        let probe = match self.probe.as_str() {
            "knn" => "k-NN",
            "linear" => "linear probe",
            "logistic" => "logistic regression",
            "fewshot" => "few-shot",
            other => other,
        };
        let setting = if self.setting.is_empty() { "" } else { ", " };
        format!("{probe} {}{setting}{}", self.score, self.setting)
    }

    fn is_of(&self, evaluation: &Evaluation) -> bool {
        self.probe == evaluation.probe
            && self.setting == evaluation.setting
            && self.score == evaluation.score
    }
}

impl Scored {
    /// What it is compared with, in words.
    pub(super) fn baselines(&self) -> String {
        let of = [("untrained", self.untrained), ("raw pixels", self.raw), ("start", self.start)];
        let words =
            of.into_iter().filter_map(|(name, value)| Some(format!("{name} {:.2}", value?)));
        words.collect::<Vec<_>>().join(", ")
    }

    /// The last number and, in brackets, what it is compared with.
    pub(super) fn in_short(&self) -> String {
        let text = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
        let [trained, untrained, raw] = [self.trained, self.untrained, self.raw].map(text);
        format!("{trained} ({untrained}, {raw})")
    }
}

/// The names of all numbers of these runs, in the order in which they come first.
pub(super) fn names(runs: &[Run]) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for evaluation in runs.iter().flat_map(|run| &run.history.evaluations) {
        if !names.iter().any(|name| name.is_of(evaluation)) {
            names.push(Name::of(evaluation));
        }
    }
    names
}

/// One setting of each probe, that with k = 20 or else the last one: all of its numbers.
pub(super) fn shown(runs: &[Run]) -> Vec<Name> {
    let names = names(runs);
    let setting_of = |probe: &str| {
        let settings = || names.iter().filter(|name| name.probe == probe).map(|name| &name.setting);
        settings().find(|setting| *setting == USUAL).or_else(|| settings().next_back())
    };
    let is_shown = |name: &&Name| setting_of(&name.probe) == Some(&name.setting);
    names.iter().filter(is_shown).cloned().collect()
}

/// The first number of each probe among the shown ones.
pub(super) fn headlines(runs: &[Run]) -> Vec<Name> {
    let mut names = shown(runs);
    names.dedup_by(|later, first| later.probe == first.probe);
    names
}

/// A number of a run; nothing if the run does not have it.
pub(super) fn scored(run: &Run, name: &Name) -> Option<Scored> {
    let of = || run.history.evaluations.iter().filter(|of| name.is_of(of));
    of().next()?;
    let last = |features| of().rfind(|of| of.features == features);
    let value = |features| last(features).map(|of| of.value);
    let trained = of().filter(|of| of.features == TRAINED && of.score != DEVIATION);
    // The first of equal ones.
    let highest = trained.reduce(|best, of| if of.value > best.value { of } else { best });
    Some(Scored {
        name: name.clone(),
        raw: value(RAW),
        untrained: value(UNTRAINED),
        start: value(START),
        trained: value(TRAINED),
        step: last(TRAINED).map(|of| of.step),
        highest: highest.map(|of| of.value),
        highest_step: highest.map(|of| of.step),
    })
}

/// All numbers of a run.
pub(super) fn all(run: &Run) -> Vec<Scored> {
    let names = names(std::slice::from_ref(run));
    names.iter().filter_map(|name| scored(run, name)).collect()
}

/// The number over steps: of the start or the untrained network first, if it was measured before step 1.
pub(super) fn course(run: &Run, name: &Name) -> Vec<(f64, f64)> {
    let trained = run.history.evaluations.iter().filter(|of| name.is_of(of));
    let mut points: Vec<(f64, f64)> = Vec::new();
    for of in trained.filter(|of| of.features == TRAINED) {
        points.retain(|(step, _)| *step < of.step as f64);
        points.push((of.step as f64, of.value));
    }
    points
}

/// The table of all numbers.
pub(super) fn table(runs: &[Run]) -> Vec<Vec<String>> {
    let text = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let at = |value: Option<f64>, step: Option<u64>| match (value, step) {
        (Some(value), Some(step)) => format!("{value:.2} at step {step}"),
        _ => "-".to_owned(),
    };
    let row = |run: &Run, of: &Scored| {
        vec![
            of.name.title(),
            run.name.clone(),
            text(of.raw),
            text(of.untrained),
            text(of.start),
            at(of.trained, of.step),
            at(of.highest, of.highest_step),
        ]
    };
    let names = names(runs);
    let rows = names.iter().flat_map(|name| {
        runs.iter().filter_map(move |run| scored(run, name).map(|of| row(run, &of)))
    });
    rows.collect()
}
