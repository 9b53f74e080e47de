//! Identity of a run: which settings make it this run, and which may change while it lasts.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use toml::Table;

use super::text::flatten;
use crate::fingerprint::hex;

/// Keys that earlier versions left out of a fingerprint.
const LEFT_OUT_BEFORE: [&str; 6] = [
    "run.threads",
    "run.workers",
    "run.out",
    "run.diagnose_every_steps",
    "run.on_collapse",
    "run.recompute",
];

/// Keys and values that may not change while a run lasts.
pub type Settings = BTreeMap<String, String>;

/// Whether `key` may differ when a run is resumed: it does not change the weights that training ends with.
///
/// These are all keys of `[run]` but `run.device`, all of `[eval]`, `init.guard`, and `data.source`: the images
/// themselves are compared instead.
fn may_change(key: &str) -> bool {
    let run = key.starts_with("run.") && key != "run.device";
    run || key.starts_with("eval.") || key == "data.source" || key == "init.guard"
}

/// The settings of a complete configuration that may not change while a run lasts.
pub(super) fn settings(table: Table) -> Settings {
    let fixed = flatten(table).into_iter().filter(|(key, _)| !may_change(key));
    fixed.map(|(key, value)| (key, value.to_string())).collect()
}

/// The fingerprint that earlier versions gave to the text of a `config.toml`: of every key in it but a
/// few. `None` if the text is not TOML.
pub(crate) fn earlier_fingerprint(text: &str) -> Option<String> {
    let table: Table = toml::from_str(text).ok()?;
    let mut pairs: Vec<_> = flatten(table)
        .into_iter()
        .filter(|(key, _)| !LEFT_OUT_BEFORE.contains(&key.as_str()))
        .map(|(key, value)| (key, value.to_string()))
        .collect();
    pairs.sort_unstable();
    Some(hash(pairs))
}

/// SHA-256, in hexadecimal, of `key = value` lines.
pub(super) fn hash(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let mut hash = Sha256::new();
    for (key, value) in pairs {
        hash.update(format!("{key} = {value}\n"));
    }
    hex(&hash.finalize())
}

/// Keys from which others take their values. If these differ, the others do.
const FOLLOWED: [&str; 2] = ["objective.method", "model.arch"];

/// Compares two sets of settings. A key that one of them lacks has its default: the version that wrote
/// it did not know the key.
///
/// # Errors
/// The first key that differs: one that others follow, or else the first by name.
pub(super) fn compare(
    ours: &Settings,
    theirs: &Settings,
    defaults: &Settings,
) -> Result<(), Difference> {
    let value = |settings: &Settings, key: &str| {
        let found = settings.get(key).or_else(|| defaults.get(key));
        found.map_or_else(|| "none".to_owned(), Clone::clone)
    };
    let mut keys: Vec<_> = ours.keys().chain(theirs.keys()).collect();
    keys.sort_unstable_by_key(|key| (!FOLLOWED.contains(&key.as_str()), *key));
    for key in keys {
        let (ours, theirs) = (value(ours, key), value(theirs, key));
        if ours != theirs {
            return Err(Difference { key: key.clone(), ours, theirs });
        }
    }
    Ok(())
}

/// A key in which two configurations differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The key with its section.
    pub key: String,
    /// Its value in the configuration asked.
    pub ours: String,
    /// Its value in the other one.
    pub theirs: String,
}
