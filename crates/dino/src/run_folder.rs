//! A [`RunFolder`] holds a run: configuration, metrics, checkpoints, and a lock.

mod belongs;
pub(crate) mod evaluations;
mod images;
mod longer;
mod made;
mod resume;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use report::{JsonLines, MetricsWriter};

use crate::config::Config;
use crate::error::{Error, Result, io_error};

pub(crate) use belongs::{check_settings, sign};
pub use evaluations::best_checkpoint;
pub use images::Images;
use made::Made;
pub use resume::{Resumed, Wanted};
pub(crate) use resume::{not_used, unknown_keys};

const CONFIG: &str = "config.toml";
const QUARANTINE: &str = "quarantine.jsonl";
const LOCK: &str = "run.lock";
const RUNS: &str = "runs";
const NO_CHECKPOINT: &str = "no checkpoint yet\n";
const HAS_CHECKPOINT: &str = "has a checkpoint\n";

/// A run folder that is locked for this process as long as the value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    lock: File,
    /// Files and folders that this process created for a new run.
    made: Made,
}

/// What `run.lock` says about checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The run has not saved one.
    NoCheckpoint,
    /// The run has saved one.
    HasCheckpoint,
    /// Nothing: an older version wrote it.
    Unknown,
}

impl RunFolder {
    /// Creates a folder for a new run, `out` or the first free `runs/<preset>-<n>`, and writes
    /// `config.toml` into it.
    ///
    /// # Errors
    /// If the folder is in use or cannot be written. What was created is removed again.
    pub fn create(out: Option<&Path>, preset: &str, config: &Config) -> Result<Self> {
        let mut made = Made::default();
        let path = match out {
            Some(out) => {
                require_empty(out)?;
                made.folder(out)?;
                out.to_owned()
            }
            None => first_free(Path::new(RUNS), preset, &mut made)?,
        };
        made.file_unless_there(&path.join(LOCK));
        let mut folder = match Self::lock(path) {
            Ok(folder) => folder,
            // Another process locked the folder since, and its file must stay.
            Err(error @ Error::RunLocked { .. }) => return Err(error),
            Err(error) => {
                made.remove();
                return Err(error);
            }
        };
        folder.made = made;
        folder.write_config(config).inspect_err(|_| folder.made.remove())?;
        Ok(folder)
    }

    fn write_config(&mut self, config: &Config) -> Result<()> {
        require_empty(&self.path)?;
        self.made.file_unless_there(&self.config_path());
        let text = match &config.run.working_dir {
            None => config.located().to_toml(),
            Some(_) => config.to_toml(),
        };
        replace(&self.config_path(), text.as_bytes())?;
        self.set_mark(NO_CHECKPOINT);
        Ok(())
    }

    /// Removes what this process created for a new run, unless it holds results: a run that was refused
    /// leaves no trace.
    pub fn discard(&mut self) {
        let is_empty = |name: &str| {
            fs::metadata(self.path.join(name)).map_or(true, |metadata| metadata.len() == 0)
        };
        let has_checkpoints = self.path.join(crate::checkpoint::FOLDER).exists();
        if !has_checkpoints && is_empty(MetricsWriter::FILE) && is_empty(QUARANTINE) {
            self.made.remove();
        }
    }

    /// The folder of the run `name`: `runs/<name>`.
    pub fn named(name: &str) -> PathBuf {
        Path::new(RUNS).join(name)
    }

    /// The run that a resume without a folder goes on with: the most recently written one in `runs`, or,
    /// with a preset, the newest `runs/<preset>-<n>`.
    ///
    /// # Errors
    /// There is none.
    pub fn to_resume(preset: Option<&str>) -> Result<PathBuf> {
        let newest = Self::newest_first();
        let found = match preset {
            Some(preset) => Self::latest(preset),
            None => newest.first().cloned(),
        };
        let preset = preset.map(str::to_owned);
        found.ok_or(Error::NoRunToResume { preset, others: newest })
    }

