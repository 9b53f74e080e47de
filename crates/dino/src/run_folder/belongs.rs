//! Checks that a checkpoint belongs to the run in whose folder it lies, and to its images.
//!
//! | what | is compared with | if it differs |
//! | --- | --- | --- |
//! | settings that change results (`extra.settings` of `state.json`) | `config.toml` | refused, with the key |
//! | seed | `config.toml` | refused |
//! | fingerprint, where an older version saved no settings | `config.toml` | refused |
//! | version of the program | this version | a warning |
//! | images: their number, names, and the bytes of 16 (`extra.images`) | `data.source` | refused, unless a flag allows it |
//!
//! Settings, seed, fingerprint and version are compared whenever a checkpoint is read: on resume, by
//! `eval` and by `analyze`. Images are compared on resume. On resume the settings given are compared with
//! `config.toml` too. These may change: all of `[run]` but `run.device`, all of `[eval]`, and the place of
//! the images, `data.source`. A key that one side lacks counts as its default, so that versions with more
//! keys read the runs of older ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use multicrop::dataset::Dataset;
use serde_json::{Value, json};

use super::images::Images;
use crate::checkpoint::{Loaded, State};
use crate::config::{Config, compare_so_far, earlier_fingerprint};
use crate::error::{Error, Result, io_error};

const SETTINGS: &str = "settings";
const IMAGES: &str = "images";

/// Writes into a checkpoint's state which run and which images it belongs to.
pub(crate) fn sign(state: &mut State, config: &Config, images: &Images) {
    state.extra.insert(SETTINGS.to_owned(), json!(config.settings()));
    state.extra.insert(IMAGES.to_owned(), json!(images));
}

/// Compares a checkpoint with the `config.toml` of its run, which was read as `config`. Returns warnings.
///
/// # Errors
/// The first setting that differs.
pub(crate) fn check_settings(
    loaded: &Loaded,
    config_path: &Path,
    config: &Config,
) -> Result<Vec<String>> {
    let state = &loaded.state;
    let differs = |key: String, saved: String, here: String| Error::OtherRun {
        checkpoint: loaded.path.clone(),
        config: config_path.to_owned(),
        what: format!("`{key}` is {saved} in the checkpoint and {here} in `config.toml`"),
    };
    if state.seed != config.seed {
        return Err(differs("seed".into(), state.seed.to_string(), config.seed.to_string()));
    }
    if let Some(saved) = settings_of(state) {
        compare_so_far(&saved, config, state.step)
            .map_err(|difference| differs(difference.key, difference.ours, difference.theirs))?;
    } else {
        let text = fs::read_to_string(config_path).map_err(io_error("read", config_path))?;
        let known = [earlier_fingerprint(&text), Some(config.fingerprint())];
        if !known.contains(&Some(state.config.clone())) {
            return Err(Error::OtherRun {
                checkpoint: loaded.path.clone(),
                config: config_path.to_owned(),
                what: "the fingerprint of the settings is not the one that was saved".to_owned(),
            });
        }
    }
    Ok(other_version(loaded).into_iter().collect())
}

fn settings_of(state: &State) -> Option<BTreeMap<String, String>> {
    serde_json::from_value(state.extra.get(SETTINGS)?.clone()).ok()
}

fn other_version(loaded: &Loaded) -> Option<String> {
    let (then, now) = (loaded.state.library(), env!("CARGO_PKG_VERSION"));
    (then != now).then(|| {
        format!(
            "checkpoint `{}` was written by version {then} and this is version {now}, so further steps \
             may differ in their last digits from those of version {then}",
            loaded.path.display()
        )
    })
}

/// How the images of a resumed run differ from those that it was trained on so far.
pub(super) enum Compared {
    /// Not at all.
    Equal,
    /// In this way.
    Differ(String),
    /// An older version wrote the checkpoint and did not save what its images were.
    Unknown,
}

/// Compares the images of a checkpoint with those of `dataset`, which are `now`.
pub(super) fn check_images(state: &State, now: &Images, dataset: &dyn Dataset) -> Compared {
    let saved: Option<Images> = state
        .extra
        .get(IMAGES)
        .cloned()
        .and_then(|saved: Value| serde_json::from_value(saved).ok());
    match saved.map(|saved| saved.difference(now, dataset)) {
        None => Compared::Unknown,
        Some(None) => Compared::Equal,
        Some(Some(difference)) => Compared::Differ(difference),
    }
}
