//! [`LabelSource`] finds and reads the labels of a parquet file.

use std::path::Path;

use parquet::file::metadata::ParquetMetaData;

use super::classes::{Label, LabelMerger};
use super::error::unsupported_or_damaged;
use super::features::Features;
use super::rows::{Scalar, Table};
use super::schema::{LabelType, label_type, quoted};
use crate::dataset::bytes::malformed;
use crate::dataset::labels::LABEL_NAMES;
use crate::dataset::row_parts::PART_NAMES;
use crate::error::Error;

/// The label column of CIFAR-100, which also has a column of coarse labels.
const FINE_LABEL: &str = "fine_label";

/// Usual names of label columns, most likely first.
fn known_names() -> impl Iterator<Item = &'static str> {
    let (first, rest) = LABEL_NAMES.split_at(1);
    first.iter().chain(&[FINE_LABEL]).chain(rest).copied()
}

/// Where a file has its labels.
pub(super) enum LabelSource {
    Column(LabelColumn),
    /// All rows have this label, which is part of the path, as in `label=cat/0.parquet`.
    Folder(String),
    None,
}

/// A column of labels.
pub(super) struct LabelColumn {
    leaf: usize,
    label_type: LabelType,
    /// Names of the classes that its numbers stand for.
    names: Option<Vec<String>>,
}

/// A column that could hold labels.
struct Candidate {
    name: String,
    leaf: usize,
    label_type: LabelType,
}

impl LabelSource {
    /// Finds the column that the user named, or else one with a usual name for labels.
    ///
    /// # Errors
    /// If there is no column of that name, or it cannot hold labels.
    pub(super) fn find(root: &Path, table: &Table, named: Option<&str>) -> Result<Self, Error> {
        let columns = candidates(&table.metadata);
        let features = Features::read(table.metadata.file_metadata());
        let rank = |name: &str| {
            let known = known_names().position(|known| name.eq_ignore_ascii_case(known));
            let is_part = PART_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
            let class_label = features.is(name, "ClassLabel") && !is_part;
            (known.is_some() || class_label).then(|| (!class_label, known.unwrap_or(usize::MAX)))
        };
        let column = match named {
            Some(name) => columns.iter().position(|column| column.name == name),
            None => (0..columns.len())
                // labels inside a structure belong to something other than the image
                .filter(|&i| !columns[i].name.contains('.'))
                .filter_map(|i| Some((rank(&columns[i].name)?, i)))
                .min()
                .map(|(_, i)| i),
        };
        if let Some(&Candidate { ref name, leaf, label_type }) = column.map(|i| &columns[i]) {
            let names = features.classes(name);
            return Ok(Self::Column(LabelColumn { leaf, label_type, names }));
        }
        let keys = named.map_or_else(|| known_names().collect(), |name| vec![name]);
        match (folder_label(root, &table.path, &keys), named) {
            (Some(label), _) => Ok(Self::Folder(label)),
            (None, Some(name)) => Err(no_such_column(table, &columns, name)),
            (None, None) => Ok(Self::None),
        }
    }
}

impl LabelSource {
    /// Adds the labels of all rows to `labels`.
    pub(super) fn read<'a>(
        &'a self,
        table: &Table,
        labels: &mut LabelMerger<'a>,
    ) -> Result<(), Error> {
        let path = &table.path;
        let column = match self {
            Self::Column(column) => column,
            Self::Folder(name) => {
                let label = Label::Name(name.as_bytes());
                (0..table.len()).for_each(|_| labels.push(path, label.clone(), None));
                return Ok(());
            }
            Self::None => {
                (0..table.len()).for_each(|_| labels.push(path, Label::None, None));
                return Ok(());
            }
        };
        let names = column.names.as_deref();
        if let Some(names) = names {
            labels.begin_list(names);
        }
        for group in 0..table.metadata.num_row_groups() {
            let mut each = |value: Option<Scalar<'_>>| {
                let label = value.map_or(Label::None, |value| column.label_type.label(value));
                labels.push(path, label, names);
            };
            table
                .each_value(group, column.leaf, &mut each)
                .map_err(unsupported_or_damaged(path))?;
        }
        Ok(())
    }
}

