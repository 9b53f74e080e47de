//! Compares the checkpoints of a suite: a table for each entry, as a page, as JSON and as text.

use askama::Template;
use probe::bootstrap::Difference;
use report::page::{Grid, Page, Table, filters};
use serde::Serialize;

use super::super::score::Score;
use super::cells::Cell;

/// What a reader must know about the marks.
const MARKS: &str = "Percent; ± is the standard deviation of the draws, and of the seeds where checkpoints differ by \
                     their seed alone. Behind a number stands its difference from the best one with an interval of 95 % \
                     by the paired bootstrap over the test images, queries or objects. An interval that holds 0 shows no \
                     difference. The best of many numbers looks a little better than it is.";

/// Everything about one entry of the suite.
pub(super) struct Compared<'a> {
    pub(super) name: &'a str,
    /// What was measured on which images, as sentences.
    pub(super) note: String,
    pub(super) columns: Vec<Column<'a>>,
}

/// One number of all checkpoints.
pub(super) struct Column<'a> {
    /// Name of the task.
    task: &'a str,
    title: &'a str,
    /// Of each checkpoint.
    outcomes: Vec<Outcome<'a>>,
}

/// What a task gave for a checkpoint.
#[derive(Clone, Copy)]
enum Outcome<'a> {
    Measured(&'a Score),
    /// The task has no such number for this checkpoint.
    Absent,
    /// Why the task failed.
    Failed(&'a str),
}

/// A number beside the best of its column.
#[derive(Debug, Serialize)]
pub(super) struct Judged<'a> {
    data: &'a str,
    task: &'a str,
    column: &'a str,
    checkpoint: &'a str,
    /// Percent; `null` if it failed, or is not measured for this checkpoint.
    value: Option<f64>,
    deviation: Option<f64>,
    draws: &'a [f64],
    best: bool,
    /// What it is measured on.
    counts: &'a str,
    /// From the best one.
    difference: Option<Difference>,
    error: Option<&'a str>,
}

/// Numbers of checkpoints that differ by their seed alone.
#[derive(Debug, Serialize)]
pub(super) struct OverSeeds<'a> {
    data: &'a str,
    column: &'a str,
    checkpoints: Vec<&'a str>,
    /// Percent.
    mean: f64,
    deviation: f64,
}

#[derive(Template)]
#[template(path = "suite.html")]
pub(super) struct Content {
    sections: Vec<Section>,
    checkpoints: Table,
    protocols: Table,
    settings: Option<Grid>,
}

/// What stands below the results.
pub(super) struct About {
    /// Name of each checkpoint, and its file and origin.
    pub(super) checkpoints: Vec<Vec<String>>,
    /// Title and protocol of each task.
    pub(super) protocols: Vec<Vec<String>>,
    /// The settings in which the runs differ.
    pub(super) settings: Option<Grid>,
}

struct Section {
    title: String,
    note: String,
    grid: Grid,
}

/// The columns of a task, whose cells are those of the checkpoints: one for each number that a checkpoint has, and one
/// named `title` if all have failed.
pub(super) fn columns<'a>(task: &'a str, title: &'a str, cells: &[&'a Cell]) -> Vec<Column<'a>> {
    let mut titles: Vec<&str> = Vec::new();
    for score in cells.iter().flat_map(|cell| &cell.scores) {
        if !titles.contains(&score.column.as_str()) {
            titles.push(&score.column);
        }
    }
    if titles.is_empty() {
        titles.push(title);
    }
    let outcome = |cell: &&'a Cell, title: &str| match &cell.error {
        Some(error) => Outcome::Failed(error),
        None => cell
            .scores
            .iter()
            .find(|score| score.column == title)
            .map_or(Outcome::Absent, Outcome::Measured),
    };
    let column = |title| {
        let outcomes = cells.iter().map(|cell| outcome(cell, title)).collect();
        Column { task, title, outcomes }
    };
    titles.into_iter().map(column).collect()
}

