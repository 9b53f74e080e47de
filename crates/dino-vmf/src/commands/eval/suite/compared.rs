//! Compares the checkpoints of a suite: a table for each data set, as a page, as JSON and as text.

use askama::Template;
use probe::bootstrap::Difference;
use report::page::{Grid, Page, Table, filters};
use serde::Serialize;

use super::cells::Cell;
use super::file::Data;
use super::tasks::{TASKS, find};

/// What a reader must know about the marks.
const MARKS: &str = "Percent of the test images; ± is the standard deviation of the draws. Behind a number stands its \
                     difference from the best one with an interval of 95 % by the paired bootstrap over the test images. \
                     An interval that holds 0 is no difference. The best of many numbers looks a little better than it is.";

/// Everything about one data set.
pub(super) struct Compared<'a> {
    pub(super) data: &'a Data,
    /// By task, then by checkpoint.
    pub(super) cells: Vec<Vec<&'a Cell>>,
}

/// A cell beside the best of its task.
#[derive(Debug, Serialize)]
pub(super) struct Judged<'a> {
    data: &'a str,
    task: &'a str,
    checkpoint: &'a str,
    /// Accuracy in percent; `null` if it failed.
    value: Option<f64>,
    deviation: Option<f64>,
    draws: &'a [f64],
    best: bool,
    /// From the best one.
    difference: Option<Difference>,
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "suite.html")]
pub(super) struct Content {
    sections: Vec<Section>,
    protocols: Table,
}

struct Section {
    title: String,
    note: String,
    grid: Grid,
}

/// All cells beside the best ones.
pub(super) fn judge<'a>(all: &[Compared<'a>], names: &'a [String], seed: u64) -> Vec<Judged<'a>> {
    let mut judged = Vec::new();
    for Compared { data, cells } in all {
        for (task, cells) in data.tasks.iter().zip(cells) {
            let finished = cells.iter().filter(|cell| cell.error.is_none());
            let best = finished.reduce(|a, b| if b.value() > a.value() { b } else { a });
            for (cell, name) in cells.iter().zip(names) {
                let is_best = best.is_some_and(|best| std::ptr::eq(*best, *cell));
                let others = best.filter(|_| !is_best && cell.error.is_none());
                let others = others.filter(|best| best.hits.len() == cell.hits.len());
                let difference =
                    others.map(|best| Difference::paired(&cell.credits(), &best.credits(), seed));
                judged.push(Judged {
                    data: &data.name,
                    task,
                    checkpoint: name,
                    value: cell.error.is_none().then(|| cell.value()),
                    deviation: cell.deviation().filter(|_| cell.error.is_none()),
                    draws: &cell.draws,
                    best: is_best,
                    difference,
                    error: cell.error.as_deref(),
                });
            }
        }
    }
    judged
}

impl Judged<'_> {
    /// The number in a table.
    pub(super) fn text(&self) -> String {
        let Some(value) = self.value else { return "failed".to_owned() };
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

/// The table of a data set: checkpoints below each other.
pub(super) fn rows(data: &Data, judged: &[Judged<'_>], names: &[String]) -> Vec<Vec<String>> {
    let cell = |name: &str, task: &str| {
        let of = |cell: &&Judged<'_>| {
            cell.data == data.name && cell.task == task && cell.checkpoint == name
        };
        judged.iter().find(of).map_or(String::new(), Judged::text)
    };
    let row = |name: &String| {
        let cells = data.tasks.iter().map(|task| cell(name, task));
        std::iter::once(name.clone()).chain(cells).collect()
    };
    names.iter().map(row).collect()
}

/// The names of the columns of a data set.
pub(super) fn head(data: &Data) -> Vec<String> {
    let titles = data.tasks.iter().filter_map(|task| find(task)).map(|task| task.title.to_owned());
    std::iter::once("checkpoint".to_owned()).chain(titles).collect()
}

/// The page.
pub(super) fn page(
    title: String,
    all: &[Compared<'_>],
    judged: &[Judged<'_>],
    names: &[String],
) -> Page<Content> {
    let section = |Compared { data, .. }: &Compared<'_>| {
        let Data { name, train, test, resize, crop, max_train, max_test, .. } = data;
        let of = |what: &str, value: &Option<usize>| {
            value.map_or(String::new(), |value| format!(", {what} {value}"))
        };
        let failed = judged.iter().filter(|cell| cell.data == *name);
        let failed = failed.filter_map(|cell| {
            let reason = cell.error?;
            Some(format!(" {} of `{}` failed: {reason}.", cell.task, cell.checkpoint))
        });
        let note = format!(
            "Learned from `{train}`, tested on `{test}`{}{}{}{}.{}",
            of("resize", resize),
            of("crop", crop),
            of("training images at most", max_train),
            of("test images at most", max_test),
            failed.collect::<String>()
        );
        let grid =
            Grid { caption: name.clone(), head: head(data), rows: rows(data, judged, names) };
        Section { title: name.clone(), note, grid }
    };
    let used = TASKS
        .iter()
        .filter(|task| all.iter().any(|of| of.data.tasks.iter().any(|name| name == task.name)));
    let rows = used.map(|task| vec![task.title.to_owned(), task.protocol.to_owned()]).collect();
    let protocols = Table { head: vec!["task", "protocol"], rows };
    let content = Content { sections: all.iter().map(section).collect(), protocols };
    Page { title, subtitle: MARKS.to_owned(), content }
}
