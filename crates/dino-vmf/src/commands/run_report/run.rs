//! A run as reports read it: its settings and its history.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use dino::config::Config;
use dino::run_folder::RunFolder;
use report::number::counted;
use report::{History, Metric, MetricsWriter};

/// A run, read at one moment.
pub(crate) struct Run {
    pub(crate) path: PathBuf,
    /// Its name among the runs of the report.
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) history: History,
    /// Whether a process trains it now.
    pub(crate) goes_on: bool,
}

impl Run {
    /// Reads a run.
    ///
    /// # Errors
    /// The folder holds no run, or a file cannot be read.
    pub(crate) fn open(path: &Path, name: String) -> Result<Self> {
        if !RunFolder::is_run(path) {
            let found = match path.exists() {
                true => "is not a run folder: it has no `config.toml`",
                false => "does not exist",
            };
            bail!("`{}` {found}; name a folder that `pretrain` made", path.display());
        }
        // Before the metrics: a run that ends meanwhile is shown as one that goes on, with all it had written.
        let goes_on = RunFolder::is_in_use(path);
        let config = Config::load(&path.join("config.toml"))?;
        let history = History::read(&path.join(MetricsWriter::FILE))?;
        Ok(Self { path: path.to_owned(), name, config, history, goes_on })
    }

    /// What is worth a warning.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let file = self.path.join(MetricsWriter::FILE);
        let damaged = self.history.damaged_lines;
        let damaged = (damaged > 0).then(|| {
            let lines = counted(damaged, "line");
            format!("{lines} of `{}` cannot be read and are left out", file.display())
        });
        let keys = self.config.unknown_keys().iter();
        let unknown = keys.map(|key| format!("`{}`: {key} is unknown to this version", self.name));
        damaged.into_iter().chain(unknown).collect()
    }

    /// Images in an optimizer step.
    pub(crate) fn batch_size(&self) -> usize {
        self.config.optim.batch_size
    }

    /// Seconds of training, from the images per second of its steps; nothing without a measured step.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let over_speed = self.history.steps_over_speed;
        (over_speed > 0.0).then(|| over_speed * self.batch_size() as f64)
    }

    /// Mean images per second of its steps.
    pub(crate) fn images_per_second(&self) -> Option<f64> {
        let trained = self.history.metrics.get(Metric::ImagesPerSecond.key())?;
        let first = trained.points().first()?.first;
        let steps = self.history.last_step.saturating_sub(first) + 1;
        let seconds = self.seconds()?;
        Some((steps as usize * self.batch_size()) as f64 / seconds)
    }

    /// How far it is, in words: `epoch 3 of 14, goes on`.
    pub(crate) fn state(&self) -> String {
        let epoch = self.history.last(Metric::Epoch);
        let length = match (self.config.optim.epochs(), self.config.optim.steps) {
            (_, Some(steps)) => format!(" of {steps}"),
            (Some(epochs), None) => format!(" of {epochs}"),
            (None, None) => String::new(),
        };
        let ending = if self.goes_on { ", goes on" } else { "" };
        match (epoch, self.config.optim.steps) {
            (None, _) => format!("no step yet{ending}"),
            (Some(_), Some(_)) => format!("step {}{length}{ending}", self.history.last_step),
            (Some(epoch), None) => format!("epoch {}{length}{ending}", epoch + 1.0),
        }
    }

    /// Alarms that are raised and not cleared, by their names.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let mut raised: Vec<String> = Vec::new();
        for event in self.history.events.iter().filter(|event| event.kind == "alarm") {
            let name = event.record["name"].as_str().unwrap_or_default();
            raised.retain(|other| other != name);
            if event.record["raised"].as_bool() == Some(true) {
                raised.push(name.to_owned());
            }
        }
        raised
    }
}

/// Names of runs: the last part of their paths, or all of the path where two would be the same.
pub(super) fn names(paths: &[PathBuf]) -> Vec<String> {
    let short = |path: &Path| {
        let whole = path.canonicalize();
        let name = whole.as_deref().unwrap_or(path).file_name();
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let all: Vec<_> = paths.iter().map(|path| short(path)).collect();
    let name = |(path, name): (&PathBuf, &Option<String>)| match name {
        Some(text) if all.iter().filter(|other| *other == name).count() == 1 => text.clone(),
        _ => path.display().to_string(),
    };
    paths.iter().zip(&all).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_differ() {
        let paths = ["runs/a", "runs/b", "other/b", "c/"].map(PathBuf::from);
        assert_eq!(names(&paths), ["a", "runs/b", "other/b", "c"]);
    }
}
