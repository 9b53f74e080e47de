//! [`RowParts`] chooses the rows of one part of a list or parquet file, by a column such as `split`.
//!
//! Values of the column are parts by the rule for names of folders in [`parts`]. A source with such
//! a column has parts if a row is of the training part and another one is of another part. Of several
//! such columns, the first one counts whose values are parts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::left_out::{BESIDE, LeftOut, Part};
use super::names::to_text;
use super::selected::{OfPart, Selected};
use super::{Dataset, Split, parts};
use crate::error::Error;

/// Usual names of columns that name the part of a row, most likely first.
pub(super) const PART_NAMES: [&str; 5] = ["split", "subset", "partition", "set", "part"];

/// The value of a row that names no part.
const NONE: u32 = u32::MAX;

/// The part of each row of a source.
#[derive(Default)]
pub(super) struct RowParts {
    /// The name of the column.
    column: String,
    /// The values that name parts, in the order of their first rows.
    values: Vec<Value>,
    numbers: HashMap<Vec<u8>, u32>,
    /// The index in `values` for each row.
    of_row: Vec<u32>,
}

/// A value that names a part, and its number of rows.
struct Value {
    name: String,
    part: Split,
    rows: usize,
}

impl RowParts {
    /// Of the column with this name, without rows yet.
    pub(super) fn of_column(name: &str) -> Self {
        Self { column: name.to_owned(), ..Self::default() }
    }

    /// Adds the value of the next row.
    pub(super) fn push(&mut self, value: &[u8]) {
        let number = self.number(value.trim_ascii());
        if let Some(value) = self.values.get_mut(number as usize) {
            value.rows += 1;
        }
        self.of_row.push(number);
    }

    fn number(&mut self, value: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let Some(part) = parts::split_of_folder(value) else { return NONE };
        let number = self.values.len() as u32;
        self.values.push(Value { name: to_text(value), part, rows: 0 });
        self.numbers.insert(value.to_vec(), number);
        number
    }

    /// The first of these columns in which a row belongs to a part; otherwise the first of them.
    pub(super) fn first_with_parts(columns: Vec<Self>) -> Self {
        let found = columns.iter().position(|column| !column.values.is_empty()).unwrap_or(0);
        columns.into_iter().nth(found).unwrap_or_default()
    }

    /// Whether rows belong to two parts or more.
    pub(super) fn are_several(&self) -> bool {
        self.values.iter().any(|value| value.part != self.values[0].part)
    }

    /// The rows of `dataset` that belong to the part `split`, or without it to the training part if
    /// there is another one. All rows if there are no parts, with a note if values say otherwise. The
    /// classes stay those of all rows, so that labels of all parts agree.
    ///
    /// # Errors
    /// If no row belongs to the part `split`.
    pub(super) fn select(
        self,
        dataset: impl Dataset + 'static,
        path: &Path,
        split: Option<Split>,
    ) -> Result<Arc<dyn Dataset>, Error> {
        let present: Vec<_> = self.values.iter().map(|value| value.part).collect();
        let mut left_out = dataset.left_out().to_vec();
        let Some(chosen) = parts::choose(&present, split) else {
            if let Some(split) = split {
                return Err(self.no_such_part(path, split));
            }
            let Some(remark) = self.all_are_read(&dataset.describe()) else {
                return Ok(Arc::new(dataset));
            };
            let rows = 0..dataset.len();
            let rows = Selected::new(Arc::new(dataset), rows);
            let (parts, remarks) = (Vec::new(), vec![remark]);
            return Ok(Arc::new(rows.of_part(OfPart { split, parts, left_out, remarks })));
        };
        left_out.extend(self.beside(&dataset));
        let rows = Selected::new(Arc::new(dataset), self.rows_of(Some(chosen)));
        let part = |value: Value| Part {
            name: value.name,
            count: value.rows,
            unit: "images",
            read: value.part == chosen,
        };
        let parts = self.values.into_iter().map(part).collect();
        let split = split.or(Some(chosen));
        let remarks = Vec::new();
        Ok(Arc::new(rows.of_part(OfPart { split, parts, left_out, remarks })))
    }

    /// The rows of a part, or those that belong to none.
    fn rows_of(&self, part: Option<Split>) -> impl Iterator<Item = usize> {
        let part_of = |number: u32| self.values.get(number as usize).map(|value| value.part);
        let rows = self.of_row.iter().enumerate();
        rows.filter(move |(_, number)| part_of(**number) == part).map(|(row, _)| row)
    }

    /// Counts the rows that belong to no part.
    fn beside(&self, dataset: &dyn Dataset) -> Option<LeftOut> {
        let mut rows = self.rows_of(None);
        let example = dataset.name(rows.next()?);
        Some(LeftOut { count: 1 + rows.count(), what: BESIDE.to_owned(), example })
    }

    /// A sentence for a source of which all rows are read although some are named as a part.
    fn all_are_read(&self, source: &str) -> Option<String> {
        let differ = self.of_row.iter().any(|number| *number != self.of_row[0]);
        (differ && !self.values.is_empty()).then(|| {
            let named = |value: &Value| format!("{} of `{}`", value.rows, value.name);
            let mut rows: Vec<_> = self.values.iter().map(named).collect();
            let others = self.of_row.iter().filter(|number| **number == NONE).count();
            rows.extend((others > 0).then(|| format!("{others} of no part")));
            format!(
                "all rows of {source} are read ({}), because its column `{}` does not name parts: some rows must be \
                 `train`, and others `val` or `test`",
                rows.join(", "),
                self.column
            )
        })
    }

    fn no_such_part(&self, path: &Path, split: Split) -> Error {
        let column = &self.column;
        let values: Vec<_> = self.values.iter().map(|value| format!("`{}`", value.name)).collect();
        let reason = match (column.is_empty(), values.is_empty()) {
            (true, _) => {
                "neither the name of a file nor a column `split` of text names it".to_owned()
            }
            (_, true) => format!("no value of its column `{column}` is the name of a part"),
            _ => format!("its column `{column}` has {}", values.join(", ")),
        };
        Error::NoSuchSplit { path: path.into(), split: split.name(), reason }
    }
}
