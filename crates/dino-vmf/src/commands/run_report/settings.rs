//! Settings of runs: those that differ, and all.

use dino::config::Config;
use report::page::Grid;

use super::super::settings;
use super::run::Run;

/// The settings that differ between runs, other than their places.
pub(super) fn that_differ(runs: &[Run]) -> Grid {
    settings::grid("settings that differ", names(runs), settings::that_differ(&configs(runs)))
}

/// All settings.
pub(super) fn of_all(runs: &[Run]) -> Grid {
    settings::grid("all settings", names(runs), settings::all(&configs(runs)))
}

/// A choice as it is written in settings.
pub(super) fn word(choice: &impl serde::Serialize) -> String {
    let text = serde_json::to_value(choice).ok();
    text.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

fn configs(runs: &[Run]) -> Vec<&Config> {
    runs.iter().map(|run| &run.config).collect()
}

fn names(runs: &[Run]) -> impl Iterator<Item = String> {
    runs.iter().map(|run| run.name.clone())
}
