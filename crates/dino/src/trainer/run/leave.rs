//! Saving a run: during training, at its end, and before it ends with an error.

use std::path::PathBuf;
use std::time::Instant;

use super::super::events::Event;
use super::super::saved;
use super::Run;
use crate::checkpoint::Retention;
use crate::error::{Error, Result};
use crate::monitor::remedy;

impl Run<'_> {
    /// Saves the run unless its last step is already saved.
    pub(super) fn save_if_new(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        if self.state.step == 0 || self.saved == Some(self.state.step) {
            return Ok(());
        }
        self.save(report).map(drop)
    }

    /// Saves the run during training. Nothing is saved while steps are skipped: the weights have not changed,
    /// and a new checkpoint would replace an older one. Weights that are not finite are not saved, with a
    /// warning.
    pub(super) fn save_on_the_way(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        if self.skipped > 0 {
            return Ok(());
        }
        match self.save_if_new(report) {
            Err(error @ Error::NotFinite { .. }) => {
                report(Event::Warning(error.to_string()));
                Ok(())
            }
            saved => saved,
        }
    }

    /// Saves the last step that was taken, and returns the error of a run that ends with skipped ones.
    pub(super) fn ends_not_finite(&mut self, report: &mut dyn FnMut(Event)) -> Result<Error> {
        let (steps, count) = (self.state.step, self.skipped);
        let good = steps - u64::from(count);
        // Skipped steps change nothing but the number, and under this one the run would count as finished.
        self.state.step = good;
        match self.save_if_new(report) {
            Err(error @ Error::NotFinite { .. }) => report(Event::Warning(error.to_string())),
            saved => saved?,
        }
        let (reason, run) = (self.skip_reason.clone(), self.folder.path().to_owned());
        let (saved, remedy) = (self.saved, remedy::of_divergence(self.config()));
        Ok(Error::EndsNotFinite { reason, count, steps, good, saved, run, remedy })
    }

    /// Writes a checkpoint of the last step.
    pub(super) fn save(&mut self, report: &mut dyn FnMut(Event)) -> Result<PathBuf> {
        if !self.folder.is_in_place() {
            return Err(self.save_elsewhere(report)?);
        }
        let every_steps = self.config().run.keep_every_epochs * self.horizon().steps_per_epoch;
        let of_start = self.start.as_ref().and_then(|start| start.best_step());
        let before = self.evaluations.best_before().iter().copied();
        let best = of_start.into_iter().chain(self.best_step()).chain(before).collect();
        let retention = match self.skipped {
            0 => Retention { every_steps, best, ..Retention::default() },
            _ => Retention::ALL,
        };
        let of = (&self.training, &self.images);
        let path = saved::save(self.folder.path(), of, &self.state, retention)?;
        if self.saved.is_none() {
            self.folder.note_checkpoint();
        }
        self.saved = Some(self.state.step);
        self.saved_at = Instant::now();
        report(Event::Checkpoint { path: path.clone(), step: self.state.step });
        Ok(path)
    }

    /// Saves a run whose folder is gone into a new folder, and returns the error that ends the run.
    fn save_elsewhere(&mut self, report: &mut dyn FnMut(Event)) -> Result<Error> {
        let step = self.state.step;
        let mut folder = self.folder.replacement(&self.training.config.located())?;
        let of = (&self.training, &self.images);
        let saved = saved::save(folder.path(), of, &self.state, Retention::ALL)
            .inspect_err(|_| folder.discard())?;
        folder.note_checkpoint();
        report(Event::Checkpoint { path: saved.clone(), step });
        Ok(Error::FolderGone { path: self.folder.path().to_owned(), step, saved })
    }

    /// Saves the run before it ends with `error`, if possible, and returns an error that says where the run
    /// is. The folder of a run without a finished step is removed.
    pub(super) fn leave(&mut self, error: Error, report: &mut dyn FnMut(Event)) -> Error {
        let step = self.state.step;
        if matches!(
            error,
            Error::Alarm { .. }
                | Error::Worse { .. }
                | Error::Diverged { .. }
                | Error::EndsNotFinite { .. }
                | Error::FolderGone { .. }
        ) {
            return error;
        }
        if step == 0 {
            self.folder.discard();
            return error;
        }
        // If the error came from saving, saving would fail again.
        let mut unsaved = None;
        if !matches!(error, Error::Checkpoint(_) | Error::NotFinite { .. }) {
            match self.save_if_new(report) {
                Err(gone @ Error::FolderGone { .. }) => return gone,
                saved => unsaved = saved.err().map(|error| error.to_string()),
            }
        }
        let run = self.folder.path().to_owned();
        Error::Left { error: Box::new(error), run, step, saved: self.saved, unsaved }
    }
}
