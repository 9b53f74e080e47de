//! Layers of settings, merged key by key, with a note of who wrote which key.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::error::{Error, Result};
use super::origin::{Flag, Origin, Origins};
use super::text::{Written, is_section, nest, parse};
use super::{keys, value};

/// The keys written so far; later layers replace what earlier ones wrote.
#[derive(Default)]
pub(super) struct Layers {
    values: BTreeMap<String, Value>,
    origins: Origins,
}

/// Changing one of these keys clears the dependent keys from lower layers, except values given with
/// `--set`: a preset's `prototype_norm`, for example, belongs to the preset's method.
const CLEARS: [(&str, &[&str]); 3] = [
    ("model.arch", &["model.embed_dim", "model.depth", "model.heads"]),
    (
        "objective.method",
        &["objective.prototype_norm", "objective.centering", "objective.debye_terms"],
    ),
    ("data.channels", &["data.mean", "data.std"]),
];

/// Two keys that exclude each other. The later layer wins; one layer must not hold both.
const LENGTHS: [&str; 2] = ["optim.epochs", "optim.steps"];

impl Layers {
    /// Adds TOML text; `origin` gets the line of a key.
    pub(super) fn add_text(
        &mut self,
        text: &str,
        path: &Path,
        origin: impl Fn(usize) -> Origin,
    ) -> Result<()> {
        let layer = parse(text, path, origin)?;
        self.add(layer)
    }

    /// Adds the `config.toml` of a run. Another version may have written it, so a key that this one does
    /// not know is noted and left out.
    pub(super) fn add_run_text(&mut self, text: &str, path: &Path) -> Result<()> {
        let origin = |line| Origin::Run { path: path.to_owned(), line };
        let is_known = |(key, ..): &Written| keys::find(key).is_some() || is_section(key);
        let (layer, unknown): (Vec<_>, Vec<_>) =
            parse(text, path, origin)?.into_iter().partition(is_known);
        let place = |(key, _, origin): Written| format!("`{key}`{origin}");
        self.origins.unknown = unknown.into_iter().map(place).collect();
        self.origins.of_run = true;
        self.add(layer)
    }

    /// Adds `key=value` texts, each a layer of its own; a value that is not TOML is a string.
    pub(super) fn add_sets(&mut self, sets: &[String]) -> Result<()> {
        for text in sets {
            let (key, value) = text
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()))
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| Error::SetSyntax { text: text.clone() })?;
            let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok();
            let value = parsed
                .filter(|table| table.len() == 1)
                .and_then(|mut table| table.remove("value"))
                .unwrap_or_else(|| Value::String(value.to_owned()));
            self.add(vec![(key.to_owned(), value, Origin::Set)])?;
        }
        Ok(())
    }

    /// Adds keys, all as one layer.
    pub(super) fn add_keys(&mut self, keys: Vec<(String, Value)>, origin: &Origin) -> Result<()> {
        self.add(keys.into_iter().map(|(key, value)| (key, value, origin.clone())).collect())
    }

    /// Adds flags, all as one layer.
    pub(super) fn add_flags(&mut self, flags: &[Flag]) -> Result<()> {
        let origin = |flag: &Flag| Origin::Flag(flag.name.to_owned());
        let layer = flags.iter().map(|f| (f.key.to_owned(), f.value.clone(), origin(f)));
        self.add(layer.collect())
    }

    fn add(&mut self, mut layer: Vec<Written>) -> Result<()> {
        for (key, value, origin) in &mut layer {
            value::respell(key, value);
            value::check(key, value, origin)?;
        }
        let written = |name: &str| layer.iter().find(|(key, ..)| key == name);
        let lengths = LENGTHS.map(|key| written(key).is_some());
        if let [Some((.., first)), Some((.., second))] = LENGTHS.map(written) {
            return Err(exclusive(first, second));
        }
        if lengths.contains(&true) {
            LENGTHS.iter().for_each(|key| self.remove(key));
        }
        let changes = |key: &str| {
            written(key).is_some_and(|(_, value, _)| self.values.get(key) != Some(value))
        };
        let cleared: Vec<_> = CLEARS.iter().filter(|(key, _)| changes(key)).collect();
        for (_, dependents) in cleared {
            for dependent in *dependents {
                if !matches!(self.origins.keys.get(*dependent), Some(Origin::Set)) {
                    self.remove(dependent);
                }
            }
        }
        for (key, value, origin) in layer {
            self.write(key, value, origin);
        }
        Ok(())
    }

    fn write(&mut self, key: String, value: Value, origin: Origin) {
        // A folder may be called `none`, and a run without a source has nothing to train on.
        if value.as_str() == Some("none") && key != "data.source" {
            self.remove(&key);
            if origin == Origin::Set {
                self.origins.turned_off.insert(key);
            }
        } else {
            self.origins.turned_off.remove(&key);
            self.origins.keys.insert(key.clone(), origin);
            self.values.insert(key, value);
        }
    }

    fn remove(&mut self, key: &str) {
        self.values.remove(key);
        self.origins.keys.remove(key);
    }

    /// Notes the length of the preset's own run; the preset must be the only layer so far.
    pub(super) fn keep_preset_length(&mut self) {
        let epochs = self.values.get("optim.epochs").and_then(|value| {
            value.as_float().or_else(|| value.as_integer().map(|epochs| epochs as f64))
        });
        let steps = self.values.get("optim.steps").and_then(Value::as_integer);
        let steps = steps.and_then(|steps| u64::try_from(steps).ok());
        self.origins.preset_length =
            (epochs.is_some() || steps.is_some()).then_some((epochs, steps));
    }

    /// The merged table.
    pub(super) fn finish(self) -> (Table, Origins) {
        (nest(self.values), self.origins)
    }
}

/// The error for both lengths in one layer, under the names by which somebody gave them.
fn exclusive(first: &Origin, second: &Origin) -> Error {
    let name = |key: &str, origin: &Origin| match origin {
        Origin::Flag(flag) => flag.clone(),
        _ => key.to_owned(),
    };
    let origin = match second {
        Origin::Flag(_) => Origin::Default,
        origin => origin.clone(),
    };
    let [first, second] = [name(LENGTHS[0], first), name(LENGTHS[1], second)];
    Error::Exclusive { first, second, origin }
}
