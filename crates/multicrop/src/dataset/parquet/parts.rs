//! Detects a column that assigns rows to parts. The column is ignored, so the user gets a note.

use super::rows::{Scalar, Table};
use super::schema::{ImageColumn, is_text};
use crate::dataset::LeftOut;

/// The name of such a column.
const SPLIT: &str = "split";

/// A note that rows of several parts are read together, if they are.
pub(super) fn unread_split_column(files: &[(Table, ImageColumn)]) -> Option<LeftOut> {
    let mut first: Option<Vec<u8>> = None;
    let mut differs = false;
    for (table, _) in files {
        let columns = table.metadata.file_metadata().schema_descr().columns();
        let is_split = |column: &parquet::schema::types::ColumnDescPtr| {
            column.path().string() == SPLIT && is_text(column) && column.max_rep_level() == 0
        };
        let Some(leaf) = columns.iter().position(is_split) else { continue };
        for group in 0..table.metadata.num_row_groups() {
            // errors are ignored: at worst the note is missing
            let _ = table.each_value(group, leaf, &mut |value| {
                if let Some(Scalar::Bytes(part)) = value {
                    differs |= first.get_or_insert_with(|| part.to_vec()) != part;
                }
            });
        }
        if differs {
            let what = "columns that name the part of each row, which are not read: rows of all \
                        parts are used"
                .into();
            return Some(LeftOut { count: 1, what, example: SPLIT.into() });
        }
    }
    None
}
