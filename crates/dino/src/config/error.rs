//! What is wrong with a configuration, in one sentence each.

use std::io;
use std::path::{Path, PathBuf};

use super::origin::Origin;
use super::value;

/// The result of reading or checking a configuration.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A configuration that cannot be read, or with which nothing can be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key that no section has.
    #[error("unknown key `{key}`{origin}")]
    UnknownKey {
        /// The key with its section, as written.
        key: String,
        /// Who wrote it.
        origin: Origin,
        /// The most similar known key, if one is close.
        nearest: Option<String>,
    },
    /// A value of another type, or a name that is not among the choices.
    #[error("`{key}` is {found}{origin}, but must be {expected}")]
    WrongType {
        /// The key with its section.
        key: String,
        /// Who wrote it.
        origin: Origin,
        /// The value as TOML.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// A value of the right type with which nothing can be trained.
    #[error("`{key}` is {found}{origin}, but must {needed}")]
    BadValue {
        /// The key with its section.
        key: String,
        /// Who wrote it.
        origin: Origin,
        /// The value.
        found: String,
        /// What it must do, such as `lie in [0, 1]`.
        needed: String,
    },
    /// A file that is not valid TOML.
    #[error("`{}`, line {line} is no TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// Something that cannot be read as a configuration.
    #[error("`{}` is no configuration: {reason}", path.display())]
    NoConfig {
        /// The path as given.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A `--set` without an equals sign or without a key.
    #[error("`--set {text}` is no `key=value`")]
    SetSyntax {
        /// The argument as given.
        text: String,
    },
    /// Two keys of which only one may be given.
    #[error("`{first}` and `{second}` are both given{origin}, but only one of them can hold")]
    Exclusive {
        /// One key or flag.
        first: String,
        /// The other one.
        second: String,
        /// Who wrote the second one.
        origin: Origin,
    },
    /// A preset that does not exist.
    #[error("there is no preset `{name}`")]
    UnknownPreset {
        /// The name as given.
        name: String,
        /// The most similar name of a preset, if one is close.
        nearest: Option<String>,
    },
    /// A duration that a person set and that is longer than the run.
    #[error(
        "`{key}` is {epochs}{origin}, which is {warmup_steps} steps, but the run has {total_steps}"
    )]
    WarmupTooLong {
        /// The key with its section.
        key: String,
        /// Who wrote it.
        origin: Origin,
        /// Its value in epochs.
        epochs: f64,
        /// Its value in steps.
        warmup_steps: u64,
        /// Steps of the run.
        total_steps: u64,
    },
    /// The file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    /// What to type, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest, .. } => Some(
                nearest
                    .as_deref()
                    .map_or_else(|| "`dino-vmf config` lists all keys".to_owned(), did_you_mean),
            ),
            Self::WrongType { found, expected, .. } => {
                value::nearest_choice(found.trim_matches('"'), expected)
                    .as_deref()
                    .map(did_you_mean)
            }
            Self::UnknownPreset { nearest, .. } => Some(
                nearest
                    .as_deref()
                    .map_or_else(|| "`dino-vmf presets` lists them".to_owned(), did_you_mean),
            ),
            Self::SetSyntax { .. } => Some("for example `--set optim.lr=1e-3`".to_owned()),
            Self::Exclusive { first, second, .. } => Some(format!("drop `{first}` or `{second}`")),
            Self::WarmupTooLong { key, .. } => {
                Some(format!("train longer, or give a smaller `--set {key}=…`"))
            }
            Self::BadValue { .. }
            | Self::Syntax { .. }
            | Self::NoConfig { .. }
            | Self::Read { .. } => None,
        }
    }

    /// Whether the command line or the configuration is at fault (exit code 2), not the system (1).
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }

    /// Adds to an [`io::Error`] which file could not be read.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}
