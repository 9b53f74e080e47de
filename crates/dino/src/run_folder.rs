//! The folder of a run: configuration, metrics, checkpoints, and a lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::checkpoint::{self, Loaded, Newest, Refused};
use crate::config::Config;
use crate::error::{Error, Result, io_error};
use crate::metrics::{JsonLines, Metrics, cut_back, replace};

const CONFIG: &str = "config.toml";
const QUARANTINE: &str = "quarantine.jsonl";
const LOCK: &str = "run.lock";
const RUNS: &str = "runs";

/// A run folder that this process alone writes to, as long as the value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

/// A run that goes on.
#[derive(Debug)]
pub struct Resumed {
    /// Its folder.
    pub folder: RunFolder,
    /// The newest whole checkpoint; `None` if the run has none, so that it starts at step 0.
    pub loaded: Option<Loaded>,
    /// Damaged checkpoints newer than that; they have been renamed to `refused-step-…`.
    pub refused: Vec<Refused>,
}

impl RunFolder {
    /// Makes a folder for a new run, `out` or the first free `runs/<preset>-<n>`, and writes
    /// `config.toml` into it.
    ///
    /// # Errors
    /// If the folder is in use or cannot be written.
    pub fn create(out: Option<&Path>, preset: &str, config: &Config) -> Result<Self> {
        let path = match out {
            Some(out) => out.to_owned(),
            None => first_free(Path::new(RUNS), preset)?,
        };
        fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        let folder = Self::lock(path)?;
        folder.require_empty()?;
        replace(&folder.config_path(), config.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// Goes on with the run in `path`, or starts it there if the folder is missing or empty, so
    /// that a requeued job can use one command line. Cuts `metrics.jsonl` back to the checkpoint.
    ///
    /// # Errors
    /// If the folder belongs to another configuration, is in use, has only damaged checkpoints, or
    /// cannot be written.
    pub fn resume(path: &Path, config: &Config) -> Result<Resumed> {
        let is_new = !path.join(CONFIG).exists();
        if is_new {
            let folder = Self::create(Some(path), "", config)?;
            return Ok(Resumed { folder, loaded: None, refused: Vec::new() });
        }
        let folder = Self::lock(path.to_owned())?;
        let saved = Config::load(&folder.config_path())?;
        saved.same_run(config).map_err(|difference| Error::OtherConfig {
            path: path.to_owned(),
            key: difference.key,
            saved: difference.ours,
            given: difference.theirs,
        })?;
        checkpoint::clean(path)?;
        let Newest { loaded, refused } = checkpoint::load_newest_valid(path)?;
        for refused in &refused {
            set_aside(&refused.path)?;
        }
        let step = loaded.as_ref().map_or(0, |loaded| loaded.state.step);
        cut_back(&path.join(Metrics::FILE), step)?;
        Ok(Resumed { folder, loaded, refused })
    }

    /// The newest folder `runs/<preset>-<n>`, if there is one.
    pub fn latest(preset: &str) -> Option<PathBuf> {
        let numbers = fs::read_dir(RUNS).ok()?.flatten().filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(preset)?.strip_prefix('-')?;
            number.parse::<u64>().ok()
        });
        numbers.max().map(|number| Path::new(RUNS).join(format!("{preset}-{number}")))
    }

    /// Whether `path` is the folder of a run.
    pub fn is_run(path: &Path) -> bool {
        path.join(CONFIG).is_file()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its `config.toml`.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Opens `metrics.jsonl` and a TensorBoard file; `step` is the number of steps done.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn metrics(&self, step: u64) -> Result<Metrics> {
        Metrics::open(&self.path, step)
    }

    /// Opens `quarantine.jsonl`, the list of unreadable images.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn quarantine(&self) -> Result<JsonLines> {
        JsonLines::open(&self.path.join(QUARANTINE))
    }

    fn lock(path: PathBuf) -> Result<Self> {
        let name = path.join(LOCK);
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&name);
        let file = open.map_err(io_error("write", &name))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _lock: file }),
            Err(TryLockError::WouldBlock) => Err(Error::RunLocked { path }),
            // Some network file systems cannot lock; a run there is still better than none.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                Ok(Self { path, _lock: file })
            }
            Err(TryLockError::Error(source)) => {
                Err(Error::Io { action: "lock", path: name, source })
            }
        }
    }

    fn require_empty(&self) -> Result<()> {
        let path = &self.path;
        if Self::is_run(path) {
            return Err(Error::RunUsed { path: path.clone() });
        }
        let temporary = format!(".tmp-{CONFIG}");
        for entry in fs::read_dir(path).map_err(io_error("read", path))? {
            let name = entry.map_err(io_error("read", path))?.file_name();
            if name != LOCK && name != temporary.as_str() {
                return Err(Error::NoRun { path: path.clone() });
            }
        }
        Ok(())
    }
}

