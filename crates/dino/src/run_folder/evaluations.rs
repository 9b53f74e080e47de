//! `evaluations.json` in the run folder: the one number of each probe, for the baselines and at each evaluation.
//!
//! A run that is resumed takes its baselines from here, and knows which checkpoint is the best one. Numbers of
//! other settings of `[eval]` cannot be compared, so they are not used.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checkpoint;
use crate::config::{Config, During, Eval};
use crate::error::{Error, Result, io_error};

const FILE: &str = "evaluations.json";
/// What stands behind a run folder to name its best checkpoint.
const BEST: &str = "@best";

/// The one number of each probe, by its name.
pub(crate) type Numbers = BTreeMap<String, f64>;

/// What was measured so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evaluations {
    /// `[eval]`, of which those keys that change no number have their defaults.
    settings: Eval,
    /// By features: `raw`, `untrained`, `start`.
    baselines: BTreeMap<String, Numbers>,
    /// Of the teacher, by step.
    trained: Vec<(u64, Numbers)>,
    /// The probe whose best checkpoint is kept.
    #[serde(default)]
    keep_best: Option<During>,
    /// Steps whose checkpoints were the best by other settings of `[eval]`. They stay.
    #[serde(default)]
    best_before: Vec<u64>,
}

impl Evaluations {
    /// Nothing is measured yet.
    pub(crate) fn new(config: &Config) -> Self {
        let Eval { during, every_epochs, keep_best, batch_size, .. } = Eval::default();
        let eval = config.located().eval;
        let settings = Eval { during, every_epochs, keep_best, batch_size, ..eval };
        Self {
            settings,
            baselines: BTreeMap::new(),
            trained: Vec::new(),
            keep_best: config.eval.keep_best,
            best_before: Vec::new(),
        }
    }

