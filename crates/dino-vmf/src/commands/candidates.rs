//! What a shell offers as the value of a flag: presets, names that a setting accepts, keys of settings.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use dino::config::keys;
use dino::preset;

/// Names of presets.
pub(crate) fn presets() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let presets = preset::all().iter();
        presets.map(|preset| described(preset.name, preset.summary())).collect()
    })
}

/// Names that the setting `key` accepts.
pub(crate) fn values_of(key: &'static str) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let choices = keys::find(key).map(|key| key.choices()).unwrap_or_default();
        choices.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// These names.
pub(crate) fn names(names: &'static [&'static str]) -> ArgValueCandidates {
    ArgValueCandidates::new(|| names.iter().map(CompletionCandidate::new).collect())
}

/// All keys.
pub(crate) fn key_names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        keys::all().map(|key| described(&key.path(), key.summary())).collect()
    })
}

/// `KEY=` of all keys and, behind the equals sign, the names that the key accepts.
pub(crate) fn settings() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| match typed.to_str() {
        Some(typed) => matching_settings(typed),
        None => Vec::new(),
    })
}

fn matching_settings(typed: &str) -> Vec<CompletionCandidate> {
    let candidates = match typed.split_once('=') {
        None => keys::all()
            .map(|key| described(&format!("{}=", key.path()), key.summary()))
            .collect::<Vec<_>>(),
        Some((path, _)) => {
            let choices = keys::find(path).map(|key| key.choices()).unwrap_or_default();
            choices.iter().map(|name| CompletionCandidate::new(format!("{path}={name}"))).collect()
        }
    };
    let starts = |candidate: &CompletionCandidate| {
        candidate.get_value().to_string_lossy().starts_with(typed)
    };
    candidates.into_iter().filter(starts).collect()
}

fn described(value: &str, help: &str) -> CompletionCandidate {
    CompletionCandidate::new(value).help(Some(help.to_owned().into()))
}
