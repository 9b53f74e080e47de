//! `dino-vmf eval all`: a list of tasks on a list of checkpoints, compared on one page.

mod cells;
mod compared;
mod file;
mod tasks;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use askama::Template;
use clap::{Args, ValueHint};
use dino::config::Config;
use dino::open::{Opened, open};
use dino::{evaluation, memory};
use probe::{Encoder, Evaluation, Extracted, Size, Source, Wanted};
use report::number::counted;
use serde_json::json;

use super::super::viewing::show_images;
use super::super::{thread_count, use_threads};
use super::fingerprint;
use crate::console::Console;
use cells::{Cell, Cells, Key};
use compared::Compared;
use file::{Data, EXAMPLE, Suite};
use tasks::{Input, Task, find};

/// Run a suite of tasks on several checkpoints and compare them on one page
///
/// The suite is a TOML file; `--example` prints one. Images are read once for all checkpoints that see them in the
/// same size. Finished cells are kept in the output folder, and a second start does not compute them again.
///
/// Example: dino-vmf eval all --suite suite.toml --checkpoint runs/a --checkpoint runs/b --out compared
#[derive(Debug, Args)]
pub(crate) struct All {
    /// The tasks and data sets, as TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(required_unless_present = "example")]
    suite: Option<PathBuf>,
    /// Run folder, `RUN@best`, checkpoint folder, or a file of another program; give it several times
    #[arg(long = "checkpoint", value_name = "CHECKPOINT", value_hint = ValueHint::AnyPath)]
    #[arg(required_unless_present = "example")]
    checkpoints: Vec<PathBuf>,
    /// Folder for cells, page and JSON
    #[arg(long, value_name = "DIR", default_value = "suite", value_hint = ValueHint::DirPath)]
    out: PathBuf,
    /// Decides draws, first weights and resamples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print an example of a suite
    #[arg(long)]
    example: bool,
    /// Compute threads; 0 uses all cores. Results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
}

/// A checkpoint with its name and what its content is.
struct Subject {
    opened: Opened,
    sha256: String,
}

/// A data set for the checkpoints that see its images in the same way.
struct Group<'a> {
    data: &'a Data,
    config: Config,
    evaluation: Evaluation,
    /// Places of the checkpoints.
    members: Vec<usize>,
}

