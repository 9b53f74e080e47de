//! Merges flags, files and presets into the configuration of a run.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use dino::checkpoint;
use dino::config::{self, Config, ConfigFile, Flag, Origin};
use dino::open::Choices;
use dino::own_images::{Settings, Wish};
use dino::run_folder::RunFolder;
use report::shell::quoted;

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
        let folder = self.folder()?;
        let flags = self.flags(folder.as_deref())?;
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

    /// What `--resume` says if the run does not exist yet, and whether that needs attention: the images
    /// are not those of a flag then.
    pub(super) fn starts_new(&self, config: &Config) -> Option<(String, bool)> {
        let folder = config
            .run
            .out
            .as_deref()
            .filter(|folder| self.resume.is_some() && !RunFolder::is_run(Path::new(folder)))?;
        let source = &config.data.source;
        let text =
            format!("`{folder}` holds no run to resume, so a new one starts there, on `{source}`");
        if config.origin("data.source").by_hand() {
            return Some((text, false));
        }
        Some((format!("{text}, because no images are given; `--data SOURCE` takes yours"), true))
    }

    /// The images, given with or without `--data`.
    fn source(&self) -> Option<String> {
        self.source.clone().or_else(|| self.data.clone())
    }

    /// The run folder. None for a new run whose folder gets the next free number.
    fn folder(&self) -> Result<Option<PathBuf>> {
        let named = self.name.as_ref().map(|name| RunFolder::named(name));
        let out = self.out.clone().or(named);
        match (&self.resume, out) {
            (Some(Some(_)), Some(_)) => {
                let second = if self.out.is_some() { "--out" } else { "--name" };
                let [first, second] = ["--resume DIR", second].map(str::to_owned);
                Err(config::Error::Exclusive { first, second, origin: Origin::Default }.into())
            }
            (Some(Some(folder)), None) if !RunFolder::is_run(folder) => bail!(not_a_run(folder)),
            (Some(Some(folder)), None) => Ok(Some(folder.clone())),
            (Some(None), None) => Ok(Some(RunFolder::to_resume(self.preset.as_deref())?)),
            (_, out) => Ok(out),
        }
    }

    fn flags(&self, folder: Option<&Path>) -> Result<Vec<Flag>> {
        let mut flags = Vec::new();
        let mut add = |name, key, value: Option<toml::Value>| {
            flags.extend(value.map(|value| Flag { name, key, value }));
        };
        add("--data", "data.source", self.source().map(Into::into));
        add("--method", "objective.method", self.method.clone().map(Into::into));
        let init = self.init.as_deref().map(|path| in_utf8(path, ("init.checkpoint", "--init")));
        add("--init", "init.checkpoint", init.transpose()?.map(Into::into));
        let Choices { key, heads, ignore } = self.foreign.choices();
        add("--key", "init.key", key.map(Into::into));
        add("--heads", "init.heads", heads.map(|heads| toml::Value::from(heads as i64)));
        add("--ignore", "init.ignore", (!ignore.is_empty()).then(|| ignore.into()));
        add("--arch", "model.arch", self.arch.clone().map(Into::into));
        add("--patch-size", "model.patch_size", self.patch_size.map(Into::into));
        add("--prototypes", "model.prototypes", self.prototypes.map(Into::into));
        add("--precision", "model.precision", self.precision.clone().map(Into::into));
        add("--batch-size", "optim.batch_size", self.batch_size.map(Into::into));
        add("--lr", "optim.lr", self.lr.map(Into::into));
        add("--epochs", "optim.epochs", self.epochs.map(Into::into));
        add("--steps", "optim.steps", self.steps.map(Into::into));
        add("--channels", "data.channels", self.channels.map(Into::into));
        add("--seed", "seed", self.seed.map(Into::into));
        add("--threads", "run.threads", self.threads.map(Into::into));
        add("--workers", "run.workers", self.workers.map(Into::into));
        add("--device", "run.device", self.device.clone().map(Into::into));
        add("--on-collapse", "run.on_collapse", self.on_collapse.clone().map(Into::into));
        add("--recompute", "run.recompute", self.recompute.clone().map(Into::into));
        let folder = folder.map(|path| in_utf8(path, ("run.out", "--out"))).transpose()?;
        add("--out", "run.out", folder.map(Into::into));
        Ok(flags)
    }
}

/// A path as `config.toml` can hold it; `key` is given by `flag`.
fn in_utf8<'a>(path: &'a Path, (key, flag): (&str, &str)) -> Result<&'a str, config::Error> {
    path.to_str().ok_or_else(|| config::Error::BadValue {
        key: key.to_owned(),
        origin: Origin::Flag(flag.to_owned()),
        found: format!("{path:?}"),
        needed: "be a path in UTF-8: rename it, or choose another".to_owned(),
    })
}

/// Why `--resume` cannot go on with a folder.
fn not_a_run(folder: &Path) -> String {
    let shown = folder.display();
    if !folder.exists() {
        return format!("`--resume {shown}`: there is no such folder");
    }
    let here = Path::new(".");
    let above = folder.ancestors().skip(1);
    let mut above = above.map(|above| if above.as_os_str().is_empty() { here } else { above });
    let is_saved =
        |above: &&Path| RunFolder::is_run(above) && above.join(checkpoint::FOLDER).is_dir();
    match above.find(is_saved) {
        Some(run) => format!(
            "`--resume {shown}` is no run folder, but a part of one: `--resume {}` goes on with its newest checkpoint",
            quoted(&run.display().to_string())
        ),
        None => format!(
            "`--resume {shown}` is no run folder: it has no `config.toml`; `--init` starts a new run from a checkpoint"
        ),
    }
}
