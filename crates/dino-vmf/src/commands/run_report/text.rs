//! The table of runs on the terminal, and a record of each for programs.

use report::number::{duration, short};
use report::{History, Metric};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::evaluations::{Scored, headlines, scored};
use super::run::Run;

/// Values that stand behind the evaluations: speed, time, alarms.
const BEHIND: usize = 3;

/// Values of a run that the table and the tiles show, each with its name.
pub(super) fn values(run: &Run) -> Vec<(&'static str, String)> {
    let History { last_step, .. } = run.history;
    let last = |metric| run.history.last(metric).map_or("-".to_owned(), short);
    let chance = short(run.config.chance_loss());
    vec![
        ("step", last_step.to_string()),
        ("progress", run.state()),
        ("loss (chance)", format!("{} ({chance})", last(Metric::Loss))),
        ("entropy", last(Metric::TeacherEntropy)),
        ("KL", last(Metric::Kl)),
        ("prototypes in use", last(Metric::PrototypesInUse)),
        ("images/s", run.images_per_second().map_or("-".to_owned(), short)),
        ("time", run.seconds().map_or("-".to_owned(), duration)),
        ("alarms", text_or(run.alarms().join(", "), "none")),
    ]
}

/// The names of the values of all runs, and the values of each: evaluations stand between training and speed.
pub(super) fn comparison(runs: &[Run]) -> (Vec<String>, Vec<Vec<String>>) {
    let headlines = headlines(runs);
    let names = |run: &Run| values(run).into_iter().map(|(name, _)| name.to_owned());
    let mut head: Vec<String> = runs.first().into_iter().flat_map(names).collect();
    let place = head.len().saturating_sub(BEHIND);
    head.splice(
        place..place,
        headlines.iter().map(|of| format!("{} (untrained, raw)", of.title())),
    );
    let rows = runs.iter().map(|run| {
        let mut row: Vec<String> = values(run).into_iter().map(|(_, value)| value).collect();
        let score = |name| scored(run, name).map_or("-".to_owned(), |of| of.in_short());
        row.splice(place..place, headlines.iter().map(score));
        row
    });
    (head, rows.collect())
}

/// The table on the terminal: a column for each run, or a row where that is narrower.
pub(super) fn table(runs: &[Run]) -> Vec<String> {
    let (head, rows) = comparison(runs);
    let names = runs.iter().map(|run| run.name.clone());
    let row = |(name, row): (String, Vec<String>)| [name].into_iter().chain(row).collect();
    let mut by_run: Vec<Vec<String>> = vec![[String::new()].into_iter().chain(head).collect()];
    by_run.extend(names.zip(rows).map(row));
    let transposed =
        |place: usize| by_run.iter().map(|row: &Vec<String>| row[place].clone()).collect();
    let by_value: Vec<Vec<String>> = (0..by_run[0].len()).map(transposed).collect();
    let [by_run, by_value] = [by_run, by_value].map(|cells| aligned(&cells));
    let width = |lines: &[String]| lines.iter().map(|line| line.chars().count()).max();
    if width(&by_run) < width(&by_value) { by_run } else { by_value }
}

/// Lines of cells in columns.
fn aligned(cells: &[Vec<String>]) -> Vec<String> {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect()
}

/// What `--json` prints of a run.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    run: String,
    step: u64,
    goes_on: bool,
    chance_loss: f64,
    /// The last value of each metric.
    metrics: Map<String, Value>,
    /// The last value of each diagnosis.
    diagnostics: Map<String, Value>,
    evaluations: Vec<Scored>,
    images_per_second: Option<f64>,
    seconds: Option<f64>,
    /// Alarms that are raised now.
    alarms: Vec<String>,
    damaged_lines: usize,
}

/// The record of a run.
pub(super) fn record(run: &Run) -> Record {
    let last = |(key, series): (&String, &report::history::Series)| {
        series.last().map(|value| (key.clone(), json!(value)))
    };
    let History { last_step, metrics, diagnostics, damaged_lines, .. } = &run.history;
    Record {
        run: run.path.display().to_string(),
        step: *last_step,
        goes_on: run.goes_on,
        chance_loss: run.config.chance_loss(),
        metrics: metrics.iter().filter_map(last).collect(),
        diagnostics: diagnostics.iter().filter_map(last).collect(),
        evaluations: super::evaluations::all(run),
        images_per_second: run.images_per_second(),
        seconds: run.seconds(),
        alarms: run.alarms(),
        damaged_lines: *damaged_lines,
    }
}

fn text_or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}
