//! The table of all keys: names, defaults and documentation.
//!
//! `build.rs` takes it from the structs of the sections, and `docs/configuration.md` is made from it
//! (`tests/configuration.rs`).

use std::sync::LazyLock;

use super::Config;
use super::text::flatten;

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

    /// The value in a configuration that sets nothing, as TOML. `None` for an option that is off.
    pub fn default_value(&self) -> Option<String> {
        static DEFAULTS: LazyLock<Vec<(String, toml::Value)>> =
            LazyLock::new(|| flatten(Config::default().completed().to_table()));
        let path = self.path();
        DEFAULTS.iter().find(|(key, _)| *key == path).map(|(_, value)| value.to_string())
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
pub static SECTIONS: [Section; 8] = include!(concat!(env!("OUT_DIR"), "/keys.rs"));

/// All keys, in the order in which a configuration is written.
pub fn all() -> impl Iterator<Item = Key> {
    SECTIONS.iter().flat_map(Section::keys)
}

/// The key with this path, such as `optim.lr`.
pub fn find(path: &str) -> Option<Key> {
    all().find(|key| key.path() == path)
}