    /// Reads what the run in `run` has measured up to `step` with the settings of `config`. What it has measured with
    /// other settings is left out; the best checkpoint by them is remembered.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(run: &Path, config: &Config, step: u64) -> Result<Self> {
        let mut new = Self::new(config);
        let Some(mut found) = Self::in_folder(run)? else { return Ok(new) };
        found.trained.retain(|(of, _)| *of <= step);
        // Earlier versions did not write which probe it was.
        let probe_before = found.keep_best.or(new.keep_best);
        if found.settings == new.settings && probe_before == new.keep_best {
            found.keep_best = new.keep_best;
            return Ok(found);
        }
        let best = probe_before.and_then(|probe| found.best_step(probe, run));
        let best = best.filter(|best| !found.best_before.contains(best));
        found.best_before.extend(best);
        if found.settings == new.settings {
            found.keep_best = new.keep_best;
            return Ok(found);
        }
        new.best_before = found.best_before;
        Ok(new)
    }

    /// Steps whose checkpoints were the best by other settings.
    pub(crate) fn best_before(&self) -> &[u64] {
        &self.best_before
    }

    /// Whether nothing is measured yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.baselines.is_empty() && self.trained.is_empty()
    }

    fn in_folder(run: &Path) -> Result<Option<Self>> {
        let path = run.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read(&path).map_err(io_error("read", &path))?;
        let found = serde_json::from_slice(&text);
        let found = found.map_err(|error| {
            let remedy = "without this file a run measures its baselines again, and seeks its best checkpoint anew";
            io_error("read", &path)(io::Error::other(format!("it is damaged: {error}; {remedy}")))
        })?;
        Ok(Some(found))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, run: &Path) -> Result<()> {
        let path = run.join(FILE);
        let text = serde_json::to_vec(self).map_err(|error| Error::Io {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        atomic_file::write(&path, &text).map_err(io_error("write", &path))
    }

    /// Adds the numbers of features at a step.
    pub(crate) fn add(&mut self, features: &str, step: u64, numbers: Numbers) {
        if features == "trained" {
            self.trained.retain(|(of, _)| *of != step);
            self.trained.push((step, numbers));
        } else {
            self.baselines.insert(features.to_owned(), numbers);
        }
    }

    /// The numbers of a baseline: none if it was not measured.
    pub(crate) fn baseline(&self, features: &str) -> Numbers {
        self.baselines.get(features).cloned().unwrap_or_default()
    }

    /// The step whose checkpoint in `run` has the largest number of this probe; the first of equal ones.
    pub(crate) fn best_step(&self, probe: During, run: &Path) -> Option<u64> {
        let of = |(step, numbers): &(u64, Numbers)| Some((*step, *numbers.get(probe.name())?));
        let saved = self.trained.iter().filter_map(of);
        let saved = saved.filter(|(step, _)| checkpoint::path_of(run, *step).is_dir());
        let best = saved.reduce(|best, other| if other.1 > best.1 { other } else { best });
        best.map(|(step, _)| step)
    }
}

/// The folder of the best checkpoint, if `path` names one as `RUN@best`.
///
/// # Errors
/// [`Error::NoBest`] if the run has none.
pub fn best_checkpoint(path: &Path) -> Result<Option<PathBuf>> {
    let run = path.to_str().and_then(|text| text.strip_suffix(BEST)).map(PathBuf::from);
    let Some(run) = run.filter(|_| !path.exists()) else { return Ok(None) };
    let found = || -> Result<Option<u64>> {
        let config = Config::load(&run.join("config.toml"))?;
        let evaluations = Evaluations::in_folder(&run)?;
        let best = evaluations.zip(config.eval.keep_best);
        Ok(best.and_then(|(evaluations, probe)| evaluations.best_step(probe, &run)))
    };
    if !super::RunFolder::is_run(&run) {
        return Err(Error::no_checkpoint(&run));
    }
    let step = found()?.ok_or_else(|| Error::NoBest { run: run.clone() })?;
    Ok(Some(checkpoint::path_of(&run, step)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_step_is_the_first_best_one_that_is_saved() {
        let run = tempfile::tempdir().unwrap();
        let config = Config::default();
        let mut found = Evaluations::new(&config);
        for (step, value) in [(1, 50.0), (2, 70.0), (3, 60.0), (4, 60.0), (5, 90.0)] {
            let saved = checkpoint::path_of(run.path(), step);
            if step != 2 {
                std::fs::create_dir_all(saved).unwrap();
            }
            found.add("trained", step, Numbers::from([("knn".to_owned(), value)]));
        }
        assert_eq!(found.best_step(During::Knn, run.path()), Some(5));
        assert_eq!(found.best_step(During::Linear, run.path()), None);
        found.write(run.path()).unwrap();
        let read = |config: &Config| Evaluations::read(run.path(), config, 4).unwrap();
        let resumed = read(&config);
        assert_eq!(resumed.best_step(During::Knn, run.path()), Some(3), "step 5 is to come again");
        let mut other = config.clone();
        other.eval.every_epochs = 3;
        assert_eq!(read(&other), resumed);
        other.eval.temperature = 0.1;
        assert!(read(&other).is_empty(), "numbers of other settings cannot be compared");
        other.eval.keep_best = Some(During::Knn);
        let mut anew = read(&other);
        assert_eq!(anew.best_before(), [3], "that checkpoint stays");
        anew.add("trained", 4, Numbers::from([("knn".to_owned(), 1.0)]));
        anew.write(run.path()).unwrap();
        assert_eq!(read(&other).best_before(), [3]);
        other.eval.keep_best = Some(During::Linear);
        assert_eq!(read(&other).best_before(), [3, 4], "the best by the probe of before stays");
        other.eval.keep_best = None;
        assert_eq!(read(&other).best_before(), [3, 4]);
        other.eval.keep_best = Some(During::Knn);
        other.eval.temperature = 0.2;
        assert_eq!(read(&other).best_before(), [3, 4]);
    }
}
