//! The table of all keys: names, defaults and documentation.
//!
//! `build.rs` takes it from the structs of the sections. `docs/configuration.md` and `dino-vmf config` are
//! made from it ([`super::reference`]).

use std::sync::LazyLock;

use super::text::flatten;
use super::{Config, Error, Origin, value};
use crate::nearest::nearest;

/// A key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its section, such as `optim`; empty for `seed`.
    pub section: &'static str,
    /// Its name in the section, such as `lr`.
    pub name: &'static str,
    /// What it does, its unit, how to choose it; Markdown.
    pub doc: &'static str,
}

impl Key {
    /// The whole name, such as `optim.lr`.
    pub fn path(&self) -> String {
        match self.section {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }

    /// The first sentence of its documentation.
    pub fn summary(&self) -> &'static str {
        self.doc.find(". ").map_or(self.doc, |end| &self.doc[..=end])
    }

    /// The kind of its values, such as `a number` or `` `f32` or `bf16` ``.
    pub fn kind(&self) -> String {
        value::kind(&self.path())
    }

    /// The names that it accepts; empty if it has other values.
    pub fn choices(&self) -> Vec<String> {
        value::choices(&self.path())
    }

    /// What a value must do, such as `lie in [0, 1]`. The text follows "must". What depends on other keys
    /// is said for their defaults.
    pub fn limits(&self) -> Vec<String> {
        value::limits(&self.path())
    }

    /// The value in a configuration that sets nothing, as TOML. `None` for an option that is off.
    pub fn default_value(&self) -> Option<String> {
        static DEFAULTS: LazyLock<Vec<(String, toml::Value)>> =
            LazyLock::new(|| flatten(Config::default().completed().to_table()));
        self.find_in(&DEFAULTS)
    }

    /// The value in `config`, as TOML. `None` for an option that is off.
    pub fn value_in(&self, config: &Config) -> Option<String> {
        self.find_in(&flatten(config.completed().to_table()))
    }

    fn find_in(&self, values: &[(String, toml::Value)]) -> Option<String> {
        let path = self.path();
        values.iter().find(|(key, _)| *key == path).map(|(_, value)| value.to_string())
    }
}

/// A section of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Its name, such as `optim`; empty for the keys that stand above all sections.
    pub name: &'static str,
    /// What it is about; Markdown.
    pub doc: &'static str,
    /// Name and documentation of each key.
    keys: &'static [(&'static str, &'static str)],
}

impl Section {
    /// Its keys, in the order in which a configuration is written.
    pub fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        let Self { name: section, keys, .. } = *self;
        keys.iter().map(move |&(name, doc)| Key { section, name, doc })
    }
}

/// All sections; the first one has no name and holds `seed`.
pub static SECTIONS: [Section; 9] = include!(concat!(env!("OUT_DIR"), "/keys.rs"));

/// All keys, in the order in which a configuration is written.
pub fn all() -> impl Iterator<Item = Key> {
    SECTIONS.iter().flat_map(Section::keys)
}

/// The key with this path, such as `optim.lr`.
pub fn find(path: &str) -> Option<Key> {
    all().find(|key| key.path() == path)
}

/// The keys with this name in any section, such as `batch_size`.
pub fn named(name: &str) -> impl Iterator<Item = Key> {
    all().filter(move |key| key.name == name)
}

/// The error for a key that does not exist, with the most similar one that does.
pub fn unknown(path: &str, origin: Origin) -> Error {
    let known: Vec<_> = all().map(|key| key.path()).collect();
    let nearest = nearest(path, known.iter().map(String::as_str));
    Error::UnknownKey { key: path.to_owned(), origin, nearest }
}
