//! Makes the page anew whenever a run has changed.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use askama::Template;
use dino::checkpoint;
use dino::run_folder::RunFolder;
use report::MetricsWriter;

use super::server::Server;
use crate::commands::run_report::{self, PictureFlags, Pictures};

/// Shortest time between two looks at the runs.
const PAUSE: Duration = Duration::from_secs(1);
/// Share of the time that making pages may take: one part in so many.
const IDLE: u32 = 10;

/// The runs, and what was seen of them.
pub(super) struct Watched<'a> {
    paths: &'a [PathBuf],
    flags: &'a PictureFlags,
    seen: Vec<Seen>,
    /// The newest checkpoint of each run when its pictures were drawn.
    drawn: Vec<Option<u64>>,
    pictures: Vec<Pictures>,
}

/// What tells whether a run has changed.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Lengths and times of its files.
    files: Vec<Option<(u64, Option<SystemTime>)>>,
    /// Its newest checkpoint.
    checkpoint: Option<u64>,
    goes_on: bool,
}

impl Seen {
    fn of(run: &Path) -> Self {
        let file = |name: &str| {
            let found = fs::metadata(run.join(name)).ok()?;
            Some((found.len(), found.modified().ok()))
        };
        Self {
            files: [MetricsWriter::FILE, "config.toml"].map(file).into(),
            checkpoint: checkpoint::steps(run).ok().and_then(|steps| steps.last().copied()),
            goes_on: RunFolder::is_in_use(run),
        }
    }
}

impl<'a> Watched<'a> {
    pub(super) fn new(paths: &'a [PathBuf], flags: &'a PictureFlags) -> Self {
        Self { paths, flags, seen: Vec::new(), drawn: Vec::new(), pictures: Vec::new() }
    }

    /// Looks at the runs until the process ends.
    ///
    /// # Errors
    /// The first page cannot be made.
    pub(super) fn follow(mut self, server: &Server) -> Result<()> {
        loop {
            let begun = Instant::now();
            let seen: Vec<Seen> = self.paths.iter().map(|path| Seen::of(path)).collect();
            if seen != self.seen {
                match self.update(server, &seen) {
                    Ok(()) => server.problem(String::new()),
                    Err(error) if self.seen.is_empty() => return Err(error),
                    // The folder may be moved or written just now; the page stays, with the reason.
                    Err(error) => server.problem(format!("{error:#}")),
                }
                self.seen = seen;
            }
            thread::sleep(PAUSE.max(IDLE * begun.elapsed()));
        }
    }

    /// Makes the page: with the pictures drawn before, and again when new ones are drawn.
    fn update(&mut self, server: &Server, seen: &[Seen]) -> Result<()> {
        let runs = run_report::open(self.paths, true)?;
        server.show(run_report::page(&runs, &self.pictures, true).render()?);
        let checkpoints: Vec<_> = seen.iter().map(|seen| seen.checkpoint).collect();
        if !self.flags.any() || self.drawn == checkpoints {
            return Ok(());
        }
        let mut go_on = |_, _| ControlFlow::Continue(());
        self.pictures = runs.iter().map(|run| self.flags.draw(run, &mut go_on)).collect();
        self.drawn = checkpoints;
        // Drawing takes a while in which the runs went on.
        let runs = run_report::open(self.paths, true)?;
        server.show(run_report::page(&runs, &self.pictures, true).render()?);
        Ok(())
    }
}
