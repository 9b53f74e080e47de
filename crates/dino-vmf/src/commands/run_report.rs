//! `dino-vmf report`: what runs have reported, as a table and as one page.

mod evaluations;
mod events;
mod figures;
mod groups;
mod page;
mod pictures;
mod run;
mod settings;
mod text;

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueHint};
use report::number::counted;

use super::page_file::{check_page, write_file};
use super::viewing::show_images;
use super::{thread_count, use_threads};
use crate::console::Console;
use crate::usage::Usage;
pub(super) use page::{Pictures, page};
pub(super) use pictures::PictureFlags;
pub(super) use run::Run;

/// Most runs on a page: there are as many line styles.
const MOST_ON_A_PAGE: usize = 16;

/// Compare runs: losses, evaluations, prototypes, settings and speed, as a table or a page
///
/// Prints a row for each run: its last step, loss, evaluations, speed and alarms. `--html` writes one page that
/// needs no other file and no network: plots over steps for all runs, evaluations beside raw pixels and the
/// untrained network, alarms, settings that differ, and pictures of each run's newest checkpoint. Runs may have any
/// length, and may still go on: `dino-vmf watch RUN` shows the same page and keeps it up to date.
///
/// `--json` prints an object with `"event":"run"` for each run.
///
/// Example: dino-vmf report runs/a runs/b --html report.html
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Run folders
    #[arg(value_name = "RUN", required = true, value_hint = ValueHint::DirPath)]
    runs: Vec<PathBuf>,
    /// Write a page to this file; it needs no other file and no network
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
    #[command(flatten)]
    pictures: PictureFlags,
    /// Compute threads for pictures; 0 uses all cores. Results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = thread_count, allow_negative_numbers = true)]
    threads: usize,
}

impl Report {
    pub(crate) fn run(&self, console: &mut Console) -> Result<()> {
        self.html.as_deref().map_or(Ok(()), check_page)?;
        if self.html.is_none() && self.pictures.is_given() {
            bail!(Usage(
                "`--data` and `--no-images` are about the page: give `--html FILE`".to_owned()
            ));
        }
        let runs = open(&self.runs, self.html.is_some())?;
        for run in &runs {
            run.warnings().iter().for_each(|text| console.warn(text));
            console.event("run", &text::record(run));
        }
        text::table(&runs).iter().for_each(|line| console.text(line));
        let Some(path) = &self.html else { return Ok(()) };
        let pictures = if self.pictures.any() { self.draw(&runs, console)? } else { Vec::new() };
        write_file(path, &page(&runs, &pictures, false), console)
    }

    fn draw(&self, runs: &[Run], console: &mut Console) -> Result<Vec<Pictures>> {
        use_threads(self.threads)?;
        let draw = |run: &Run| {
            let pictures = self.pictures.draw(run, &mut |done, total| {
                show_images(console, "pictures", (done, total), &run.name);
                ControlFlow::Continue(())
            });
            console.end_progress();
            if pictures.sections.is_empty() {
                console.warn(format!("run `{}`: {}", run.name, pictures.note));
            }
            pictures
        };
        Ok(runs.iter().map(draw).collect())
    }
}

/// Reads runs, each once. With `on_a_page`, refuses more of them than a page can show.
///
/// # Errors
/// A folder holds no run, or cannot be read.
pub(super) fn open(paths: &[PathBuf], on_a_page: bool) -> Result<Vec<Run>> {
    let mut unique: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !unique.contains(path) {
            unique.push(path.clone());
        }
    }
    if on_a_page && unique.len() > MOST_ON_A_PAGE {
        let given = counted(unique.len(), "run");
        bail!(Usage(format!(
            "a page shows at most {MOST_ON_A_PAGE} runs, and {given} were given; leave some out"
        )));
    }
    let names = run::names(&unique);
    unique.iter().zip(names).map(|(path, name)| Run::open(path, name)).collect()
}
