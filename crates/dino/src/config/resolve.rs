//! A configuration from its layers: default < preset < `--config` file < `--set key=value` < flag.

use std::path::Path;

use toml::Value;

use super::Config;
use super::check::Check;
use super::error::{Error, Result};
use super::layers::Layers;
use super::origin::{Flag, Origin};
use super::text::{self, ConfigFile};
use crate::preset;

/// A preset with keys on top that fit it to somebody's images; see [`own_images`](crate::own_images).
pub(crate) struct Recommended<'a> {
    /// The preset.
    pub preset: &'a str,
    /// Keys and values.
    pub keys: Vec<(String, Value)>,
}

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
        let recommended = preset.map(|preset| Recommended { preset, keys: Vec::new() });
        let file = file.map(ConfigFile::read).transpose()?;
        checked(layers_of(recommended, file.as_ref(), sets, flags)?)
    }

    /// As [`Config::resolve`], with the keys of `recommended` between its preset and the file.
    pub(crate) fn resolve_fitted(
        recommended: Recommended<'_>,
        file: Option<&ConfigFile>,
        sets: &[String],
        flags: &[Flag],
    ) -> Result<Self> {
        checked(layers_of(Some(recommended), file, sets, flags)?)
    }

    /// As [`Config::resolve`], but only `[run]` is checked: keys may be missing that make the others valid.
    pub(crate) fn draft(
        preset: Option<&str>,
        file: Option<&ConfigFile>,
        sets: &[String],
        flags: &[Flag],
    ) -> Result<Self> {
        let recommended = preset.map(|preset| Recommended { preset, keys: Vec::new() });
        Self::draft_fitted(recommended, file, sets, flags)
    }

    /// The same, with the keys of `recommended`.
    pub(crate) fn draft_fitted(
        recommended: Option<Recommended<'_>>,
        file: Option<&ConfigFile>,
        sets: &[String],
        flags: &[Flag],
    ) -> Result<Self> {
        let config = merged(layers_of(recommended, file, sets, flags)?)?;
        config.run.check(&Check(&config.origins))?;
        Ok(config)
    }

    /// Reads the `config.toml` of a run folder, whose keys do not count as written by hand. Keys that
    /// this version does not know are left out; see [`Config::unknown_keys`].
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_with(path, None, &[], &[])
    }

    /// As [`Config::load`], with `file`, `sets` and `flags` on top.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn load_with(
        path: &Path,
        file: Option<&ConfigFile>,
        sets: &[String],
        flags: &[Flag],
    ) -> Result<Self> {
        let mut layers = Layers::default();
        layers.add_run_text(&text::read(path)?, path)?;
        add_asked(&mut layers, file, sets, flags)?;
        checked(layers)
    }
}

fn layers_of(
    recommended: Option<Recommended<'_>>,
    file: Option<&ConfigFile>,
    sets: &[String],
    flags: &[Flag],
) -> Result<Layers> {
    let mut layers = Layers::default();
    if let Some(Recommended { preset, keys }) = recommended {
        let preset = preset::find(preset)?;
        let origin = || Origin::Preset(preset.name.to_owned());
        layers.add_text(preset.toml, Path::new(preset.name), |_| origin())?;
        layers.add_keys(keys, &origin())?;
        layers.keep_preset_length();
    }
    add_asked(&mut layers, file, sets, flags)?;
    Ok(layers)
}

/// Adds what a person asked for.
fn add_asked(
    layers: &mut Layers,
    file: Option<&ConfigFile>,
    sets: &[String],
    flags: &[Flag],
) -> Result<()> {
    if let Some(ConfigFile { path, text }) = file {
        let origin = |line| Origin::File { path: path.clone(), line };
        layers.add_text(text, path, origin)?;
    }
    layers.add_sets(sets)?;
    layers.add_flags(flags)
}

fn checked(layers: Layers) -> Result<Config> {
    let config = merged(layers)?;
    config.validate()?;
    Ok(config)
}

fn merged(layers: Layers) -> Result<Config> {
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
    Ok(config)
}