impl LabelType {
    /// Converts a value of this type to a label.
    fn label(self, value: Scalar<'_>) -> Label<'_> {
        match (self, value) {
            (Self::Decimal { scale }, Scalar::Integer(value)) => {
                Label::from_decimal(value.into(), scale)
            }
            (Self::Decimal { scale }, Scalar::Bytes(bytes)) => match big_endian(bytes) {
                Some(value) => Label::from_decimal(value, scale),
                None => Label::Fraction(f64::NAN),
            },
            (_, Scalar::Integer(value)) => Label::Number(value),
            (_, Scalar::Float(value)) => Label::from_float(value),
            (_, Scalar::Bytes(bytes)) => Label::Name(bytes),
        }
    }
}

/// Parses a big-endian number in two's complement.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let start = if first & 0x80 == 0 { 0 } else { -1 };
    let fits = bytes.len() <= size_of::<i128>();
    fits.then(|| bytes.iter().fold(start, |value, &byte| value << 8 | i128::from(byte)))
}

/// The columns that could hold labels.
fn candidates(metadata: &ParquetMetaData) -> Vec<Candidate> {
    let columns = metadata.file_metadata().schema_descr().columns().iter().enumerate();
    columns
        .filter_map(|(leaf, column)| {
            let label_type = label_type(column)?;
            Some(Candidate { name: column.path().string(), leaf, label_type })
        })
        .collect()
}

fn no_such_column(table: &Table, columns: &[Candidate], name: &str) -> Error {
    let schema = table.metadata.file_metadata().schema_descr();
    let exists = schema.columns().iter().any(|column| {
        let path = column.path().string();
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    let what = if exists {
        format!("has a column `{name}`, but not with one number or text in each row")
    } else {
        format!("has no column `{name}`")
    };
    let could = quoted(columns.iter().map(|column| column.name.as_str()));
    let reason =
        format!("{what}; set `data.label_column` to a column that could hold labels: {could}");
    malformed(&table.path, reason)
}

/// The label in the name of a folder below `root`, as in partitions of pyarrow and Spark:
/// `label=cat`.
fn folder_label(root: &Path, file: &Path, keys: &[&str]) -> Option<String> {
    let below = file.strip_prefix(root).ok()?.parent()?;
    let pairs: Vec<_> = below
        .iter()
        .filter_map(|part| part.to_str()?.split_once('='))
        .filter(|&(_, value)| value != "__HIVE_DEFAULT_PARTITION__")
        .collect();
    let find = |key: &&str| pairs.iter().find(|(found, _)| found.eq_ignore_ascii_case(key));
    keys.iter().find_map(find).map(|(_, value)| unescape(value))
}

/// Decodes percent-encoding in the name of a folder: `a%2Fb` is `a/b`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, after) = match value {
            Some(value) if first == b'%' => (value, &after[2..]),
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_partitions_have_labels() {
        let label = |file: &str, keys: &[&str]| {
            folder_label(Path::new("root"), &Path::new("root").join(file), keys)
        };
        assert_eq!(label("label=cat/0.parquet", &LABEL_NAMES).as_deref(), Some("cat"));
        assert_eq!(
            label("split=train/class=a%2Fb%/0.parquet", &LABEL_NAMES).as_deref(),
            Some("a/b%")
        );
        assert_eq!(label("size=1/0.parquet", &["size"]).as_deref(), Some("1"));
        for none in ["size=1/0.parquet", "cat/0.parquet", "label=__HIVE_DEFAULT_PARTITION__/0"] {
            assert_eq!(label(none, &LABEL_NAMES), None, "{none}");
        }
        assert_eq!(
            folder_label(Path::new("label=cat/0"), Path::new("label=cat/0"), &LABEL_NAMES),
            None
        );
    }

    #[test]
    fn decimals_are_signed_and_have_a_scale() {
        fn label(bytes: &[u8]) -> Label<'_> {
            LabelType::Decimal { scale: 1 }.label(Scalar::Bytes(bytes))
        }
        assert_eq!(label(&[0, 30]), Label::Number(3));
        assert_eq!(label(&[0xFF, 0xF6]), Label::Number(-1));
        assert_eq!(label(&[5]), Label::Fraction(0.5));
    }
}