impl Compared<'_> {
    /// What the numbers are measured on, as sentences: once if it is the same for all columns.
    fn counts(&self) -> Vec<String> {
        let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
        for column in &self.columns {
            let scores = column.outcomes.iter().filter_map(Outcome::score);
            for score in scores.filter(|score| !score.counts.is_empty()) {
                match found.iter_mut().find(|(counts, _)| *counts == score.counts) {
                    Some((_, titles)) if titles.contains(&column.title) => {}
                    Some((_, titles)) => titles.push(column.title),
                    None => found.push((&score.counts, vec![column.title])),
                }
            }
        }
        match &found[..] {
            [(counts, _)] => vec![format!("Measured on {counts}.")],
            _ => {
                let of = |(counts, titles): &(&str, Vec<&str>)| {
                    format!("{}: {counts}.", titles.join("; "))
                };
                found.iter().map(of).collect()
            }
        }
    }

    /// What failed, as sentences.
    fn failures(&self, names: &[String]) -> Vec<String> {
        let of_column = |column: &Column<'_>| -> Vec<String> {
            let outcomes = column.outcomes.iter().zip(names);
            let failed = outcomes.filter_map(|(outcome, name)| match outcome {
                Outcome::Failed(error) => {
                    Some(format!("{} of `{name}` failed: {error}.", column.task))
                }
                Outcome::Measured(_) | Outcome::Absent => None,
            });
            failed.collect()
        };
        let mut failures: Vec<String> = self.columns.iter().flat_map(of_column).collect();
        // The columns of a task fail together.
        failures.dedup();
        failures
    }
}

impl<'a> Column<'a> {
    /// The numbers of its checkpoints beside the best one.
    fn judge(&self, data: &'a str, names: &'a [String], seed: u64) -> Vec<Judged<'a>> {
        let measured: Vec<&Score> = self.outcomes.iter().filter_map(Outcome::score).collect();
        // One alone is not the best of anything.
        let several = measured.iter().copied().filter(|_| measured.len() > 1);
        let best = several.reduce(|a, b| if b.value() > a.value() { b } else { a });
        let judge = |(outcome, checkpoint): (&Outcome<'a>, &'a String)| {
            let score = outcome.score();
            let is_best =
                best.zip(score).is_some_and(|(best, score)| best.value() == score.value());
            let others = best.zip(score).filter(|(best, score)| {
                !is_best && !score.credits.is_empty() && best.credits.len() == score.credits.len()
            });
            let difference =
                others.map(|(best, score)| Difference::paired(&score.credits, &best.credits, seed));
            Judged {
                data,
                task: self.task,
                column: self.title,
                checkpoint,
                value: score.map(Score::value),
                deviation: score.and_then(Score::deviation),
                draws: score.map_or(&[], |score| &score.draws),
                best: is_best,
                counts: score.map_or("", |score| &score.counts),
                difference,
                error: if let Outcome::Failed(error) = outcome { Some(error) } else { None },
            }
        };
        self.outcomes.iter().zip(names).map(judge).collect()
    }

    /// Mean and spread over checkpoints at these places, if all of them have a number.
    fn over_seeds(
        &self,
        data: &'a str,
        places: &[usize],
        names: &'a [String],
    ) -> Option<OverSeeds<'a>> {
        let value = |place: &usize| self.outcomes[*place].score().map(Score::value);
        let draws = places.iter().map(value).collect::<Option<Vec<_>>>()?;
        let seeds =
            Score { column: String::new(), draws, credits: Vec::new(), counts: String::new() };
        Some(OverSeeds {
            data,
            column: self.title,
            checkpoints: places.iter().map(|&place| names[place].as_str()).collect(),
            mean: seeds.value(),
            deviation: seeds.deviation()?,
        })
    }
}

impl<'a> Outcome<'a> {
    fn score(&self) -> Option<&'a Score> {
        if let Self::Measured(score) = self { Some(score) } else { None }
    }
}

/// All numbers beside the best ones.
pub(super) fn judge<'a>(all: &[Compared<'a>], names: &'a [String], seed: u64) -> Vec<Judged<'a>> {
    let of = |compared: &Compared<'a>| -> Vec<Judged<'a>> {
        compared.columns.iter().flat_map(|of| of.judge(compared.name, names, seed)).collect()
    };
    all.iter().flat_map(of).collect()
}

