//! Settings of several runs beside each other.

use dino::config::{Config, keys};
use report::page::Grid;

/// Keys that say where a run lies, which differ between any two.
const PLACES: [&str; 2] = ["run.out", "run.working_dir"];

/// A key with its value in each run.
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

/// All settings of runs.
pub(crate) fn all(configs: &[&Config]) -> impl Iterator<Item = Setting> {
    let configs: Vec<Config> = configs.iter().map(|config| config.completed()).collect();
    keys::all().map(move |key| {
        let value = |config| key.value_in(config).unwrap_or_else(|| "none".to_owned());
        Setting { values: configs.iter().map(value).collect(), key: key.path() }
    })
}

/// The settings that differ between runs, other than their places.
pub(crate) fn that_differ(configs: &[&Config]) -> impl Iterator<Item = Setting> {
    all(configs).filter(|Setting { key, values }| {
        !PLACES.contains(&key.as_str()) && values.iter().any(|value| *value != values[0])
    })
}

/// Settings of `[eval]` that decide how images are seen.
const VIEW: [&str; 2] = ["eval.resize", "eval.crop"];

/// Whether two runs have the same settings but for their seeds, and for what changes no result.
pub(crate) fn differ_by_seed(one: &Config, other: &Config) -> bool {
    let is_of_result =
        |key: &str| VIEW.contains(&key) || !key.starts_with("run.") && !key.starts_with("eval.");
    let differing: Vec<_> = that_differ(&[one, other])
        .map(|setting| setting.key)
        .filter(|key| is_of_result(key))
        .collect();
    differing == ["seed"]
}

/// Settings as a table: runs beside each other.
pub(crate) fn grid(
    caption: &str,
    names: impl Iterator<Item = String>,
    settings: impl Iterator<Item = Setting>,
) -> Grid {
    let head = ["key".to_owned()].into_iter().chain(names).collect();
    let row = |Setting { key, values }: Setting| [key].into_iter().chain(values).collect();
    Grid { caption: caption.to_owned(), head, rows: settings.map(row).collect() }
}