/// Creates the first folder `<base>/<preset>-<n>` that does not exist, from 1.
fn first_free(base: &Path, preset: &str) -> Result<PathBuf> {
    fs::create_dir_all(base).map_err(io_error("create", base))?;
    let mut number = 1;
    loop {
        let path = base.join(format!("{preset}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(Error::Io { action: "create", path, source }),
        }
    }
}

/// Renames a damaged checkpoint, so that it is neither counted nor in the way.
fn set_aside(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("refused-{name}"));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(io_error("remove", &aside))?;
    }
    fs::rename(path, aside).map_err(io_error("rename", path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checkpoint::{Retention, State, Tensor, save};

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<_> = sets.iter().map(|text| (*text).to_owned()).collect();
        Config::resolve(Some("shapes-tiny"), None, &sets, &[]).unwrap()
    }

    fn save_step(run: &Path, step: u64) {
        let tensor = Tensor { name: "w".to_owned(), shape: vec![2], values: &[1.0, step as f32] };
        let state = State::new(step, 0, String::new());
        save(run, &[tensor], &state, Retention::default()).unwrap();
    }

    #[test]
    fn the_first_free_number_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("runs");
        assert_eq!(first_free(&base, "a").unwrap(), base.join("a-1"));
        assert_eq!(first_free(&base, "a").unwrap(), base.join("a-2"));
        assert_eq!(first_free(&base, "b").unwrap(), base.join("b-1"));
    }

    #[test]
    fn a_used_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, config) = (folder.path().join("run"), config(&[]));
        drop(RunFolder::create(Some(&path), "", &config).unwrap());
        let error = RunFolder::create(Some(&path), "", &config).unwrap_err();
        assert_eq!(error.to_string(), format!("run folder `{}` is used already", path.display()));
        assert!(error.hint().unwrap().contains("--resume"));
        let error = RunFolder::create(Some(folder.path()), "", &config).unwrap_err();
        assert!(matches!(error, Error::NoRun { .. }), "{error}");
    }

    #[test]
    fn only_one_process_writes_into_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&[]);
        let run = RunFolder::create(Some(folder.path()), "", &config).unwrap();
        let error = RunFolder::resume(folder.path(), &config).unwrap_err();
        assert!(matches!(error, Error::RunLocked { .. }), "{error}");
        drop(run);
        RunFolder::resume(folder.path(), &config).unwrap();
    }

    #[test]
    fn another_configuration_is_refused_by_its_key() {
        let folder = tempfile::tempdir().unwrap();
        drop(RunFolder::resume(folder.path(), &config(&["seed=3"])).unwrap());
        drop(RunFolder::resume(folder.path(), &config(&["seed=3", "run.threads=2"])).unwrap());
        let error = RunFolder::resume(folder.path(), &config(&["seed=4"])).unwrap_err();
        assert!(error.to_string().ends_with("configuration: `seed` is 3 there and 4 now"));
    }

    #[test]
    fn a_run_goes_on_at_its_newest_whole_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let (path, config) = (folder.path(), config(&[]));
        let run = RunFolder::create(Some(path), "", &config).unwrap();
        let mut metrics = run.metrics(0).unwrap();
        for step in 1..=5 {
            metrics.write(step, &json!({"loss": 1})).unwrap();
        }
        run.quarantine().unwrap().write(&json!({"path": "a"})).unwrap();
        save_step(path, 2);
        save_step(path, 4);
        drop(run);
        fs::write(checkpoint::path_of(path, 4).join(checkpoint::TENSORS), b"short").unwrap();
        fs::create_dir(path.join("checkpoints/.tmp-step-00000006")).unwrap();
        let resumed = RunFolder::resume(path, &config).unwrap();
        assert_eq!(resumed.loaded.unwrap().state.step, 2);
        assert!(resumed.refused[0].reason.to_string().contains("step-00000004"));
        assert!(!path.join("checkpoints/.tmp-step-00000006").exists());
        assert!(path.join("checkpoints/refused-step-00000004").exists());
        let lines = fs::read_to_string(path.join(Metrics::FILE)).unwrap();
        assert_eq!(lines.lines().count(), 2);
        save_step(path, 4);
        assert_eq!(checkpoint::steps(path).unwrap(), [2, 4]);
    }
}
