//! Writes checkpoints: into a temporary folder, which is synced and renamed; then removes old ones.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use atomic_file::{replace_folder, sync_folder};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Error, FOLDER, REPLACED, STATE, State, TEMPORARY, TENSORS, path_of, steps};
use crate::fingerprint::hex;

/// One tensor to save.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    /// Its name, unique in the checkpoint.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub values: &'a [f32],
}

/// Which checkpoints are kept when a new one is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Number of the newest checkpoints to keep.
    pub last: usize,
    /// Checkpoints at multiples of this number of steps are also kept; 0 for none.
    pub every_steps: u64,
    /// Checkpoints that are kept whatever their age, by their steps.
    pub best: Vec<u64>,
}

impl Retention {
    /// Keeps all checkpoints.
    pub const ALL: Self = Self { last: usize::MAX, every_steps: 0, best: Vec::new() };
}

impl Default for Retention {
    fn default() -> Self {
        Self { last: 2, every_steps: 0, best: Vec::new() }
    }
}

/// Writes a checkpoint into the run folder `run`, then removes those that `retention` does not
/// keep. On a full disk, removes them first and tries once more. Returns its folder.
///
/// # Errors
/// If it cannot be written. Earlier checkpoints are unchanged then, and the partial one is removed.
///
/// # Panics
/// If the number of a tensor's values is not that of its shape, or two tensors have one name.
pub fn save(
    run: &Path,
    tensors: &[Tensor<'_>],
    state: &State,
    retention: Retention,
) -> Result<PathBuf, Error> {
    let target = path_of(run, state.step);
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = run.join(FOLDER);
    let temporary = folder.join(format!("{TEMPORARY}{name}"));
    let write = || {
        let written = write_folder(&temporary, tensors, state).and_then(|()| {
            let aside = folder.join(format!("{REPLACED}{name}"));
            replace_folder(&temporary, &target, &aside).map_err(Failure::Io)
        });
        written.map_err(|failure| {
            // If this fails too, the next save removes the folder, and reading ignores it.
            drop(fs::remove_dir_all(&temporary));
            failure.into_error(target.clone(), tensors)
        })
    };
    match write() {
        // The new checkpoint does not count as kept yet, so one fewer of the others stays.
        Err(Error::DiskFull { .. }) if retention.last > 1 && retention != Retention::ALL => {
            prune(run, state.step, &Retention { last: retention.last - 1, ..retention.clone() })?;
            write()?;
        }
        written => written?,
    }
    prune(run, state.step, &retention)?;
    Ok(target)
}

enum Failure {
    Io(io::Error),
    State(serde_json::Error),
}

impl Failure {
    fn into_error(self, path: PathBuf, tensors: &[Tensor<'_>]) -> Error {
        match self {
            Self::State(source) => Error::State { path, source },
            Self::Io(source) => match source.kind() {
                // A file that is too large for the system stays so when others are removed.
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    let bytes = tensors.iter().map(|tensor| 4 * tensor.values.len() as u64).sum();
                    Error::DiskFull { path, bytes }
                }
                _ => Error::Write { path, source },
            },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

fn write_folder(folder: &Path, tensors: &[Tensor<'_>], state: &State) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let tensors_sha256 = write_tensors(&folder.join(TENSORS), tensors)?;
    let state = State { tensors_sha256, ..state.clone() };
    let bytes = state.to_bytes().map_err(Failure::State)?;
    let mut file = File::create(folder.join(STATE))?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok(sync_folder(folder)?)
}

/// Writes a safetensors file in the order of names and returns its SHA-256.
fn write_tensors(path: &Path, tensors: &[Tensor<'_>]) -> io::Result<String> {
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut out = Hashing { file: BufWriter::new(File::create(path)?), hash: Sha256::new() };
    let header = header(&sorted)?;
    out.write(&(header.len() as u64).to_le_bytes())?;
    out.write(&header)?;
    let mut bytes = Vec::with_capacity(4 << 14);
    for tensor in sorted {
        for values in tensor.values.chunks(1 << 14) {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            out.write(&bytes)?;
        }
    }
    out.file.flush()?;
    out.file.get_ref().sync_all()?;
    Ok(hex(&out.hash.finalize()))
}

/// The JSON header of a safetensors file, padded so that the data start at a multiple of 8.
///
/// Written by hand: the file is hashed while it is written, which the `safetensors` crate cannot do.
fn header(sorted: &[&Tensor<'_>]) -> io::Result<Vec<u8>> {
    let mut entries = serde_json::Map::new();
    let mut start = 0;
    for tensor in sorted {
        let Tensor { name, shape, values } = tensor;
        let count: usize = shape.iter().product();
        assert_eq!(count, values.len(), "tensor `{name}` has a shape of {shape:?}");
        let end = start + 4 * count;
        let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        let earlier = entries.insert(name.clone(), entry);
        assert!(earlier.is_none(), "two tensors have the name `{name}`");
        start = end;
    }
    let mut header = serde_json::to_vec(&entries)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// A file that is hashed while it is written.
struct Hashing {
    file: BufWriter<File>,
    hash: Sha256,
}

impl Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }
}

/// Removes the checkpoints up to `step` that `retention` does not keep, and remains of interrupted saves.
fn prune(run: &Path, step: u64, retention: &Retention) -> Result<(), Error> {
    let steps: Vec<_> = steps(run)?.into_iter().filter(|other| *other <= step).collect();
    let old = steps.len().saturating_sub(retention.last.max(1));
    let periodic =
        |step: u64| retention.every_steps > 0 && step.is_multiple_of(retention.every_steps);
    let is_kept = |step: &u64| periodic(*step) || retention.best.contains(step);
    for step in steps.into_iter().take(old).filter(|step| !is_kept(step)) {
        let path = path_of(run, step);
        fs::remove_dir_all(&path).map_err(|source| Error::Write { path, source })?;
    }
    clean(run)
}

/// Removes the remains of interrupted saves.
pub(crate) fn clean(run: &Path) -> Result<(), Error> {
    let folder = run.join(FOLDER);
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        // A kill between two renames leaves the older checkpoint of a step under this name: move it back.
        if let Some(step) = name.strip_prefix(REPLACED) {
            let target = folder.join(step);
            let back = if target.exists() {
                fs::remove_dir_all(&path)
            } else {
                fs::rename(&path, &target)
            };
            back.map_err(|source| Error::Write { path: path.clone(), source })?;
        }
        if name.starts_with(TEMPORARY) {
            fs::remove_dir_all(&path).map_err(|source| Error::Write { path, source })?;
        }
    }
    Ok(())
}
