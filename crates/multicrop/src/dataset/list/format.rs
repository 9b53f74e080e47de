//! Detects the [`Format`] of a list from its first lines.

use std::path::Path;

use super::rows::{self, Syntax};
use crate::dataset::OpenOptions;
use crate::dataset::bytes::malformed;
use crate::dataset::foreign::JSON;
use crate::dataset::labels::LABEL_NAMES;
use crate::dataset::names::{Kind, kind_of, to_path, to_text};
use crate::dataset::row_parts::PART_NAMES;
use crate::error::Error;

/// Number of lines that are read to detect the format.
const PREVIEW_LINES: usize = 100;
/// Number of columns that are searched for paths.
const MAX_COLUMNS: usize = 32;
/// Names of columns of paths.
const PATH_NAMES: [&str; 12] = [
    "file_name",
    "filename",
    "path",
    "image",
    "filepath",
    "file_path",
    "image_path",
    "file",
    "img",
    "image_file",
    "img_path",
    "image_name",
];

/// The format of a list: its syntax, and the columns of paths, labels and parts.
#[derive(Debug, Clone)]
pub(super) struct Format {
    pub(super) syntax: Syntax,
    pub(super) path: usize,
    pub(super) label: Option<usize>,
    /// Columns that may name the part of an image, with their names.
    pub(super) parts: Vec<(String, usize)>,
    /// Index of the row that holds the names of the columns.
    pub(super) header: Option<usize>,
}

/// The first rows of a list, parsed with one syntax.
struct Preview {
    syntax: Syntax,
    /// Row indices and fields, without rows that start with `#`.
    lines: Vec<(usize, Vec<Vec<u8>>)>,
    /// The names of JSON fields.
    names: Option<Vec<Vec<u8>>>,
}

impl Format {
    /// The format in which most of the first paths exist.
    pub(super) fn detect(path: &Path, folder: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let mut candidates = vec![
            Syntax::Whole,
            Syntax::Separated(b'\t'),
            Syntax::Separated(b','),
            Syntax::Separated(b';'),
            Syntax::LastSpace,
        ];
        // programs that write JSON leave out what an image does not have
        let usual = |name: &str| {
            let chosen = [&options.label_column, &options.image_column].into_iter().flatten();
            let known = LABEL_NAMES.iter().chain(&PART_NAMES).copied();
            known.chain(chosen.map(String::as_str)).any(|known| name.eq_ignore_ascii_case(known))
        };
        let fields = rows::json_fields(path, PREVIEW_LINES, usual)?;
        let is_json = fields.is_some();
        if let Some(fields) = fields {
            candidates = vec![Syntax::Json(fields)];
        }
        let mut best: Option<((usize, bool), Self)> = None;
        let mut first_line = String::new();
        for syntax in candidates {
            let preview = Preview::read(path, syntax)?;
            if let (Syntax::Whole, Some((_, first))) = (&preview.syntax, preview.lines.first()) {
                first_line = String::from_utf8_lossy(&first[0]).chars().take(80).collect();
            }
            let columns = preview.lines.iter().map(|(_, row)| row.len()).max().unwrap_or(0);
            for column in 0..columns.min(MAX_COLUMNS) {
                let score = preview.score(column, folder, options);
                if score.0 > 0 && best.as_ref().is_none_or(|(highest, _)| score > *highest) {
                    best = Some((score, preview.format(column, folder)));
                }
            }
        }
        let Some((_, format)) = best else {
            return Err(match is_json {
                true => Error::UnknownFormat { path: path.into(), found: JSON.into() },
                false => no_paths(path, folder, &first_line),
            });
        };
        format.with_label(path, options)?.with_paths(path, options)
    }

    /// Refuses a column of paths that the user chose and that is not the one of the paths.
    fn with_paths(self, path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let Some(chosen) = &options.image_column else { return Ok(self) };
        let preview = Preview::read(path, self.syntax.clone())?;
        let names = preview.header(self.header).unwrap_or_default();
        match position(names, chosen) == Some(self.path) {
            true => Ok(self),
            false => Err(no_column(path, names, chosen, "paths", "data.image_column")),
        }
    }

