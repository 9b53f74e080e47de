//! Merges flags, files and presets into the configuration of a run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dino::config::{self, Config, ConfigFile, Flag, Origin};
use dino::error::Error;
use dino::own_images::{Settings, Wish};
use dino::run_folder::RunFolder;

use super::flags::Pretrain;
use crate::commands::choosing::settle;
use crate::commands::use_threads;
use crate::console::Console;

impl Pretrain {
    /// The settings of the run. Starts the compute threads, and prints which recipe was chosen.
    ///
    /// # Errors
    /// A setting is unknown or invalid, or there is no run to resume.
    pub(crate) fn settings(&self, console: &mut Console) -> Result<Settings> {
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let folder = self.folder(file.as_ref())?;
        let flags = self.flags(folder.as_deref());
        let wish = self.wish(file.as_ref(), &flags);
        let own = folder.as_ref().filter(|folder| {
            self.resume.is_some() && wish.preset.is_none() && RunFolder::is_run(folder)
        });
        // Threads come before a source is opened: the first use of the threads fixes their number.
        if let Some(folder) = own {
            let path = folder.join("config.toml");
            let config = Config::load_with(&path, wish.file, &self.set, &flags)?;
            use_threads(config.run.threads)?;
            return Ok(Settings::of_run(config));
        }
        use_threads(wish.draft()?.run.threads)?;
        settle(&wish, console)
    }

    fn wish<'a>(&'a self, file: Option<&'a ConfigFile>, flags: &'a [Flag]) -> Wish<'a> {
        Wish { preset: self.preset.as_deref(), file, sets: &self.set, flags }
    }

    /// Whether the run goes on from a checkpoint, if there is one.
    pub(crate) fn resumes(&self) -> bool {
        self.resume.is_some()
    }

    /// The run folder. None for a new run whose folder gets the next free number.
    fn folder(&self, file: Option<&ConfigFile>) -> Result<Option<PathBuf>> {
        match (&self.resume, &self.out) {
            (Some(Some(_)), Some(_)) => {
                let (first, second) = ("--resume DIR", "--out");
                Err(config::Error::Exclusive { first, second, origin: Origin::Default }.into())
            }
            (Some(Some(folder)), None) if !RunFolder::is_run(folder) => {
                Err(Error::NoCheckpoint { path: folder.clone() }.into())
            }
            (Some(Some(folder)), None) => Ok(Some(folder.clone())),
            (Some(None), None) => {
                let flags = self.flags(None);
                let names = self.wish(file, &flags).names()?;
                RunFolder::latest(&names).map(Some).ok_or_else(|| {
                    let (preset, other) = (names[0].to_owned(), RunFolder::latest_of_all());
                    Error::NoRunToResume { preset, other }.into()
                })
            }
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
