//! Merges flags, files and presets into the configuration of a run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dino::config::{Config, Flag, Origin};
use dino::error::Error;
use dino::preset;
use dino::run_folder::RunFolder;

use super::flags::Pretrain;
use crate::commands::use_threads;

/// Most labelled images that k-NN uses, unless the settings say otherwise. More images change the accuracy
/// little and take longer.
const ENOUGH_TRAIN: usize = 10_000;
const ENOUGH_TEST: usize = 2_000;

impl Pretrain {
    /// The configuration of the run and the name of its preset. Starts the compute threads.
    ///
    /// # Errors
    /// A setting is unknown or invalid, or there is no run to resume.
    pub(super) fn settings(&self) -> Result<(Config, String)> {
        let (mut config, name, is_new) = self.merged_settings()?;
        require_cpu(&config)?;
        // Must come before a source is opened: the first use of the threads fixes their number.
        use_threads(config.run.threads)?;
        // A key that is set to `none` has no origin, so look at the flag itself.
        let evaluation_set = self.set.iter().any(|set| set.trim_start().starts_with("eval.train"));
        if is_new && !evaluation_set {
            fit_evaluation(&mut config);
        }
        Ok((config, name))
    }

    /// The merged settings, the name of the preset, and whether the run is new.
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

    /// The run folder. None for a new run whose folder gets the next free number.
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

/// Replaces the evaluation images of the preset if the run has other training images.
///
/// The new ones are the parts `:train` and `:test` of the run's source. If it has no such parts with labels,
/// the run is not evaluated.
fn fit_evaluation(config: &mut Config) {
    let source = config.data.source.clone();
    let name = source.strip_suffix(":train").or(source.strip_suffix(":test")).unwrap_or(&source);
    // `--data` overrides a `--config` file, which can be a printed preset with its own evaluation images.
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
