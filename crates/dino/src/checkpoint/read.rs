//! Reads checkpoints, wholly or not at all; each failure has an error of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use safetensors::{Dtype, SafeTensors};

use super::{Error, FOLDER, FORMAT, STATE, State, TENSORS, path_of, steps};
use crate::fingerprint;

/// Pauses before a file that the system could not read is read again.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// A whole checkpoint.
#[derive(Debug)]
pub struct Loaded {
    /// Its folder.
    pub path: PathBuf,
    /// Everything that is not a tensor.
    pub state: State,
    /// The tensors.
    pub tensors: Tensors,
}

/// A checkpoint that was not used.
#[derive(Debug)]
pub struct Refused {
    /// Its folder.
    pub path: PathBuf,
    /// Why it was not used.
    pub reason: Error,
}

/// The newest whole checkpoint of a run, and the newer ones that are damaged.
#[derive(Debug, Default)]
pub struct Newest {
    /// `None` if the run has no checkpoint at all.
    pub loaded: Option<Loaded>,
    /// Newer, damaged checkpoints, the newest first.
    pub refused: Vec<Refused>,
}

/// Loads the newest whole checkpoint of the run folder `run`. Changes nothing in the folder.
///
/// # Errors
/// If all checkpoints are damaged. If the system cannot read one, or a newer version of the program wrote
/// it: such a checkpoint may be whole, so no older one is used in its place.
pub fn load_newest_valid(run: &Path) -> Result<Newest, Error> {
    let mut refused = Vec::new();
    for step in steps(run)?.into_iter().rev() {
        let path = path_of(run, step);
        match load(&path) {
            Ok(loaded) => return Ok(Newest { loaded: Some(loaded), refused }),
            Err(reason) if !reason.is_damage() => return Err(reason),
            // A run that still trains removes its old checkpoints: this one is gone by now.
            Err(_) if matches!(path.try_exists(), Ok(false)) => {}
            Err(reason) => refused.push(Refused { path, reason }),
        }
    }
    match refused.first() {
        None => Ok(Newest::default()),
        Some(newest) => Err(Error::NoneValid {
            path: run.join(FOLDER),
            count: refused.len(),
            newest: newest.reason.to_string(),
        }),
    }
}

/// Loads the checkpoint in the folder `path`.
///
/// # Errors
/// If a file is missing or has one wrong bit, or a value is not finite.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    let state = read_state(&path.join(STATE))?;
    let file = path.join(TENSORS);
    let bytes = read(&file)?;
    let found = fingerprint::of(&bytes);
    if found != state.tensors_sha256 {
        let reason = format!(
            "its {} bytes have the checksum {}…, but {}… was saved",
            bytes.len(),
            &found[..8],
            state.tensors_sha256.get(..8).unwrap_or_default()
        );
        return Err(Error::Damaged { path: file, reason });
    }
    let named = path.file_name().and_then(|name| name.to_str());
    let step = state.step;
    if path_of(Path::new(""), step).file_name().and_then(|name| name.to_str()) != named {
        let reason = format!("it belongs to step {step}");
        return Err(Error::Damaged { path: path.join(STATE), reason });
    }
    let tensors = Tensors::from_bytes(&file, bytes)?;
    tensors.require_finite()?;
    Ok(Loaded { path: path.to_owned(), state, tensors })
}

/// All bytes of a file. If the system cannot read it, tries twice more.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let read_once = || {
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            // Reading a pipe could wait forever; reading a device may have no end.
            let reason = "it is not a file, but a folder, a pipe or a device".to_owned();
            return Err(Error::Damaged { path: path.to_owned(), reason });
        }
        fs::read(path).map_err(unreadable)
    };
    for pause in PAUSES {
        match read_once() {
            Err(error) if !error.is_damage() => thread::sleep(pause),
            done => return done,
        }
    }
    read_once()
}

