//! Reads the column that assigns rows to parts.

use super::error::unsupported_or_damaged;
use super::features::Features;
use super::rows::{Scalar, Table};
use super::schema::{ImageColumn, is_text};
use crate::dataset::OpenOptions;
use crate::dataset::row_parts::{PART_NAMES, RowParts};
use crate::error::Error;

/// The part of each row, from a column such as `split`, of text or of Hugging Face's class labels.
/// Rows of a file without that column belong to no part.
///
/// # Errors
/// If the column is damaged.
pub(super) fn read(
    files: &[(Table, ImageColumn)],
    options: &OpenOptions,
) -> Result<RowParts, Error> {
    let chosen = options.label_column.as_deref().unwrap_or_default();
    let names = PART_NAMES.iter().filter(|name| !name.eq_ignore_ascii_case(chosen));
    let columns = names.map(|name| read_column(files, name));
    let columns = columns.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(RowParts::first_with_parts(columns))
}

/// The parts from the column with this name; `None` if no file has it.
fn read_column(files: &[(Table, ImageColumn)], name: &str) -> Result<Option<RowParts>, Error> {
    let columns: Vec<_> = files.iter().map(|(table, _)| Column::find(table, name)).collect();
    if columns.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut parts = RowParts::of_column(name);
    for ((table, _), column) in files.iter().zip(columns) {
        let Some(Column { leaf, classes }) = column else {
            (0..table.len()).for_each(|_| parts.push(b""));
            continue;
        };
        let class = |number: i64| classes.get(usize::try_from(number).ok()?);
        for group in 0..table.metadata.num_row_groups() {
            let mut each = |value: Option<Scalar<'_>>| match value {
                Some(Scalar::Bytes(text)) => parts.push(text),
                Some(Scalar::Integer(number)) => {
                    parts.push(class(number).map_or(b"", |name| name.as_bytes()));
                }
                _ => parts.push(b""),
            };
            let read = table.each_value(group, leaf, &mut each);
            read.map_err(unsupported_or_damaged(&table.path))?;
        }
    }
    Ok(Some(parts))
}

/// A column of a file.
struct Column {
    leaf: usize,
    /// The names that its numbers stand for; none for text.
    classes: Vec<String>,
}

impl Column {
    fn find(table: &Table, name: &str) -> Option<Self> {
        let metadata = table.metadata.file_metadata();
        let columns = metadata.schema_descr().columns();
        let is_named = |path: &str| path.eq_ignore_ascii_case(name);
        let leaf = columns
            .iter()
            .position(|column| is_named(&column.path().string()) && column.max_rep_level() == 0)?;
        let classes = Features::read(metadata).classes(&columns[leaf].path().string());
        let is_read = classes.is_some() || is_text(&columns[leaf]);
        is_read.then(|| Self { leaf, classes: classes.unwrap_or_default() })
    }
}
