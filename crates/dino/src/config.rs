//! The settings of a run: sections, the layers they are merged from, and what is refused.
//!
//! Default < preset < `--config` file < `--set key=value` < flag. The doc comment of each field in
//! `config/*.rs` is its reference.

mod check;
mod data;
mod eval;
mod identity;
mod idle;
mod layers;
mod locate;
mod masking;
mod model;
mod objective;
mod optim;
mod run;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, io_error};
use crate::preset;

pub use data::Data;
pub use eval::Eval;
pub use identity::Difference;
pub(crate) use identity::{compare, earlier_fingerprint};
pub use layers::{Flag, Origin};
pub use masking::{MaskShape, Masking};
pub use model::{Arch, Model, PositionOffset, Precision};
pub use objective::{Centering, DebyeTerms, Method, Objective, PrototypeNorm};
pub(crate) use optim::to_steps;
pub use optim::{Horizon, Optim};
pub use run::{OnCollapse, Recompute, Run};

pub(crate) use layers::nearest;
use layers::{Layers, Origins};

/// Something worth telling that stops nothing; the library prints nothing itself.
pub type Warning = String;

/// All settings of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seed of every random number: weights, order of images, crops, drop path.
    pub seed: u64,
    /// The network: backbone and head.
    pub model: Model,
    /// Images and how they are cropped.
    pub data: Data,
    /// Prototypes, temperatures, centering.
    pub objective: Objective,
    /// Which patches are hidden from the student, where the method does that.
    pub masking: Masking,
    /// Length of the run, optimizer and teacher's momentum.
    pub optim: Optim,
    /// k-NN during training.
    pub eval: Eval,
    /// What does not change results: threads, folders, checkpoints.
    pub run: Run,
    /// Who wrote which key.
    #[serde(skip)]
    origins: Origins,
}

impl Config {
    /// Merges all layers, fills in what depends on other keys, and checks the result.
    ///
    /// # Errors
    /// An unknown preset or key, text that is no TOML, a value of the wrong type or with which
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
            layers.keep_preset_horizon();
        }
        if let Some(path) = file {
            let text = read_text(path)?;
            let origin = |line| Origin::File { path: path.to_owned(), line };
            layers.add_text(&text, path, origin)?;
        }
        layers.add_sets(sets)?;
        layers.add_flags(flags)?;
        Self::from_layers(layers)
    }

    /// Reads the `config.toml` of a run folder, of which no key counts as written by hand. Keys that this
    /// version does not know are left out; see [`Config::unknown_keys`].
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
        let text = read_text(path)?;
        let mut layers = Layers::default();
        layers.add_run_text(&text, path)?;
        layers.add_sets(sets)?;
        layers.add_flags(flags)?;
        Self::from_layers(layers)
    }

    fn from_layers(layers: Layers) -> Result<Self> {
        let (table, origins) = layers.finish();
        let mut config: Self = table.try_into().map_err(|error: toml::de::Error| {
            // Every key was checked alone, so this is a mistake of ours or of a derived key.
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

    /// Who wrote `key` (with its section, such as `optim.lr`).
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.of(key)
    }

    /// Every key with its section, such as `optim.lr`.
    pub fn keys() -> Vec<String> {
        layers::known_keys()
    }

    /// Keys of a run's `config.toml` that this version does not know, with where they stand.
    pub fn unknown_keys(&self) -> &[String] {
        &self.origins.unknown
    }

    /// The configuration as TOML, every key written out (options that are off are left out).
    pub fn to_toml(&self) -> String {
        // Numbers, strings, lists of numbers and tables always serialize.
        toml::to_string(&self.to_table()).unwrap_or_default()
    }

    fn to_table(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }
}

/// Most bytes of a configuration: a hundred times what one with every key has.
const MAX_TEXT: u64 = 1 << 20;

/// The text of a configuration file. A pipe or device is read only where the shell made it, for
/// `--config /dev/stdin` or `--config <(command)`: any other may have nobody who writes, or no end.
fn read_text(path: &Path) -> Result<String> {
    let refuse =
        |reason: &str| Error::NoConfig { path: path.to_owned(), reason: reason.to_owned() };
    let kind = fs::metadata(path).map_err(io_error("read", path))?;
    let of_shell = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];
    if kind.is_dir() {
        return Err(refuse("it is a folder"));
    }
    if !kind.is_file() && !of_shell.iter().any(|prefix| path.starts_with(prefix)) {
        return Err(refuse("it is a pipe or a device, not a file"));
    }
    let (mut bytes, file) = (Vec::new(), File::open(path).map_err(io_error("read", path))?);
    file.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(refuse("it is longer than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| refuse("it is no text in UTF-8"))
}

#[cfg(test)]
mod tests;
