//! `dino-vmf eval all`: a list of tasks on a list of checkpoints, compared on one page.

mod cells;
mod classified;
mod compared;
mod file;
mod output;
mod tasks;
mod whole;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueHint};
use dino::open::Opened;

use super::super::opening::Foreign;
use super::super::threads::Threads;
use super::fingerprint;
use crate::console::Console;
use crate::usage::Usage;
use cells::{Cell, Cells, Key};
use file::{Data, EXAMPLE, Entry, Suite};
use output::Finished;

/// Run a suite of tasks on several checkpoints and compare them on one page
///
/// The suite is a TOML file; `--example` prints one. Images that are classified are read once for all checkpoints that
/// see them in the same size. Finished cells are kept in the output folder, and a second start does not compute them
/// again.
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
    #[command(flatten)]
    foreign: Foreign,
    /// Print an example of a suite
    #[arg(long)]
    example: bool,
    #[command(flatten)]
    threads: Threads,
}

/// A checkpoint with its name and what its content is.
struct Subject {
    name: String,
    opened: Opened,
    sha256: String,
}

/// A suite with the fingerprint of each entry.
struct Planned {
    data: Vec<(Data, String)>,
    evals: Vec<(Entry, String)>,
}

impl All {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        if self.example {
            console.script(EXAMPLE);
            return Ok(());
        }
        self.threads.start()?;
        let suite = Suite::read(self.suite.as_deref().context("`--suite` is missing")?, self.seed)?;
        let mut subjects = self.subjects(console)?;
        let planned = Planned::of(suite, self.seed, &self.out)?;
        let data = planned.data.iter().map(|(data, fingerprint)| (data, fingerprint));
        let (groups, warnings) = classified::groups(data, &subjects, console)?;
        fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create `{}`", self.out.display()))?;
        let mut cells = Cells::open(&self.out)?;
        let keys = planned.keys(&subjects);
        let done = keys.iter().filter(|key| cells.find(key).is_some()).count();
        if done > 0 {
            let (total, out) = (keys.len(), self.out.display());
            console.note(format!(
                "{done} of {total} cells are finished in `{out}` and are not computed again"
            ));
        }
        for group in &groups {
            group.compute((&subjects, self.seed), &mut cells, console)?;
        }
        drop(groups);
        for (entry, fingerprint) in &planned.evals {
            measure(entry, fingerprint, &mut subjects, &mut cells, console)?;
        }
        let suite = Finished { planned: &planned, subjects: &subjects, cells: &cells, warnings };
        output::conclude(&suite, (&self.out, self.seed), console)?;
        let failed = keys.iter().filter(|key| cells.find(key).is_none()).count();
        match failed {
            0 => Ok(()),
            _ => bail!(
                "{failed} of {} cells failed; the same command line tries them again",
                keys.len()
            ),
        }
    }

    fn subjects(&self, console: &mut Console) -> Result<Vec<Subject>> {
        let mut subjects: Vec<Subject> = Vec::new();
        for path in &self.checkpoints {
            let mut opened = self.foreign.of(path).open(console)?;
            opened.student = None;
            let real = |opened: &Opened| opened.path.canonicalize().ok();
            let name = path.display().to_string();
            if let Some(same) = subjects.iter().find(|of| real(&of.opened) == real(&opened)) {
                bail!(Usage(match same.name == name {
                    true => format!("`--checkpoint {name}` is given twice"),
                    false => format!("`--checkpoint {name}` is the same as `{}`", same.name),
                }));
            }
            let sha256 = fingerprint::of_checkpoint(&opened)?;
            subjects.push(Subject { name, opened, sha256 });
        }
        Ok(subjects)
    }
}

impl Planned {
    fn of(suite: Suite, seed: u64, out: &Path) -> Result<Self> {
        let of_data =
            |data: Data| data.fingerprint(seed, out).map(|fingerprint| (data, fingerprint));
        let of_entry = |of: Entry| of.fingerprint(seed, out).map(|fingerprint| (of, fingerprint));
        Ok(Self {
            data: suite.data.into_iter().map(of_data).collect::<Result<_>>()?,
            evals: suite.evals.into_iter().map(of_entry).collect::<Result<_>>()?,
        })
    }

    /// The keys of all cells.
    fn keys(&self, subjects: &[Subject]) -> Vec<Key> {
        let of_data = self
            .data
            .iter()
            .flat_map(|(data, fingerprint)| data.tasks.iter().map(move |task| (task, fingerprint)));
        let of_evals =
            self.evals.iter().map(|(entry, fingerprint)| (&entry.written.task, fingerprint));
        let tasks: Vec<_> = of_data.chain(of_evals).collect();
        let keys = |subject: &Subject| {
            tasks
                .iter()
                .map(|(task, fingerprint)| Key::new(&subject.sha256, fingerprint, task))
                .collect::<Vec<_>>()
        };
        subjects.iter().flat_map(keys).collect()
    }
}

/// Measures what is missing of an evaluation. What fails is kept as a failed cell.
fn measure(
    entry: &Entry,
    fingerprint: &str,
    subjects: &mut [Subject],
    cells: &mut Cells,
    console: &mut Console,
) -> Result<()> {
    let name = &entry.written.name;
    for subject in subjects {
        let key = Key::new(&subject.sha256, fingerprint, &entry.written.task);
        if cells.find(&key).is_some() {
            continue;
        }
        let config = subject.opened.config.clone();
        let scores = console.about(format!("{name} of `{}`", subject.name), |console| {
            entry.whole.measure(&mut subject.opened, console)
        });
        console.end_progress();
        subject.opened.config = config;
        if let Err(error) = &scores {
            console.warn(format!("{name} of `{}` failed: {error:#}", subject.name));
        }
        cells.add(Cell::of(key, scores))?;
    }
    Ok(())
}
