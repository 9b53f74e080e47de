//! A configuration from its layers: default < preset < `--config` file < `--set key=value` < flag.

use std::path::Path;

use super::error::{Error, Result};
use super::layers::Layers;
use super::origin::{Flag, Origin};
use super::{Config, text};
use crate::preset;

impl Config {
    /// Merges all layers and checks the result.
    ///
    /// # Errors
    /// An unknown preset or key, text that is not TOML, a value of the wrong type or with which
    /// nothing can be trained; each names the key and who wrote it.
    pub fn resolve(
        preset: Option<&str>,
        file: Option<&Path>,
        sets: &[String],
        flags: &[Flag],
    ) -> Result<Self> {
        let mut layers = Layers::default();
        if let Some(name) = preset {
            let preset = preset::find(name)?;
            layers.add_text(preset.toml, Path::new(preset.name), |_| {
                Origin::Preset(preset.name.to_owned())
            })?;
            layers.keep_preset_length();
        }
        if let Some(path) = file {
            let text = text::read(path)?;
            let origin = |line| Origin::File { path: path.to_owned(), line };
            layers.add_text(&text, path, origin)?;
        }
        from_layers(layers, sets, flags)
    }

    /// Reads the `config.toml` of a run folder, whose keys do not count as written by hand. Keys that
    /// this version does not know are left out; see [`Config::unknown_keys`].
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with(path, &[], &[])
    }

    /// As [`Config::load`], with `sets` and `flags` on top.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn load_with(path: &Path, sets: &[String], flags: &[Flag]) -> Result<Self> {
        let mut layers = Layers::default();
        layers.add_run_text(&text::read(path)?, path)?;
        from_layers(layers, sets, flags)
    }
}

fn from_layers(mut layers: Layers, sets: &[String], flags: &[Flag]) -> Result<Config> {
    layers.add_sets(sets)?;
    layers.add_flags(flags)?;
    let (table, origins) = layers.finish();
    let mut config: Config = table.try_into().map_err(|error: toml::de::Error| {
        // Every key was checked alone, so this is a mistake of ours.
        Error::WrongType {
            key: "configuration".to_owned(),
            origin: Origin::Default,
            found: error.message().to_owned(),
            expected: "valid".to_owned(),
        }
    })?;
    config.origins = origins;
    config.validate()?;
    Ok(config)
}
