//! From flags to the configuration of a run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dino::config::{Config, Flag, Origin};
use dino::error::Error;
use dino::preset;
use dino::run_folder::RunFolder;

use super::Pretrain;
use crate::commands::use_threads;

/// Labelled images that are enough to judge features, unless the settings say otherwise.
const ENOUGH_TRAIN: usize = 10_000;
const ENOUGH_TEST: usize = 2_000;

impl Pretrain {
    /// The run's configuration, the compute threads already started, and the name of its preset.
    pub(super) fn settings(&self) -> Result<(Config, String)> {
        let (mut config, name, is_new) = self.merged_settings()?;
        require_cpu(&config)?;
        // Opening a source uses these threads, and their number is fixed by their first use.
        use_threads(config.run.threads)?;
        // A key set to `none` has no origin any more.
        let evaluation_set = self.set.iter().any(|set| set.trim_start().starts_with("eval.train"));
        if is_new && !evaluation_set {
            fit_evaluation(&mut config);
        }
        Ok((config, name))
    }

    /// The settings as written, the preset's name, and whether they are not those of an existing run.
    fn merged_settings(&self) -> Result<(Config, String, bool)> {
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
        Ok((config, name.to_owned(), own.is_none()))
    }

    /// The run folder, if it is not to be a new one with the next number.
    fn folder(&self, preset: &str) -> Result<Option<PathBuf>> {
        match (&self.resume, &self.out) {
            (Some(Some(_)), Some(_)) => {
                let (first, second) = ("--resume DIR", "--out");
                Err(Error::Exclusive { first, second, origin: Origin::Default }.into())
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

fn require_cpu(config: &Config) -> Result<(), Error> {
    if config.run.device == "cpu" {
        return Ok(());
    }
    Err(Error::BadValue {
        key: "run.device".to_owned(),
        origin: config.origin("run.device"),
        found: format!("{:?}", config.run.device),
        needed: "be \"cpu\": this version computes on nothing else yet".to_owned(),
    })
}

/// Judges features on the images of the run instead of those of the preset, if the run has others.
///
/// A preset that evaluates on its own images evaluates on parts `:train` and `:test` of the run's,
/// where there are such parts with labels, and not at all otherwise.
fn fit_evaluation(config: &mut Config) {
    let source = config.data.source.clone();
    let name = source.strip_suffix(":train").or(source.strip_suffix(":test")).unwrap_or(&source);
    // `--data` is said later than a `--config` file, which may be a preset with its own images.
    let on_command_line = |origin| matches!(origin, Origin::Set | Origin::Flag(_));
    let data_is_later = on_command_line(config.origin("data.source"))
        && !on_command_line(config.origin("eval.train"));
    let by_hand = config.origin("eval.train").by_hand() && !data_is_later;
    let evaluates = config.eval.train.is_some() || config.eval.max_train.is_some();
    let foreign = config.eval.train.as_deref().is_none_or(|train| train.starts_with("shapes"));
    if name == "shapes" || !evaluates || !foreign || by_hand {
        return;
    }
    let (train, test) = (format!("{name}:train"), format!("{name}:test"));
    let labelled =
        |source: &str| config.data.open(source).is_ok_and(|set| !set.classes().is_empty());
    if !labelled(&train) || !labelled(&test) {
        (config.eval.train, config.eval.test) = (None, None);
        return;
    }
    let size = config.data.global_size;
    let eval = &mut config.eval;
    (eval.train, eval.test) = (Some(train), Some(test));
    eval.max_train.get_or_insert(ENOUGH_TRAIN);
    eval.max_test.get_or_insert(ENOUGH_TEST);
    let crop = *eval.crop.get_or_insert(size);
    eval.resize.get_or_insert(crop);
}
