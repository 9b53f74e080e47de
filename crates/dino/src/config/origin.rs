//! Who wrote which key of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use toml::Value;

/// Who wrote a value. Its text follows the value in a sentence (` in …`) and is empty for a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is the default.
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

    /// Whether it stands on the command line.
    pub fn on_command_line(&self) -> bool {
        matches!(self, Self::Set | Self::Flag(_))
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

/// A command line flag that sets a key.
#[derive(Debug, Clone)]
pub struct Flag {
    /// As typed, such as `--seed`.
    pub name: &'static str,
    /// The key, such as `seed` or `optim.epochs`.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
}

/// The origins of all keys, and what else only the layers of a configuration know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins {
    pub(super) keys: BTreeMap<String, Origin>,
    /// Keys that a `--set KEY=none` turned off and that nothing has set since.
    pub(super) turned_off: BTreeSet<String>,
    /// Whether the lowest layer is the `config.toml` of a run.
    pub(super) of_run: bool,
    /// Keys of that `config.toml` that this version does not know, each with its place.
    pub(super) unknown: Vec<String>,
    /// `optim.epochs` and `optim.steps` of the preset alone.
    pub(super) preset_length: Option<(Option<f64>, Option<u64>)>,
}

impl Origins {
    pub(super) fn of(&self, key: &str) -> Origin {
        self.keys.get(key).cloned().unwrap_or(Origin::Default)
    }
}
