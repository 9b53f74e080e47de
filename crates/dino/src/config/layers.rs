//! Merging of layers, with a note of who wrote which key.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::value::Error as NoValue;
use serde::de::{Deserializer, Error as _, Visitor};
use toml::{Table, Value};

use super::data::MAX_CHANNELS;
use super::{Arch, Config, Data, Eval, Masking, Method, Model, Objective, Optim, Run};
use crate::error::{Error, Result};

/// Who wrote a value. Displayed as ` in …`, to be put behind the value; empty for a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the default.
    Default,
    /// The preset of this name.
    Preset(String),
    /// A `--config` file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The `config.toml` of a run folder.
    Run {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A `--set`.
    Set,
    /// A flag, such as `--seed`.
    Flag(String),
}

impl Origin {
    /// Whether a person wrote it for this run: in a file, a `--set` or a flag.
    pub fn by_hand(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Set | Self::Flag(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::Preset(name) => write!(f, " in preset `{name}`"),
            Self::File { path, line } | Self::Run { path, line } => {
                write!(f, " in `{}`, line {line}", path.display())
            }
            Self::Set => f.write_str(" in `--set`"),
            Self::Flag(name) => write!(f, " in `{name}`"),
        }
    }
}

/// A command line flag that stands for a key.
#[derive(Debug, Clone)]
pub struct Flag {
    /// As typed, such as `--seed`.
    pub name: &'static str,
    /// The key it sets, such as `seed` or `optim.epochs`.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
}

/// Who wrote which key, and how long the preset itself would run.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins {
    keys: BTreeMap<String, Origin>,
    /// Keys of a run's own `config.toml` that no section has, each with its place.
    pub(super) unknown: Vec<String>,
    /// `optim.epochs` and `optim.steps` of the preset alone.
    pub(super) preset_horizon: Option<(Option<f64>, Option<u64>)>,
}

impl Origins {
    pub(super) fn of(&self, key: &str) -> Origin {
        self.keys.get(key).cloned().unwrap_or(Origin::Default)
    }
}

/// The keys written so far; later layers replace what earlier ones wrote.
#[derive(Default)]
pub(super) struct Layers {
    values: BTreeMap<String, Value>,
    origins: Origins,
}

/// A key that, written anew, takes back what lower layers said about others; not what the command line
/// says about them, in whatever order.
const RESETS: [(&str, &[&str]); 3] = [
    ("model.arch", &["model.embed_dim", "model.depth", "model.heads"]),
    (
        "objective.method",
        &["objective.prototype_norm", "objective.centering", "objective.debye_terms"],
    ),
    ("data.channels", &["data.mean", "data.std"]),
];

/// Two keys of which the one that is written last holds.
const LENGTHS: [&str; 2] = ["optim.epochs", "optim.steps"];

impl Layers {
    /// Adds TOML text; `origin` gets the line of a key.
    pub(super) fn add_text(
        &mut self,
        text: &str,
        path: &Path,
        origin: impl Fn(usize) -> Origin,
    ) -> Result<()> {
        let layer = read_text(text, path, origin)?;
        self.add(layer)
    }

    /// Adds the `config.toml` of a run. Another version may have written it, so a key that this one does
    /// not know is noted and left out.
    pub(super) fn add_run_text(&mut self, text: &str, path: &Path) -> Result<()> {
        let origin = |line| Origin::Run { path: path.to_owned(), line };
        let known = known_keys();
        let is_known = |(key, ..): &Written| known.contains(key) || is_section(key);
        let (layer, unknown): (Vec<_>, Vec<_>) =
            read_text(text, path, origin)?.into_iter().partition(is_known);
        let place = |(key, _, origin): Written| format!("`{key}`{origin}");
        self.origins.unknown = unknown.into_iter().map(place).collect();
        self.add(layer)
    }

    /// Adds `key=value` texts; a value that is no TOML is a string.
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

    /// Adds flags, all as one layer.
    pub(super) fn add_flags(&mut self, flags: &[Flag]) -> Result<()> {
        let origin = |flag: &Flag| Origin::Flag(flag.name.to_owned());
        let layer = flags.iter().map(|f| (f.key.to_owned(), f.value.clone(), origin(f)));
        self.add(layer.collect())
    }