/// Mean and spread of the checkpoints that differ by their seeds, whose places are given for each kind.
pub(super) fn over_seeds<'a>(
    all: &[Compared<'a>],
    kinds: &[Vec<usize>],
    names: &'a [String],
) -> Vec<OverSeeds<'a>> {
    let of = |compared: &Compared<'a>| -> Vec<OverSeeds<'a>> {
        let of_kind = |places: &Vec<usize>| {
            let of = |column: &Column<'a>| column.over_seeds(compared.name, places, names);
            compared.columns.iter().filter_map(of).collect::<Vec<_>>()
        };
        kinds.iter().flat_map(of_kind).collect()
    };
    all.iter().flat_map(of).collect()
}

impl OverSeeds<'_> {
    /// The number in a table.
    fn text(&self) -> String {
        format!("{:.2} ± {:.2}", self.mean, self.deviation)
    }
}

impl Judged<'_> {
    /// The number in a table.
    fn text(&self) -> String {
        let Some(value) = self.value else {
            return if self.error.is_some() { "failed" } else { "not measured" }.to_owned();
        };
        let spread = self.deviation.map_or(String::new(), |spread| format!(" ± {spread:.2}"));
        let mark = match &self.difference {
            _ if self.best => ", best".to_owned(),
            None => String::new(),
            Some(Difference { mean, low, high }) => {
                format!(" ({mean:+.2}: {low:+.2} to {high:+.2})")
            }
        };
        format!("{value:.2}{spread}{mark}")
    }
}

/// The table of an entry: checkpoints below each other, and below them the means over seeds.
pub(super) fn grid(
    of: &Compared<'_>,
    judged: &[Judged<'_>],
    kinds: &[Vec<usize>],
    names: &[String],
) -> Grid {
    let titles = of.columns.iter().map(|column| column.title.to_owned());
    let head = std::iter::once("checkpoint".to_owned()).chain(titles).collect();
    let cell = |name: &str, column: &Column<'_>| {
        let is = |cell: &&Judged<'_>| {
            cell.data == of.name
                && (cell.task, cell.column) == (column.task, column.title)
                && cell.checkpoint == name
        };
        judged.iter().find(is).map_or(String::new(), Judged::text)
    };
    let row = |name: &String| {
        let cells = of.columns.iter().map(|column| cell(name, column));
        std::iter::once(name.clone()).chain(cells).collect()
    };
    let mut rows: Vec<Vec<String>> = names.iter().map(row).collect();
    for places in kinds {
        let seeds = of.columns.iter().map(|column| column.over_seeds(of.name, places, names));
        let seeds: Vec<Option<OverSeeds<'_>>> = seeds.collect();
        if let Some(some) = seeds.iter().flatten().next() {
            let kind = &some.checkpoints;
            let name = format!("mean of {} seeds: {}", kind.len(), kind.join(", "));
            let cells = seeds.iter().map(|of| of.as_ref().map_or(String::new(), OverSeeds::text));
            rows.push(std::iter::once(name).chain(cells).collect());
        }
    }
    Grid { caption: of.name.to_owned(), head, rows }
}

/// A page with these tables.
pub(super) fn page(
    names: &[String],
    sections: Vec<(&Compared<'_>, Grid)>,
    About { checkpoints, protocols, settings }: About,
) -> Page<Content> {
    let section = |(of, grid): (&Compared<'_>, Grid)| {
        let mut note = vec![of.note.clone()];
        note.extend(of.counts());
        note.extend(of.failures(names));
        Section { title: of.name.to_owned(), note: note.join(" "), grid }
    };
    let protocols = Table { head: vec!["task", "protocol"], rows: protocols };
    let checkpoints = Table { head: vec!["checkpoint", "file"], rows: checkpoints };
    let sections = sections.into_iter().map(section).collect();
    let content = Content { sections, checkpoints, protocols, settings };
    let title = match names.len() {
        1 => "One checkpoint".to_owned(),
        count => format!("{count} checkpoints compared"),
    };
    Page { title, subtitle: MARKS.to_owned(), content }
}
