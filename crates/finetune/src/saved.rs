//! The folder of a fine-tuning: the state to continue from, the networks, and a record of settings and results.
//!
//! | path | content |
//! | --- | --- |
//! | `model.safetensors` | backbone and linear layer after the last epoch; other commands open the folder by it |
//! | `best.safetensors` | the same after the epoch with the best test accuracy |
//! | `finetune.json` | classes, settings, and the results of all tests |
//! | `state/checkpoints/step-…` | weights and moments of the newest two saves |
//!
//! Each file appears whole or not at all, and nothing in them depends on time or threads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dino::checkpoint::{self, ParamSet, Retention};
use engine::Params;
use interchange::archive::write::{self, TensorMeta};
use interchange::{About, FloatType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result, io_error};
use crate::network::BACKBONE;
use crate::step::State;
use crate::tested::Tested;

/// The network after the last epoch, and after the best one.
pub const LAST: &str = "model.safetensors";
/// The network after the epoch with the best test accuracy.
pub const BEST: &str = "best.safetensors";
/// Classes, settings and results.
pub const RECORD: &str = "finetune.json";

/// The folder of checkpoints lies in one of its own, so that nobody takes the folder for that of a run.
const STATE: &str = "state";
const LOCK: &str = ".lock";
/// The entry of a checkpoint's state.
const EXTRA: &str = "finetune";

/// What identifies the images of both sets, and what they are.
pub const IMAGES: [(&str, &str); 2] = [("training_images", "training"), ("test_images", "test")];

/// What a checkpoint holds beside the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What must be the same when training goes on.
    pub identity: Value,
    /// All tests so far.
    pub tests: Vec<Tested>,
    /// Sum of the losses of the current epoch's steps.
    pub loss_sum: f64,
}

/// A folder that this process alone writes.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates the folder, or opens it to continue what it holds.
    ///
    /// # Errors
    /// A folder with something else in it, or that another process uses.
    pub fn open(path: &Path, resume: bool) -> Result<Self> {
        check_content(path, resume)?;
        fs::create_dir_all(path).map_err(io_error("create", path))?;
        let lock_path = path.join(LOCK);
        let lock = atomic_file::lock(&lock_path).map_err(io_error("write", &lock_path))?;
        let lock = lock.ok_or_else(|| Error::InUse { path: path.to_owned() })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest whole checkpoint, if there is one, and a sentence for each newer one that is damaged.
    ///
    /// # Errors
    /// A checkpoint that cannot be read, or that was started differently: `identity` tells.
    pub fn load(
        &self,
        state: &mut State,
        identity: &Value,
    ) -> Result<(Option<Progress>, Vec<String>)> {
        let newest = checkpoint::load_newest_valid(&self.path.join(STATE))?;
        let refused = newest.refused.iter();
        let refused = refused.map(|refused| format!("not used: {}", refused.reason)).collect();
        let Some(loaded) = newest.loaded else { return Ok((None, refused)) };
        let extra = loaded.state.extra.get(EXTRA).cloned().unwrap_or_default();
        let damaged = |reason: serde_json::Error| checkpoint::Error::Damaged {
            path: loaded.path.join(checkpoint::STATE),
            reason: reason.to_string(),
        };
        let progress: Progress = serde_json::from_value(extra).map_err(damaged)?;
        self.check_identity(&progress.identity, identity)?;
        ParamSet::Student.read(&loaded.tensors, &mut state.weights)?;
        ParamSet::FirstMoment.read(&loaded.tensors, &mut state.first)?;
        ParamSet::SecondMoment.read(&loaded.tensors, &mut state.second)?;
        state.step = loaded.state.step;
        Ok((Some(progress), refused))
    }

    /// Refuses to go on with anything but what the training was started with.
    fn check_identity(&self, before: &Value, now: &Value) -> Result<()> {
        let (mut before, mut now) = (before.clone(), now.clone());
        let images =
            IMAGES.map(|(key, _)| [&mut before, &mut now].map(|identity| identity[key].take()));
        // A number or a setting that differs is named with both values. It says more than "other images".
        if let Some((key, before, now)) = difference(&before, &now, "") {
            return Err(Error::Differs { path: self.path.clone(), key, before, now });
        }
        for ((_, what), [before, now]) in IMAGES.into_iter().zip(images) {
            // Earlier versions did not write which images they had.
            if !before.is_null() && before != now {
                return Err(Error::OtherImages { what, path: self.path.clone() });
            }
        }
        Ok(())
    }

    /// Writes a checkpoint, and removes all but the newest two.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, state: &State, progress: &Progress, seed: u64) -> Result<PathBuf> {
        let sets = [
            (ParamSet::Student, &state.weights),
            (ParamSet::FirstMoment, &state.first),
            (ParamSet::SecondMoment, &state.second),
        ];
        let tensors: Vec<_> = sets.iter().flat_map(|(set, params)| set.tensors(params)).collect();
        let mut record = checkpoint::State::new(state.step, seed, EXTRA.to_owned());
        record.extra.insert(EXTRA.to_owned(), in_json(progress));
        Ok(checkpoint::save(&self.path.join(STATE), &tensors, &record, Retention::default())?)
    }

    /// Writes a network into the file `name`, with the backbone's tensors under the names that DINO and timm share.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn export(&self, name: &str, weights: &Params, about: &About) -> Result<()> {
        let path = self.path.join(name);
        let entries = weights.table().entries();
        let tensors: Vec<_> = entries
            .iter()
            .map(|entry| TensorMeta {
                name: entry.name.strip_prefix(BACKBONE).unwrap_or(&entry.name).to_owned(),
                dtype: FloatType::F32.dtype(),
                shape: entry.shape.clone(),
            })
            .collect();
        let written = atomic_file::write_with(&path, |file| {
            write::safetensors(file, &tensors, Some(about), |i| {
                Ok(FloatType::F32.to_bytes(weights.view(entries[i].param).host()))
            })
        });
        written.map_err(io_error("write", &path))
    }

    /// Writes `finetune.json`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn record(&self, record: &Value) -> Result<()> {
        let path = self.path.join(RECORD);
        atomic_file::write(&path, format!("{record:#}\n").as_bytes())
            .map_err(io_error("write", &path))
    }
}