    fn add(&mut self, layer: Vec<Written>) -> Result<()> {
        for (key, value, origin) in &layer {
            check_key(key, value, origin)?;
        }
        let of = |name: &str| layer.iter().find(|(key, ..)| key == name);
        let lengths = LENGTHS.map(|key| of(key).is_some());
        if let (true, Some((.., origin))) = (lengths[0], of(LENGTHS[1])) {
            let [first, second] = LENGTHS;
            return Err(Error::Exclusive { first, second, origin: origin.clone() });
        }
        if lengths.contains(&true) {
            LENGTHS.iter().for_each(|key| self.remove(key));
        }
        for (_, dependents) in RESETS.iter().filter(|(key, _)| of(key).is_some()) {
            for dependent in *dependents {
                if !matches!(self.origins.keys.get(*dependent), Some(Origin::Set)) {
                    self.remove(dependent);
                }
            }
        }
        for (key, value, origin) in layer {
            // A folder may be called `none`, and a run without a source has nothing to train on.
            if value.as_str() == Some("none") && key != "data.source" {
                self.remove(&key);
            } else {
                self.origins.keys.insert(key.clone(), origin);
                self.values.insert(key, value);
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        self.values.remove(key);
        self.origins.keys.remove(key);
    }

    /// Notes what the layers so far, the preset, say about the length of the run.
    pub(super) fn keep_preset_horizon(&mut self) {
        let epochs = self.values.get("optim.epochs").and_then(|value| {
            value.as_float().or_else(|| value.as_integer().map(|epochs| epochs as f64))
        });
        let steps = self.values.get("optim.steps").and_then(Value::as_integer);
        let steps = steps.and_then(|steps| u64::try_from(steps).ok());
        self.origins.preset_horizon =
            (epochs.is_some() || steps.is_some()).then_some((epochs, steps));
    }

    /// The merged table, with the defaults that depend on other keys.
    pub(super) fn finish(mut self) -> (Table, Origins) {
        self.fill_derived();
        let mut table = Table::new();
        for (key, value) in self.values {
            match key.split_once('.') {
                None => drop(table.insert(key, value)),
                Some((section, name)) => {
                    let entry = table.entry(section).or_insert_with(|| Table::new().into());
                    if let Value::Table(section) = entry {
                        section.insert(name.to_owned(), value);
                    }
                }
            }
        }
        (table, self.origins)
    }

    fn fill_derived(&mut self) {
        let method = self.read::<Method>("objective.method").unwrap_or_default();
        let (prototype_norm, centering, debye_terms) = method.defaults();
        let arch = self.read::<Arch>("model.arch").unwrap_or_default();
        let mut derived = vec![
            ("objective.prototype_norm", Value::try_from(prototype_norm)),
            ("objective.centering", Value::try_from(centering)),
            ("objective.debye_terms", Value::try_from(debye_terms)),
        ];
        if let Some((embed_dim, depth, heads)) = arch.sizes() {
            derived.push(("model.embed_dim", Value::try_from(embed_dim)));
            derived.push(("model.depth", Value::try_from(depth)));
            derived.push(("model.heads", Value::try_from(heads)));
        }
        if let Some(size) = self.values.get("data.global_size") {
            derived.push(("model.image_size", Ok(size.clone())));
        }
        if let Some(channels) = self.read::<usize>("data.channels").filter(|n| *n <= MAX_CHANNELS) {
            let (mean, std) = Data::normalization(channels);
            derived.push(("data.mean", Value::try_from(mean)));
            derived.push(("data.std", Value::try_from(std)));
        }
        if !self.values.contains_key("optim.steps") {
            derived.push(("optim.epochs", Value::try_from(Optim::DEFAULT_EPOCHS)));
        }
        for (key, value) in derived {
            if let (false, Ok(value)) = (self.values.contains_key(key), value) {
                self.values.insert(key.to_owned(), value);
            }
        }
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, key: &str) -> Option<T> {
        self.values.get(key).and_then(|value| value.clone().try_into().ok())
    }
}

/// A key with its section, its value, and who wrote it.
type Written = (String, Value, Origin);

/// The keys of TOML text; `origin` gets the line of a key.
fn read_text(text: &str, path: &Path, origin: impl Fn(usize) -> Origin) -> Result<Vec<Written>> {
    let syntax = |error: toml::de::Error| Error::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_at(text, span.start)),
        message: error.message().to_owned(),
    };
    let table: Table = toml::from_str(text).map_err(syntax)?;
    let lines = key_lines(text);
    let written = flatten(table).into_iter().map(|(key, value)| {
        let origin = origin(lines.get(&key).copied().unwrap_or(1));
        (key, value, origin)
    });
    Ok(written.collect())
}