    /// The newest folder `runs/<preset>-<n>` with a run, if there is one.
    fn latest(preset: &str) -> Option<PathBuf> {
        let numbers = fs::read_dir(RUNS).ok()?.flatten().filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(preset)?.strip_prefix('-')?;
            number.parse::<u64>().ok().filter(|_| Self::is_run(&entry.path()))
        });
        numbers.max().map(|number| Path::new(RUNS).join(format!("{preset}-{number}")))
    }

    /// All runs in `runs`, the most recently written one first.
    fn newest_first() -> Vec<PathBuf> {
        let entries = fs::read_dir(RUNS).into_iter().flatten().flatten();
        let runs = entries.map(|entry| entry.path()).filter(|path| Self::is_run(path));
        let time = |run: &Path| {
            let file = [MetricsWriter::FILE, CONFIG].map(|name| fs::metadata(run.join(name)));
            file.into_iter().flatten().next()?.modified().ok()
        };
        let mut runs: Vec<_> = runs.map(|run| (time(&run), run)).collect();
        runs.sort_by(|a, b| b.cmp(a));
        runs.into_iter().map(|(_, run)| run).collect()
    }

    /// Whether `path` is the folder of a run.
    pub fn is_run(path: &Path) -> bool {
        path.join(CONFIG).is_file()
    }

    /// Whether a process trains the run in `path` now. False if the system cannot tell.
    pub fn is_in_use(path: &Path) -> bool {
        let lock = File::open(path.join(LOCK));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
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
    pub fn metrics(&mut self, step: u64) -> Result<MetricsWriter> {
        self.made.file_unless_there(&self.path.join(MetricsWriter::FILE));
        let mut metrics = MetricsWriter::open(&self.path, step)?;
        self.made.file(metrics.events().path());
        Ok(metrics)
    }

    /// Opens `quarantine.jsonl`, the list of unreadable images.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn quarantine(&mut self) -> Result<JsonLines> {
        let path = self.path.join(QUARANTINE);
        self.made.file_unless_there(&path);
        Ok(JsonLines::open(&path)?)
    }

    /// Whether `path` still leads to this folder: nobody has moved, removed or replaced it.
    #[cfg(unix)]
    pub fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        match (self.lock.metadata(), fs::metadata(self.path.join(LOCK))) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            (_, Err(error)) => {
                !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
            }
            (Err(_), _) => true,
        }
    }

    /// Whether `path` still leads to this folder; other systems do not move a folder with open files.
    #[cfg(not(unix))]
    pub fn is_in_place(&self) -> bool {
        self.path.join(LOCK).exists()
    }

    /// Creates a new folder for a run whose folder is gone: at the old place, or beside it if that is taken.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn replacement(&self, config: &Config) -> Result<Self> {
        if require_empty(&self.path).is_ok() {
            return Self::create(Some(&self.path), "", config);
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = (1..).map(|number| self.path.with_file_name(format!("{name}-saved-{number}")));
        let free = beside.into_iter().find(|path| !path.exists());
        Self::create(free.as_deref(), "", config)
    }

    /// Notes that the run has a checkpoint. Without the note, a run that lost its checkpoints would start
    /// again at step 1.
    pub(crate) fn note_checkpoint(&mut self) {
        self.set_mark(HAS_CHECKPOINT);
    }

    fn set_mark(&mut self, mark: &str) {
        let write = |mut file: &File| {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(mark.as_bytes())?;
            file.set_len(mark.len() as u64)
        };
        // Without the mark, `metrics.jsonl` shows whether there was a checkpoint.
        drop(write(&self.lock));
    }

    fn mark(&self) -> Mark {
        let mut text = String::new();
        let mut file = &self.lock;
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
        match (read, text.as_str()) {
            (Ok(_), NO_CHECKPOINT) => Mark::NoCheckpoint,
            (Ok(_), HAS_CHECKPOINT) => Mark::HasCheckpoint,
            _ => Mark::Unknown,
        }
    }

    fn lock(path: PathBuf) -> Result<Self> {
        let name = path.join(LOCK);
        let open =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&name);
        let lock = open.map_err(io_error("write", &name))?;
        let mut locked = lock.try_lock();
        if matches!(locked, Err(TryLockError::WouldBlock)) {
            // `is_in_use` may look just now, which takes no time.
            thread::sleep(Duration::from_millis(50));
            locked = lock.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::RunLocked { path }),
            // Some network file systems cannot lock; a run there is still better than none.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io { action: "lock", path: name, source });
            }
        }
        Ok(Self { path, lock, made: Made::default() })
    }
}

/// Writes `content` to `path`. After a crash the file has either its old or its new content.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    atomic_file::write(path, content).map_err(io_error("write", path))
}

/// Refuses a folder with a run or anything else in it; a missing folder is fine.
fn require_empty(path: &Path) -> Result<()> {
    if RunFolder::is_run(path) {
        let has_checkpoints = path.join(crate::checkpoint::FOLDER).exists();
        return Err(Error::RunUsed { path: path.to_owned(), has_checkpoints });
    }
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io_error("read", path))?,
    };
    let temporary = format!(".tmp-{CONFIG}");
    for entry in entries {
        let name = entry.map_err(io_error("read", path))?.file_name();
        if name != LOCK && name != temporary.as_str() {
            return Err(Error::NoRun { path: path.to_owned() });
        }
    }
    Ok(())
}

/// Creates the first folder `<base>/<preset>-<n>` that does not exist, from 1.
fn first_free(base: &Path, preset: &str, made: &mut Made) -> Result<PathBuf> {
    made.folder(base)?;
    let mut number = 1;
    loop {
        let path = base.join(format!("{preset}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => {
                made.made_folder(&path);
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(Error::Io { action: "create", path, source }),
        }
    }
}

#[cfg(test)]
mod tests;
