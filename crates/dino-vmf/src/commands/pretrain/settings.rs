//! Merges flags, files and presets into the configuration of a run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dino::config::{self, Config, Flag, Origin};
use dino::error::Error;
use dino::preset;
use dino::run_folder::RunFolder;

use super::flags::Pretrain;
use crate::commands::use_threads;

impl Pretrain {
    /// The configuration of the run and the name of its preset. Starts the compute threads.
    ///
    /// # Errors
    /// A setting is unknown or invalid, or there is no run to resume.
    pub(crate) fn settings(&self) -> Result<(Config, String)> {
        let name = self.preset.as_deref().unwrap_or(preset::DEFAULT);
        let folder = self.folder(name)?;
        let flags = self.flags(folder.as_deref());
        let own = folder.as_ref().filter(|folder| {
            let asked = self.preset.is_some() || self.config.is_some();
            self.resume.is_some() && !asked && RunFolder::is_run(folder)
        });
        let config = match own {
            Some(folder) => Config::load_with(&folder.join("config.toml"), &self.set, &flags)?,
            None => Config::resolve(Some(name), self.config.as_deref(), &self.set, &flags)?,
        };
        // Must come before a source is opened: the first use of the threads fixes their number.
        use_threads(config.run.threads)?;
        Ok((config, name.to_owned()))
    }

    /// Whether the run goes on from a checkpoint, if there is one.
    pub(crate) fn resumes(&self) -> bool {
        self.resume.is_some()
    }

    /// The run folder. None for a new run whose folder gets the next free number.
    fn folder(&self, preset: &str) -> Result<Option<PathBuf>> {
        match (&self.resume, &self.out) {
            (Some(Some(_)), Some(_)) => {
                let (first, second) = ("--resume DIR", "--out");
                Err(config::Error::Exclusive { first, second, origin: Origin::Default }.into())
            }
            (Some(Some(folder)), None) if !RunFolder::is_run(folder) => {
                Err(Error::NoCheckpoint { path: folder.clone() }.into())
            }
            (Some(Some(folder)), None) => Ok(Some(folder.clone())),
            (Some(None), None) => RunFolder::latest(preset).map(Some).ok_or_else(|| {
                let (preset, other) = (preset.to_owned(), RunFolder::latest_of_all());
                Error::NoRunToResume { preset, other }.into()
            }),
            (_, out) => Ok(out.clone()),
        }
    }

    fn flags(&self, folder: Option<&Path>) -> Vec<Flag> {
        let mut flags = Vec::new();
        let mut add = |name, key, value: Option<toml::Value>| {
            flags.extend(value.map(|value| Flag { name, key, value }));
        };
        add("--data", "data.source", self.data.clone().map(Into::into));
        add("--method", "objective.method", self.method.clone().map(Into::into));
        add("--precision", "model.precision", self.precision.clone().map(Into::into));
        add("--epochs", "optim.epochs", self.epochs.map(Into::into));
        add("--steps", "optim.steps", self.steps.map(Into::into));
        add("--channels", "data.channels", self.channels.map(Into::into));
        add("--seed", "seed", self.seed.map(Into::into));
        add("--threads", "run.threads", self.threads.map(Into::into));
        add("--workers", "run.workers", self.workers.map(Into::into));
        add("--device", "run.device", self.device.clone().map(Into::into));
        add("--on-collapse", "run.on_collapse", self.on_collapse.clone().map(Into::into));
        add("--recompute", "run.recompute", self.recompute.clone().map(Into::into));
        let folder = folder.map(|folder| folder.to_string_lossy().into_owned());
        add("--out", "run.out", folder.map(Into::into));
        flags
    }
}