/// `section.key` and value of every entry, in the table's order.
pub(super) fn flatten(table: Table) -> Vec<(String, Value)> {
    let mut pairs = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(section) if is_section(&name) || !section.is_empty() => {
                pairs.extend(
                    section.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)),
                );
            }
            value => pairs.push((name, value)),
        }
    }
    pairs
}

/// Refuses a key that does not exist and a value of the wrong type.
fn check_key(key: &str, value: &Value, origin: &Origin) -> Result<()> {
    let wrong_type = |expected: String| Error::WrongType {
        key: key.to_owned(),
        origin: origin.clone(),
        found: value.to_string(),
        expected,
    };
    if is_section(key) {
        return Err(wrong_type(format!("a section, such as `[{key}]`")));
    }
    let known = known_keys();
    if !known.iter().any(|name| name == key) {
        let nearest = nearest(key, known.iter().map(String::as_str));
        return Err(Error::UnknownKey { key: key.to_owned(), origin: origin.clone(), nearest });
    }
    if value.as_str() == Some("none") {
        return Ok(());
    }
    let mut alone = Table::new();
    match key.split_once('.') {
        None => drop(alone.insert(key.to_owned(), value.clone())),
        Some((section, name)) => {
            let inner = Table::from_iter([(name.to_owned(), value.clone())]);
            alone.insert(section.to_owned(), inner.into());
        }
    }
    alone.try_into::<Config>().map(drop).map_err(|error| wrong_type(expected(error.message())))
}

/// What serde expected, in our words.
fn expected(message: &str) -> String {
    let message = message.trim();
    if message.contains("invalid value: integer `-") {
        return "0 or more".to_owned();
    }
    let Some((_, wanted)) = message.rsplit_once("expected ") else {
        return message.to_owned();
    };
    match wanted {
        "u8" | "u32" | "u64" | "usize" | "i64" => "a whole number, 0 or more".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "an array of length 2" => "a list of two numbers".to_owned(),
        other => other.to_owned(),
    }
}

/// The candidate most like `text`, by its last part too, if any is close.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let similarity = |candidate: &str| {
        let whole = strsim::jaro_winkler(text, candidate);
        whole.max(strsim::jaro_winkler(&last(text), &last(candidate)) - 0.01)
    };
    candidates
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

type Names = &'static [&'static str];
type Section = (&'static str, fn() -> Names);

const SECTIONS: [Section; 7] = [
    ("model", field_names::<Model>),
    ("data", field_names::<Data>),
    ("objective", field_names::<Objective>),
    ("masking", field_names::<Masking>),
    ("optim", field_names::<Optim>),
    ("eval", field_names::<Eval>),
    ("run", field_names::<Run>),
];

fn is_section(key: &str) -> bool {
    SECTIONS.iter().any(|(name, _)| *name == key)
}

/// Every key with its section.
pub(super) fn known_keys() -> Vec<String> {
    let top = field_names::<Config>().iter().filter(|key| !is_section(key));
    let inner = SECTIONS.iter().flat_map(|(section, fields)| {
        fields().iter().map(move |field| format!("{section}.{field}"))
    });
    top.map(|key| (*key).to_owned()).chain(inner).collect()
}

/// The fields of a struct, asked from its `Deserialize`, so that they are written down only once.
fn field_names<T: for<'a> Deserialize<'a>>() -> Names {
    struct Ask<'a>(&'a mut Names);
    impl<'de> Deserializer<'de> for Ask<'_> {
        type Error = NoValue;
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _name: &'static str,
            fields: Names,
            _visitor: V,
        ) -> Result<V::Value, NoValue> {
            *self.0 = fields;
            Err(NoValue::custom("asked for the names only"))
        }
        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, NoValue> {
            Err(NoValue::custom("no struct"))
        }
        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut names: Names = &[];
    // The answer is in `names`; the error is how `Ask` ends.
    drop(T::deserialize(Ask(&mut names)));
    names
}

/// Lines of `key` and `section.key`, from 1; empty if the text does not parse.
fn key_lines(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    let Ok(table) = toml::de::DeTable::parse(text) else { return lines };
    for (name, value) in table.get_ref() {
        lines.insert(name.get_ref().to_string(), line_at(text, name.span().start));
        if let toml::de::DeValue::Table(section) = value.get_ref() {
            for key in section.keys() {
                let line = line_at(text, key.span().start);
                lines.insert(format!("{}.{}", name.get_ref(), key.get_ref()), line);
            }
        }
    }
    lines
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
