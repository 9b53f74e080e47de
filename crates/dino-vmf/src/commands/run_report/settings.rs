//! Settings of runs: those that differ, and all.

use dino::config::{Config, keys};
use report::page::Grid;

use super::run::Run;

/// Keys that say where a run lies, which differ between any two.
const PLACES: [&str; 2] = ["run.out", "run.working_dir"];

/// Each key with its value in each run.
fn all(runs: &[Run]) -> Vec<(String, Vec<String>)> {
    let configs: Vec<Config> = runs.iter().map(|run| run.config.completed()).collect();
    let value = |key: &keys::Key, config: &Config| {
        key.value_in(config).unwrap_or_else(|| "none".to_owned())
    };
    let row = |key: keys::Key| {
        let values = configs.iter().map(|config| value(&key, config)).collect();
        (key.path(), values)
    };
    keys::all().map(row).collect()
}

/// The settings that differ between runs, other than their places.
pub(super) fn that_differ(runs: &[Run]) -> Grid {
    let differs = |(key, values): &(String, Vec<String>)| {
        !PLACES.contains(&key.as_str()) && values.iter().any(|value| *value != values[0])
    };
    grid("settings that differ", runs, all(runs).into_iter().filter(differs))
}

/// All settings.
pub(super) fn of_all(runs: &[Run]) -> Grid {
    grid("all settings", runs, all(runs).into_iter())
}

/// A choice as it is written in settings.
pub(super) fn word(choice: &impl serde::Serialize) -> String {
    let text = serde_json::to_value(choice).ok();
    text.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

fn grid(caption: &str, runs: &[Run], rows: impl Iterator<Item = (String, Vec<String>)>) -> Grid {
    let head = ["key".to_owned()].into_iter().chain(runs.iter().map(|run| run.name.clone()));
    let row = |(key, values): (String, Vec<String>)| [key].into_iter().chain(values).collect();
    Grid { caption: caption.to_owned(), head: head.collect(), rows: rows.map(row).collect() }
}