impl All {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        if self.example {
            console.script(EXAMPLE);
            return Ok(());
        }
        use_threads(self.threads)?;
        let suite = Suite::read(self.suite.as_deref().context("`--suite` is missing")?)?;
        let names: Vec<_> =
            self.checkpoints.iter().map(|path| path.display().to_string()).collect();
        if let Some((name, _)) =
            names.iter().zip(1..).find(|(name, next)| names[*next..].contains(name))
        {
            bail!("`--checkpoint {name}` is given twice");
        }
        let subjects = self.subjects(console)?;
        let groups = groups(&suite, &subjects)?;
        fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create `{}`", self.out.display()))?;
        let mut cells = Cells::open(&self.out)?;
        let total: usize = suite.data.iter().map(|data| data.tasks.len() * subjects.len()).sum();
        let missing = groups.iter().map(|group| self.missing(group, &subjects, &cells));
        let missing: usize = missing.map(|of| of.map_or(0, |of| of.len())).sum();
        if missing < total {
            let (done, out) = (total - missing, self.out.display());
            console.note(format!(
                "{done} of {total} cells are finished in `{out}` and are not computed again"
            ));
        }
        for group in &groups {
            self.compute(group, &subjects, &mut cells, console)?;
        }
        let failed = self.conclude(&suite, &subjects, &names, &cells, console)?;
        match failed {
            0 => Ok(()),
            _ => bail!("{failed} of {total} cells failed; the same command line tries them again"),
        }
    }

    fn subjects(&self, console: &mut Console) -> Result<Vec<Subject>> {
        let read = |path: &PathBuf| {
            let mut opened = open(path)?;
            opened.warnings.iter().for_each(|text| console.warn(text));
            opened.student = None;
            let sha256 = fingerprint::of_network(&opened);
            console.note(format!("checkpoint `{}`, {}", opened.path.display(), opened.origin));
            Ok(Subject { opened, sha256 })
        };
        self.checkpoints.iter().map(read).collect()
    }

    /// The cells of a group that are not finished: place of the checkpoint, task and key.
    fn missing(
        &self,
        group: &Group<'_>,
        subjects: &[Subject],
        cells: &Cells,
    ) -> Result<Vec<(usize, &'static Task, Key)>> {
        let mut missing = Vec::new();
        for &member in &group.members {
            for task in group.data.tasks.iter().filter_map(|name| find(name)) {
                let key = Key::new(&subjects[member].sha256, group.data, task.name, self.seed)?;
                if cells.find(&key).is_none() {
                    missing.push((member, task, key));
                }
            }
        }
        Ok(missing)
    }

    /// Computes what is missing of a group. What fails is kept as a failed cell.
    fn compute(
        &self,
        group: &Group<'_>,
        subjects: &[Subject],
        cells: &mut Cells,
        console: &mut Console,
    ) -> Result<()> {
        let missing = self.missing(group, subjects, cells)?;
        let mut members: Vec<usize> = missing.iter().map(|(member, ..)| *member).collect();
        members.dedup();
        if members.is_empty() {
            return Ok(());
        }
        let wants = |member: usize, task: &Task| (task.wants)(&subjects[member].opened);
        let mut wanted: Vec<Wanted> = Vec::new();
        for (member, task, _) in &missing {
            let of = wants(*member, task);
            if !wanted.contains(&of) {
                wanted.push(of);
            }
        }
        let opened: Vec<&Opened> = members.iter().map(|&member| &subjects[member].opened).collect();
        let found = features(group, &opened, &wanted, &missing, console);
        console.end_progress();
        for (done, (member, task, key)) in missing.iter().enumerate() {
            let (done, total) = (done as u64, missing.len() as u64);
            let text = format!("  {} on {}", task.title, group.data.name);
            console.progress(&crate::console::Progress { what: "task", done, total, text }, false);
            let place = members.iter().position(|of| of == member).unwrap_or_default();
            let kind = wanted.iter().position(|of| *of == wants(*member, task)).unwrap_or_default();
            let scored = match &found {
                Err(error) => Err(format!("{error:#}")),
                Ok((train, test)) => {
                    let (train, test) = (&train.features[place][kind], &test.features[place][kind]);
                    let classes = group.evaluation.classes();
                    let input = Input { train, test, classes, seed: self.seed };
                    (task.run)(&input).map_err(|error| format!("{error:#}"))
                }
            };
            let cell = match scored {
                Ok(scored) => {
                    warn_of_fits(scored.not_converged, task, group, console);
                    Cell { key: key.clone(), draws: scored.draws, hits: scored.hits, error: None }
                }
                Err(error) => {
                    let (data, path) = (&group.data.name, self.checkpoints[*member].display());
                    console.warn(format!("{} on {data} of `{path}` failed: {error}", task.title));
                    Cell {
                        key: key.clone(),
                        draws: Vec::new(),
                        hits: Vec::new(),
                        error: Some(error),
                    }
                }
            };
            cells.add(cell)?;
        }
        console.end_progress();
        Ok(())
    }

    /// Writes page and JSON, prints the tables, and returns the number of failed cells.
    fn conclude(
        &self,
        suite: &Suite,
        subjects: &[Subject],
        names: &[String],
        cells: &Cells,
        console: &mut Console,
    ) -> Result<usize> {
        let mut all = Vec::new();
        for data in &suite.data {
            let mut of_data = Vec::new();
            for task in &data.tasks {
                let cell = |subject: &Subject| {
                    let key = Key::new(&subject.sha256, data, task, self.seed)?;
                    cells.find(&key).or_else(|| cells.newest(&key)).context("a cell is missing")
                };
                of_data.push(subjects.iter().map(cell).collect::<Result<Vec<_>>>()?);
            }
            all.push(Compared { data, cells: of_data });
        }
        let judged = compared::judge(&all, names, self.seed);
        for data in &suite.data {
            console.text(format!("{}: {}", data.name, compared::head(data)[1..].join(", ")));
            for row in compared::rows(data, &judged, names) {
                console.text(format!("  {}: {}", row[0], row[1..].join(", ")));
            }
        }
        judged.iter().for_each(|cell| console.event("cell", cell));
        let title = format!("{} checkpoints compared", names.len());
        let page = compared::page(title, &all, &judged, names).render()?;
        let record = json!({
            "version": env!("CARGO_PKG_VERSION"), "seed": self.seed, "checkpoints": names,
            "test": "paired bootstrap over test images, 95 %", "data": suite.data, "cells": judged,
        });
        write(&self.out.join("suite.html"), &page)?;
        write(&self.out.join("suite.json"), &serde_json::to_string_pretty(&record)?)?;
        console.note(format!("page: {}", self.out.join("suite.html").display()));
        Ok(all
            .iter()
            .flat_map(|of| of.cells.iter().flatten())
            .filter(|of| of.error.is_some())
            .count())
    }
}

