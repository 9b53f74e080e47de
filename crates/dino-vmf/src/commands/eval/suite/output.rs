//! What a suite writes: a page, JSON, and tables as text.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use askama::Template;
use dino::config::Config;
use report::page::Grid;
use serde_json::json;

use super::super::super::settings;
use super::cells::{Cell, Cells, Key};
use super::classified::Warnings;
use super::compared::{self, About, Column, Compared};
use super::file::{Data, Entry};
use super::tasks::{TASKS, find};
use super::{Planned, Subject};
use crate::console::Console;

/// A suite that has run.
pub(super) struct Finished<'a> {
    pub(super) planned: &'a Planned,
    pub(super) subjects: &'a [Subject],
    pub(super) cells: &'a Cells,
    pub(super) warnings: Warnings,
}

/// Writes page and JSON, and prints the tables.
///
/// # Errors
/// A cell is missing, or a file cannot be written.
pub(super) fn conclude(
    suite: &Finished<'_>,
    (out, seed): (&Path, u64),
    console: &mut Console,
) -> Result<()> {
    let Finished { planned, subjects, .. } = *suite;
    let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
    let all = compare(suite)?;
    let judged = compared::judge(&all, &names, seed);
    let kinds = kinds(subjects);
    let seeds = compared::over_seeds(&all, &kinds, &names);
    let mut sections = Vec::new();
    for of in &all {
        let grid = compared::grid(of, &judged, &kinds, &names);
        print(of.name, &grid, console);
        sections.push((of, grid));
    }
    judged.iter().for_each(|cell| console.event("cell", cell));
    seeds.iter().for_each(|cell| console.event("seeds", cell));
    let about = About {
        checkpoints: checkpoints(subjects),
        protocols: protocols(planned),
        settings: differing(subjects),
    };
    let page = compared::page(&names, sections, about);
    let data: Vec<_> = planned.data.iter().map(|(data, _)| data).collect();
    let evals: Vec<_> = planned.evals.iter().map(|(entry, _)| &entry.written).collect();
    let record = json!({
        "version": env!("CARGO_PKG_VERSION"), "seed": seed, "checkpoints": names,
        "test": "paired bootstrap over test images, queries or objects, 95 %",
        "data": data, "eval": evals, "cells": judged, "seeds": seeds, "warnings": suite.warnings,
    });
    write(&out.join("suite.html"), &page.render()?)?;
    write(&out.join("suite.json"), &serde_json::to_string_pretty(&record)?)?;
    console.note(format!("page: {}", out.join("suite.html").display()));
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Prints a table, column by column: names and numbers of any length have a line.
fn print(name: &str, grid: &Grid, console: &mut Console) {
    console.text(name);
    let width = grid.rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
    for (column, title) in grid.head.iter().enumerate().skip(1) {
        console.text(format!("  {title}"));
        for row in grid.rows.iter().filter(|row| !row[column].is_empty()) {
            console.text(format!("    {:<width$}  {}", row[0], row[column]));
        }
    }
}

/// Name of each checkpoint, and its file and origin.
fn checkpoints(subjects: &[Subject]) -> Vec<Vec<String>> {
    let row = |Subject { name, opened, .. }: &Subject| {
        vec![name.clone(), format!("{}, {}", opened.path.display(), opened.origin)]
    };
    subjects.iter().map(row).collect()
}

/// The results of all entries.
fn compare<'a>(suite: &Finished<'a>) -> Result<Vec<Compared<'a>>> {
    let Finished { planned, subjects, cells, .. } = *suite;
    let of_task = |task: &str, fingerprint: &str| -> Result<Vec<&'a Cell>> {
        let cell = |subject: &Subject| {
            let key = Key::new(&subject.sha256, fingerprint, task);
            cells.newest(&key).context("a cell is missing")
        };
        subjects.iter().map(cell).collect()
    };
    let of_data = |(data, fingerprint): &'a (Data, String)| {
        let tasks = data.tasks.iter().filter_map(|name| find(name));
        let columns = tasks
            .map(|of| Ok(compared::columns(of.name, of.title, &of_task(of.name, fingerprint)?)));
        let columns: Vec<Vec<Column<'a>>> = columns.collect::<Result<_>>()?;
        Ok(Compared {
            name: &data.name,
            note: note(data, suite.warnings.get(&data.name)),
            columns: columns.into_iter().flatten().collect(),
        })
    };
    let of_entry = |(entry, fingerprint): &'a (Entry, String)| {
        let written = &entry.written;
        let found = of_task(&written.task, fingerprint)?;
        let columns = compared::columns(&written.task, entry.whole.title(), &found);
        let flags = written.flags.iter().map(|(key, value)| format!("`{key} = {value}`"));
        let flags: Vec<_> = flags.collect();
        let note = format!("`{}` with {}.", written.task, flags.join(", "));
        Ok(Compared { name: &written.name, note, columns })
    };
    let of_data = planned.data.iter().map(of_data);
    of_data.chain(planned.evals.iter().map(of_entry)).collect()
}

