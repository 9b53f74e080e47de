//! Reads the column that assigns rows to parts.

use super::error::unsupported_or_damaged;
use super::rows::{Scalar, Table};
use super::schema::{ImageColumn, is_text};
use crate::dataset::OpenOptions;
use crate::dataset::row_parts::{PART_NAMES, RowParts};
use crate::error::Error;

/// The part of each row, from a column of text such as `split`. Rows of a file without that column
/// belong to no part.
///
/// # Errors
/// If the column is damaged.
pub(super) fn read(
    files: &[(Table, ImageColumn)],
    options: &OpenOptions,
) -> Result<RowParts, Error> {
    let is_there =
        |name: &&str| files.iter().any(|(table, _)| leaf(table, name, options).is_some());
    let Some(name) = PART_NAMES.iter().find(|name| is_there(name)) else {
        return Ok(RowParts::default());
    };
    let mut parts = RowParts::of_column(name);
    for (table, _) in files {
        let Some(leaf) = leaf(table, name, options) else {
            (0..table.len()).for_each(|_| parts.push(b""));
            continue;
        };
        for group in 0..table.metadata.num_row_groups() {
            let mut each = |value: Option<Scalar<'_>>| match value {
                Some(Scalar::Bytes(text)) => parts.push(text),
                _ => parts.push(b""),
            };
            let read = table.each_value(group, leaf, &mut each);
            read.map_err(unsupported_or_damaged(&table.path))?;
        }
    }
    Ok(parts)
}

/// The column of text with this name, unless the user chose it for labels.
fn leaf(table: &Table, name: &str, options: &OpenOptions) -> Option<usize> {
    let is_chosen = options.label_column.as_deref().is_some_and(|of| of.eq_ignore_ascii_case(name));
    let columns = table.metadata.file_metadata().schema_descr().columns();
    columns.iter().position(|column| {
        column.path().string().eq_ignore_ascii_case(name)
            && is_text(column)
            && column.max_rep_level() == 0
            && !is_chosen
    })
}