/// Refuses a folder with other files than those of a fine-tuning that is to be continued.
fn check_content(path: &Path, resume: bool) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let mut entries = fs::read_dir(path).map_err(io_error("read", path))?.flatten();
    let is_ours = path.join(STATE).join(checkpoint::FOLDER).is_dir();
    let path = || path.to_owned();
    match (entries.any(|entry| entry.file_name() != LOCK), is_ours) {
        (true, false) => Err(Error::NotOurs { path: path() }),
        (true, true) if !resume => Err(Error::Occupied { path: path() }),
        _ => Ok(()),
    }
}

/// A value as JSON. Only maps with other keys than text cannot be.
pub(crate) fn in_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The first entry in which two JSON values differ, with both values.
fn difference(before: &Value, now: &Value, path: &str) -> Option<(String, String, String)> {
    if let (Value::Object(a), Value::Object(b)) = (before, now) {
        let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
        let null = Value::Null;
        return keys.into_iter().find_map(|key| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            difference(a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), &path)
        });
    }
    (before != now).then(|| (format!("`{path}`"), before.to_string(), now.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_difference_has_its_name_and_both_values() {
        let before = json!({ "settings": { "lr": 0.1, "clip": null }, "images": 3 });
        let now = json!({ "settings": { "lr": 0.1, "clip": 1.0 }, "images": 3 });
        let expected = ("`settings.clip`".to_owned(), "null".to_owned(), "1.0".to_owned());
        assert_eq!(difference(&before, &now, ""), Some(expected));
        assert_eq!(difference(&before, &before, ""), None);
    }

    #[test]
    fn a_folder_with_other_files_is_refused_and_one_in_use_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |resume| Folder::open(folder.path(), resume);
        let first = open(false).expect("an empty folder");
        assert!(matches!(open(true), Err(Error::InUse { .. })));
        drop(first);
        fs::write(folder.path().join("notes.txt"), "mine").expect("a file");
        for resume in [false, true] {
            assert!(matches!(open(resume), Err(Error::NotOurs { .. })));
        }
    }
}