/// The images of a data set, and what is worth a warning, in sentences.
fn note(data: &Data, warnings: Option<&Vec<String>>) -> String {
    let Data { train, test, resize, crop, max_train, max_test, .. } = data;
    let of = |what: &str, value: &Option<usize>| {
        value.map_or(String::new(), |value| format!(", {what} {value}"))
    };
    let warnings = warnings.into_iter().flatten().map(|text| format!(" Warning: {text}."));
    format!(
        "Learned from `{train}`, tested on `{test}`{}{}{}{}.{}",
        of("resize", resize),
        of("crop", crop),
        of("training images at most", max_train),
        of("test images at most", max_test),
        warnings.collect::<String>(),
    )
}

/// The protocols of all tasks of the suite.
fn protocols(planned: &Planned) -> Vec<Vec<String>> {
    let is_used = |name: &str| {
        planned.data.iter().any(|(data, _)| data.tasks.iter().any(|task| task == name))
    };
    let of_tasks = TASKS.iter().filter(|task| is_used(task.name));
    let mut rows: Vec<_> = of_tasks.map(|task| (task.title, task.protocol)).collect();
    for (entry, _) in &planned.evals {
        let row = (entry.whole.title(), entry.whole.protocol());
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows.into_iter().map(|(title, protocol)| vec![title.to_owned(), protocol.to_owned()]).collect()
}

/// Places of the runs of this program.
fn runs(subjects: &[Subject]) -> impl Iterator<Item = (usize, &Config)> {
    let runs = subjects.iter().enumerate().filter(|(_, subject)| subject.opened.step.is_some());
    runs.map(|(place, subject)| (place, &subject.opened.config))
}

/// Places of checkpoints that differ by their seed alone: a list for each kind with several.
fn kinds(subjects: &[Subject]) -> Vec<Vec<usize>> {
    let mut kinds: Vec<Vec<usize>> = Vec::new();
    for (place, config) in runs(subjects) {
        let is_alike = |kind: &&mut Vec<usize>| {
            kind.iter().all(|&of| {
                let other = &subjects[of].opened;
                other.step == subjects[place].opened.step
                    && settings::differ_by_seed(&other.config, config)
            })
        };
        match kinds.iter_mut().find(is_alike) {
            Some(kind) => kind.push(place),
            None => kinds.push(vec![place]),
        }
    }
    kinds.retain(|kind| kind.len() > 1);
    kinds
}

/// The settings in which the runs differ; `None` for a single run.
fn differing(subjects: &[Subject]) -> Option<Grid> {
    let (places, configs): (Vec<usize>, Vec<&Config>) = runs(subjects).unzip();
    let names = places.iter().map(|&place| subjects[place].name.clone());
    (places.len() > 1)
        .then(|| settings::grid("settings that differ", names, settings::that_differ(&configs)))
}
