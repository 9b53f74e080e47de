//! Saving a run: on the way, at its end, and before it ends early.

use std::path::PathBuf;

use super::super::events::Event;
use super::super::saved;
use super::Run;
use crate::checkpoint::Retention;
use crate::error::{Error, Result};

impl Run<'_> {
    /// Saves the run unless its last step is saved already.
    pub(super) fn save_if_new(&mut self, report: &mut dyn FnMut(Event)) -> Result<()> {
        if self.state.step == 0 || self.saved == Some(self.state.step) {
            return Ok(());
        }
        self.save(report).map(drop)
    }

    /// Saves the run in the middle of training. While steps are left out, nothing new is worth saving and
    /// earlier checkpoints must not make room for it. Weights that are not finite are told and not saved.
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

    /// Writes a checkpoint of the last step.
    pub(super) fn save(&mut self, report: &mut dyn FnMut(Event)) -> Result<PathBuf> {
        if !self.folder.is_in_place() {
            return Err(self.save_elsewhere(report)?);
        }
        let every_steps = self.config().run.keep_every_epochs * self.horizon().steps_per_epoch;
        let retention = match self.skipped {
            0 => Retention { every_steps, ..Retention::default() },
            _ => Retention::ALL,
        };
        let of = (&self.step, &self.images);
        let path = saved::save(self.folder.path(), of, &self.state, retention)?;
        if self.saved.is_none() {
            self.folder.note_checkpoint();
        }
        self.saved = Some(self.state.step);
        report(Event::Checkpoint { path: path.clone(), step: self.state.step });
        Ok(path)
    }

    /// Saves a run whose folder is gone in a new one, and returns what ends the run then.
    fn save_elsewhere(&mut self, report: &mut dyn FnMut(Event)) -> Result<Error> {
        let step = self.state.step;
        let mut folder = self.folder.replacement(&self.step.config.located())?;
        let of = (&self.step, &self.images);
        let saved = saved::save(folder.path(), of, &self.state, Retention::ALL)
            .inspect_err(|_| folder.discard())?;
        folder.note_checkpoint();
        report(Event::Checkpoint { path: saved.clone(), step });
        Ok(Error::FolderGone { path: self.folder.path().to_owned(), step, saved })
    }

    /// What is done before a run ends with an error: what is good is saved, and the error says so. A run
    /// without a step leaves nothing behind.
    pub(super) fn leave(&mut self, error: Error, report: &mut dyn FnMut(Event)) -> Error {
        let step = self.state.step;
        if matches!(error, Error::Alarm { .. } | Error::Diverged { .. } | Error::FolderGone { .. })
        {
            return error;
        }
        if step == 0 {
            self.folder.discard();
            return error;
        }
        // The save that has just failed would fail again.
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
