//! Which plots the page has, in groups.

use report::Metric;
use report::metrics::Unit;
use report::page::{Figure, Figures};

use super::evaluations::shown;
use super::figures::{self, Subject, last_value};
use super::run::Run;

/// Metrics of the loss and of the assignments.
const TRAINING: [Metric; 12] = [
    Metric::Loss,
    Metric::TeacherEntropy,
    Metric::Kl,
    Metric::PrototypesInUse,
    Metric::AssignmentEntropy,
    Metric::FeatureStd,
    Metric::ImageAgreement,
    Metric::GradNorm,
    Metric::PatchLoss,
    Metric::PatchTeacherEntropy,
    Metric::PatchPrototypesInUse,
    Metric::KappaMax,
];
/// Metrics that follow from the settings.
const SCHEDULES: [Metric; 4] =
    [Metric::Lr, Metric::WeightDecay, Metric::Momentum, Metric::TeacherTemp];
/// Metrics of speed.
const SPEED: [Metric; 3] = [Metric::ImagesPerSecond, Metric::DataWaitShare, Metric::MemoryMib];

/// Diagnoses: path, title, unit, meaning.
const DIAGNOSES: [(&str, &str, &str, &str); 6] = [
    (
        "unique.at_0_975",
        "Unique prototypes",
        "count",
        "Prototypes that are left if those with a cosine above 0.975 count once, of those compared.",
    ),
    ("unique.at_0_9", "Unique prototypes, cosine 0.9", "count", "The same at a cosine of 0.9."),
    (
        "center_drift",
        "Movement of the center",
        "",
        "Root mean square of the center's movement since the diagnosis before.",
    ),
    (
        "rankme",
        "RankMe",
        "dimensions",
        "Effective number of dimensions of the teacher's CLS vectors of one batch.",
    ),
    (
        "teacher_distance",
        "Distance of teacher and student",
        "",
        "Distance of their weights, relative to the norm of the student's.",
    ),
    ("weight_norm", "Norm of the weights", "", "Euclidean norm of all weights of the student."),
];

/// Plots with a title.
pub(super) struct Group {
    /// Its anchor.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) figures: Figures,
    /// What stands in place of plots; empty if there are some.
    pub(super) missing: &'static str,
}

/// All groups with something to show or to say.
pub(super) fn groups(runs: &[Run]) -> Vec<Group> {
    let of = |metrics: &[Metric]| metrics.iter().filter_map(|of| metric(runs, *of)).collect();
    let evaluations = shown(runs);
    let evaluations = evaluations.iter().filter_map(|name| figures::evaluation(runs, name));
    let group = |id, title, figures: Vec<Figure>, missing| {
        let missing = if figures.is_empty() { missing } else { "" };
        Group { id, title, figures: Figures(figures), missing }
    };
    let mut groups = vec![
        group("training", "Training", of(&TRAINING), "No step has been reported yet."),
        group(
            "evaluations",
            "Evaluations",
            evaluations.collect(),
            "No trained network has been evaluated yet. Runs are evaluated at their end, or every \
             `eval.every_epochs`, if `eval.train` and `eval.test` name labelled images.",
        ),
        group(
            "prototypes",
            "Prototypes and features",
            diagnoses(runs),
            "No diagnosis has been made yet; `run.diagnose_every_steps` says how often they are.",
        ),
        group("schedules", "Schedules", of(&SCHEDULES), ""),
        group("speed", "Speed and memory", of(&SPEED), ""),
        group("others", "Others", others(runs), ""),
    ];
    groups.retain(|group| !group.figures.0.is_empty() || !group.missing.is_empty());
    groups
}

fn metric(runs: &[Run], metric: Metric) -> Option<Figure> {
    let unit = metric.unit();
    let title = title(metric.key());
    let mut note = metric.meaning().replace("\\[", "[").replace("\\]", "]");
    if note.trim_end_matches('.') == title {
        note.clear();
    }
    if let [run] = runs {
        note += &last_value(run, run.history.metrics.get(metric.key()));
    }
    let subject = Subject {
        title,
        unit: if unit == Unit::None { "" } else { unit.text() },
        note,
        references: references(runs, metric),
    };
    figures::series(runs, subject, |run| run.history.metrics.get(metric.key()))
}

/// Values of a student or teacher that prefers no prototype, where all runs have the same.
fn references(runs: &[Run], metric: Metric) -> Vec<(f64, String)> {
    let of_run = |run: &Run| match metric {
        Metric::Loss => Some(run.config.chance_loss()),
        Metric::TeacherEntropy => Some((run.config.model.prototypes as f64).ln()),
        _ => None,
    };
    let mut values: Vec<f64> = runs.iter().filter_map(of_run).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let name = if metric == Metric::Loss { "chance" } else { "ln K" };
    values.into_iter().map(|value| (value, format!("{name} {value:.3}"))).collect()
}

fn diagnoses(runs: &[Run]) -> Vec<Figure> {
    let subject = |title: &str, unit, note: &str| Subject {
        title: title.to_owned(),
        unit,
        note: note.to_owned(),
        references: Vec::new(),
    };
    let kappa =
        subject("Concentration κ", "", "Median of all prototypes; the band holds half of them.");
    let extremes = subject(
        "Concentration κ, extremes",
        "",
        "Median of all prototypes; the band reaches from the least to the largest.",
    );
    let quantiles = [
        figures::quantiles(runs, kappa, ["kappa.q25", "kappa.q75"]),
        figures::quantiles(runs, extremes, ["kappa.min", "kappa.max"]),
    ];
    let others = DIAGNOSES.iter().filter_map(|(path, title, unit, note)| {
        figures::series(runs, subject(title, unit, note), |run| run.history.diagnostics.get(*path))
    });
    quantiles.into_iter().flatten().chain(others).collect()
}

/// Metrics that this version does not know.
fn others(runs: &[Run]) -> Vec<Figure> {
    let known = |key: &str| Metric::ALL.iter().any(|metric| metric.key() == key);
    let mut keys: Vec<&String> = runs.iter().flat_map(|run| run.history.metrics.keys()).collect();
    keys.retain(|key| !known(key));
    keys.sort();
    keys.dedup();
    let figure = |key: &String| {
        let subject =
            Subject { title: title(key), unit: "", note: String::new(), references: Vec::new() };
        figures::series(runs, subject, |run| run.history.metrics.get(key))
    };
    keys.into_iter().filter_map(figure).collect()
}

/// A key in words.
fn title(key: &str) -> String {
    match key {
        "kl" => "KL divergence".to_owned(),
        "lr" => "Learning rate".to_owned(),
        "teacher_temp" => "Temperature of the teacher".to_owned(),
        "kappa_max" => "Largest concentration κ".to_owned(),
        "feature_std" => "Spread of features".to_owned(),
        "grad_norm" => "Norm of the gradient".to_owned(),
        "memory_mib" => "Memory".to_owned(),
        _ => {
            let words = key.replace('_', " ");
            let mut letters = words.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        }
    }
}