/// Says how many fits of a task ended before their optimum.
fn warn_of_fits(count: usize, task: &Task, group: &Group<'_>, console: &mut Console) {
    if count > 0 {
        let (fits, data) = (counted(count, "fit"), &group.data.name);
        console.warn(format!("{} on {data}: {fits} ended before the optimum", task.title));
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Opens all data sets for all checkpoints, before anything is computed.
fn groups<'a>(suite: &'a Suite, subjects: &[Subject]) -> Result<Vec<Group<'a>>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for data in &suite.data {
        let first = groups.len();
        for (member, subject) in subjects.iter().enumerate() {
            let config = settings(data, &subject.opened);
            let same = |group: &&mut Group<'_>| evaluation::same_inputs(&group.config, &config);
            if let Some(group) = groups[first..].iter_mut().find(same) {
                group.members.push(member);
                continue;
            }
            let of_data = || format!("data set `{}` of the suite", data.name);
            config.validate().with_context(of_data)?;
            let evaluation = evaluation::open(&config, Vec::new()).map_err(anyhow::Error::from);
            let evaluation =
                evaluation.and_then(|of| of.context("no images")).with_context(of_data)?;
            evaluation.require_images_of_each_class(2).with_context(of_data)?;
            groups.push(Group { data, config, evaluation, members: vec![member] });
        }
    }
    Ok(groups)
}

/// The settings of a checkpoint with those of a data set on top.
fn settings(data: &Data, opened: &Opened) -> Config {
    let mut config = opened.config.clone();
    config.evaluate_on(data.train.clone(), data.test.clone());
    let eval = &mut config.eval;
    eval.crop = data.crop.or(eval.crop);
    let least = eval.crop.filter(|_| opened.step.is_none()).unwrap_or(0);
    eval.resize = data.resize.or(eval.resize.map(|resize| resize.max(least)));
    (eval.max_train, eval.max_test) = (data.max_train, data.max_test);
    config
}

/// The features of all checkpoints of a group, in one pass over the images.
fn features(
    group: &Group<'_>,
    opened: &[&Opened],
    wanted: &[Wanted],
    missing: &[(usize, &'static Task, Key)],
    console: &mut Console,
) -> Result<(Extracted, Extracted)> {
    let encoders: Vec<_> = opened
        .iter()
        .map(|of| Encoder { name: "trained", network: &of.network, params: &of.teacher })
        .collect();
    let sources: Vec<&dyn Source> = encoders.iter().map(|of| of as &dyn Source).collect();
    let evaluation = &group.evaluation;
    let values = evaluation.values_of(&sources, wanted);
    let ((train, test), classes) = (evaluation.counts(), evaluation.classes());
    let size = Size { train, test, width: values, classes };
    let more = missing.iter().map(|(_, task, _)| (task.bytes)(size)).max().unwrap_or(0);
    memory::require_evaluation_and(&group.config, evaluation.size(), values, more as f64)?;
    let found = evaluation.extract(&sources, wanted, &mut |done, total| {
        show_images(console, "features", (done, total), &group.data.name);
        ControlFlow::Continue(())
    })?;
    for set in [&found.0, &found.1] {
        set.passed.left_out.iter().for_each(|text| console.warn(text));
        set.passed.require_finite()?;
    }
    Ok(found)
}