fn read_state(path: &Path) -> Result<State, Error> {
    let bytes = read(path)?;
    let damaged = |reason: String| Error::Damaged { path: path.to_owned(), reason };
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    let found = value["format"].as_u64().and_then(|found| u32::try_from(found).ok());
    if let Some(found) = found.filter(|found| *found > FORMAT) {
        return Err(Error::Format { path: path.to_owned(), found, known: FORMAT });
    }
    let state: State = serde_json::from_value(value).map_err(|error| damaged(error.to_string()))?;
    let expected = state.to_bytes().map_err(|error| damaged(error.to_string()))?;
    if bytes != expected {
        return Err(damaged("its checksum does not match its content".to_owned()));
    }
    Ok(state)
}

/// The tensors of a safetensors file, by name.
#[derive(Debug)]
pub struct Tensors {
    path: PathBuf,
    bytes: Vec<u8>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

impl Tensors {
    /// Reads any safetensors file, without a checksum.
    ///
    /// # Errors
    /// If it cannot be read or is no safetensors file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::from_bytes(path, read(path)?)
    }

    fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        let damaged = |error: safetensors::SafeTensorError| Error::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        // Checks that the header is valid and that its tensors cover the file exactly.
        SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let data = 8 + header;
        let entry = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
            let (start, end) = info.data_offsets;
            let bytes = data + start..data + end;
            (name, Entry { dtype: info.dtype, shape: info.shape.clone(), bytes })
        };
        let entries = metadata.tensors().into_iter().map(entry).collect();
        Ok(Self { path: path.to_owned(), bytes, entries })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The shape of `name`, if the file has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The values of `name`, which must have the shape `shape`.
    ///
    /// # Errors
    /// If it is missing, has another shape or is not `f32`.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let mut values = vec![0.0; shape.iter().product()];
        self.copy_into(name, shape, &mut values)?;
        Ok(values)
    }

    /// Copies the values of `name`, which must have the shape `shape`, into `values`.
    ///
    /// # Errors
    /// If it is missing, has another shape or is not `f32`; `values` is unchanged then.
    ///
    /// # Panics
    /// If the number of `values` is not that of `shape`.
    pub fn copy_into(&self, name: &str, shape: &[usize], values: &mut [f32]) -> Result<(), Error> {
        let (path, name_owned) = (|| self.path.clone(), || name.to_owned());
        let Some(entry) = self.entries.get(name) else {
            return Err(Error::Missing { path: path(), name: name_owned() });
        };
        if entry.shape != shape {
            let (expected, found) = (shape.to_vec(), entry.shape.clone());
            return Err(Error::Shape { path: path(), name: name_owned(), expected, found });
        }
        if entry.dtype != Dtype::F32 {
            let found = format!("{:?}", entry.dtype);
            return Err(Error::Dtype { path: path(), name: name_owned(), found });
        }
        let (elements, _) = self.bytes[entry.bytes.clone()].as_chunks::<4>();
        assert_eq!(elements.len(), values.len(), "values for tensor `{name}` of shape {shape:?}");
        for (value, bytes) in values.iter_mut().zip(elements) {
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    /// Refuses a file with a value that is NaN or infinite.
    fn require_finite(&self) -> Result<(), Error> {
        for (name, entry) in self.entries.iter().filter(|(_, entry)| entry.dtype == Dtype::F32) {
            let (elements, _) = self.bytes[entry.bytes.clone()].as_chunks::<4>();
            let bad = |bytes: &&[u8; 4]| !f32::from_le_bytes(**bytes).is_finite();
            if let Some(bytes) = elements.iter().find(bad) {
                let (path, name) = (self.path.clone(), name.clone());
                return Err(Error::NotFinite { path, name, value: f32::from_le_bytes(*bytes) });
            }
        }
        Ok(())
    }

    /// Refuses a file with tensors that are not among `known`.
    ///
    /// # Errors
    /// [`Error::Unknown`], with the number of unknown tensors and the first of them.
    pub fn only<'a>(&self, known: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let known: BTreeSet<_> = known.collect();
        let mut unknown = self.names().filter(|name| !known.contains(name));
        match unknown.next() {
            None => Ok(()),
            Some(name) => {
                let (name, count) = (name.to_owned(), 1 + unknown.count());
                Err(Error::Unknown { path: self.path.clone(), count, name })
            }
        }
    }
}