    /// Replaces the column of labels by the one that the user chose.
    fn with_label(self, path: &Path, options: &OpenOptions) -> Result<Self, Error> {
        let Some(chosen) = &options.label_column else { return Ok(self) };
        let preview = Preview::read(path, self.syntax.clone())?;
        let names = preview.header(self.header).unwrap_or_default();
        let label = position(names, chosen);
        if label.is_some() {
            // labels can be in a column that would name parts
            let parts = self.parts.into_iter().filter(|(_, column)| label != Some(*column));
            return Ok(Self { label, parts: parts.collect(), ..self });
        }
        Err(no_column(path, names, chosen, "labels", "data.label_column"))
    }
}

/// The error for a list without the column that the setting `key` names.
fn no_column(path: &Path, names: &[Vec<u8>], chosen: &str, what: &str, key: &str) -> Error {
    let names: Vec<_> = names.iter().map(|name| to_text(name)).collect();
    let found = match &names[..] {
        [] => "its lines have no header".to_owned(),
        names => format!("it has `{}`", names.join("`, `")),
    };
    malformed(path, format!("has no column `{chosen}` for {what} ({found}); correct `{key}`"))
}

fn no_paths(path: &Path, folder: &Path, first_line: &str) -> Error {
    let folder = match folder.as_os_str().is_empty() {
        true => ".".into(),
        false => folder.display().to_string(),
    };
    let reason = format!(
        "is text, but none of its first lines names a file (line 1 is `{first_line}`); a list has a \
         path, or `path,label`, in each line, relative to its own folder `{folder}`"
    );
    malformed(path, reason)
}

impl Preview {
    fn read(path: &Path, syntax: Syntax) -> Result<Self, Error> {
        let mut lines = Vec::new();
        let mut number = 0;
        rows::for_each(path, &syntax, PREVIEW_LINES, |_, row| {
            if !row.first().is_some_and(|field| field.starts_with(b"#")) {
                lines.push((number, row.iter().map(|field| field.to_vec()).collect()));
            }
            number += 1;
            Ok(())
        })?;
        let names = match &syntax {
            Syntax::Json(fields) => Some(fields.iter().map(|name| name.clone().into()).collect()),
            _ => None,
        };
        Ok(Self { syntax, lines, names })
    }

    /// Score of a column as the column of paths: how many of its fields are files, and whether it
    /// has a usual name. The column that the user chose scores highest.
    fn score(&self, column: usize, folder: &Path, options: &OpenOptions) -> (usize, bool) {
        let fields = self.lines.iter().filter_map(|(_, row)| row.get(column));
        let count = fields.filter(|field| is_file(folder, field)).count();
        let first = self.lines.first().map(|(_, row)| row);
        let name = self.names.as_ref().or(first).and_then(|names| names.get(column));
        let is = |known: &str| name.is_some_and(|name| name.eq_ignore_ascii_case(known.as_bytes()));
        if count > 0 && options.image_column.as_deref().is_some_and(is) {
            return (usize::MAX, true);
        }
        (count, PATH_NAMES.into_iter().any(is))
    }

    /// The format with the paths in this column.
    fn format(&self, path: usize, folder: &Path) -> Format {
        let first = self.lines.first();
        let head = first.and_then(|(_, row)| row.get(path)).map_or(&b""[..], |field| field);
        let is_path = is_file(folder, head) || kind_of(head) == Kind::Image;
        let header = first.map(|(number, _)| *number).filter(|_| self.names.is_none() && !is_path);
        let columns = first.map_or(0, |(_, row)| row.len());
        let names = self.header(header);
        let label = match names {
            Some(names) => LABEL_NAMES.iter().find_map(|known| position(names, known)),
            None if path + 1 < columns => Some(path + 1),
            None => path.checked_sub(1),
        };
        let label = label.filter(|&label| label != path);
        let part = |known: &&str| {
            let column = position(names?, known).filter(|&column| column != path)?;
            Some((to_text(&names?[column]), column))
        };
        let parts = PART_NAMES.iter().filter_map(part).collect();
        Format { syntax: self.syntax.clone(), path, label, parts, header }
    }

    /// The names of the columns, if there are any.
    fn header(&self, header: Option<usize>) -> Option<&[Vec<u8>]> {
        match &self.names {
            Some(names) => Some(names),
            None => self
                .lines
                .first()
                .filter(|(number, _)| header == Some(*number))
                .map(|(_, row)| &row[..]),
        }
    }
}

/// The column with this name.
fn position(names: &[Vec<u8>], wanted: &str) -> Option<usize> {
    names.iter().position(|name| name.eq_ignore_ascii_case(wanted.as_bytes()))
}

fn is_file(folder: &Path, field: &[u8]) -> bool {
    !field.is_empty() && folder.join(to_path(field)).is_file()
}
