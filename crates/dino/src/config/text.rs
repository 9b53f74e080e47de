//! TOML text to keys with values and lines.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::{Error, Result};
use super::origin::Origin;

/// Names of the sections, in the order of the fields of a configuration.
pub(super) const SECTIONS: [&str; 7] =
    ["model", "data", "objective", "masking", "optim", "eval", "run"];

/// Longest configuration, in bytes: a hundred times one with every key.
const MAX_TEXT: u64 = 1 << 20;

/// A key with its section, its value, and who wrote it.
pub(super) type Written = (String, Value, Origin);

/// A `--config` file, read once: a pipe has nothing to give a second time.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    pub(super) text: String,
}

impl ConfigFile {
    /// Reads the file; its keys are checked when they are merged.
    ///
    /// # Errors
    /// It is missing, too long, no text, or a pipe that no shell made.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), text: read(path)? })
    }
}

/// Reads a configuration file.
///
/// A pipe or a device is read only if the shell made it, for `--config /dev/stdin` or
/// `--config <(command)`. Any other may have no writer, or no end.
pub(super) fn read(path: &Path) -> Result<String> {
    let refuse =
        |reason: &str| Error::NoConfig { path: path.to_owned(), reason: reason.to_owned() };
    let kind = fs::metadata(path).map_err(Error::read(path))?;
    let of_shell = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];
    if kind.is_dir() {
        return Err(refuse("it is a folder"));
    }
    if !kind.is_file() && !of_shell.iter().any(|prefix| path.starts_with(prefix)) {
        return Err(refuse("it is a pipe or a device, not a file"));
    }
    let (mut bytes, file) = (Vec::new(), File::open(path).map_err(Error::read(path))?);
    file.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(Error::read(path))?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(refuse("it is longer than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| refuse("it is no text in UTF-8"))
}

/// The keys of TOML text; `origin` gets the line of a key.
pub(super) fn parse(
    text: &str,
    path: &Path,
    origin: impl Fn(usize) -> Origin,
) -> Result<Vec<Written>> {
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

/// The opposite of [`flatten`].
pub(super) fn nest(pairs: impl IntoIterator<Item = (String, Value)>) -> Table {
    let mut table = Table::new();
    for (key, value) in pairs {
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
    table
}

/// Whether `key` is the name of a section.
pub(super) fn is_section(key: &str) -> bool {
    SECTIONS.contains(&key)
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
