//! Parquet: a list of floats in each row. Lists may be those of this program, of pyarrow or of pandas.

use std::fs::File;

use parquet::basic::{ConvertedType, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{Layout, Stored, choose};
use crate::error::{Error, Result as Read};

/// Rows of names that are read at once.
const NAMES: usize = 1 << 14;

fn text(error: ParquetError) -> String {
    error.to_string()
}

pub(super) fn layout(file: File, wanted: Option<&str>) -> Result<Layout, String> {
    let reader = SerializedFileReader::new(file).map_err(text)?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let is_list = |leaf: &usize| {
        let column = schema.column(*leaf);
        column.max_rep_level() == 1 && column.physical_type() == Physical::FLOAT
    };
    let lists: Vec<usize> = (0..schema.num_columns()).filter(is_list).collect();
    let name = |leaf: &usize| schema.column(*leaf).path().parts()[0].clone();
    // Columns of patches have a shape of two numbers; their lists are no single vectors.
    let pairs = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let pairs = pairs.map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()));
    let described: std::collections::BTreeMap<String, String> = pairs.collect();
    let is_vectors = |name: &String| {
        described.get(&format!("shape of {name}")).is_none_or(|shape| !shape.contains(','))
    };
    let names: Vec<String> = lists.iter().map(name).filter(is_vectors).collect();
    let column = choose(&names, wanted)?;
    let leaf =
        lists.into_iter().find(|leaf| name(leaf) == column).ok_or("it has no such column")?;
    let rows = usize::try_from(metadata.file_metadata().num_rows()).unwrap_or(0);
    let width = first_length(&reader, leaf)?;
    Ok(Layout { column, rows, width, metadata: described, values: Stored::Parquet(leaf) })
}

/// The length of the first list, which all have; 0 without any.
fn first_length(reader: &SerializedFileReader<File>, leaf: usize) -> Result<usize, String> {
    for group in 0..reader.num_row_groups() {
        let mut length = None;
        floats::<String>(reader, group, leaf, 1, &mut |values, _| {
            length = Some(values.len());
            Ok(false)
        })?;
        if let Some(length) = length {
            return Ok(length);
        }
    }
    Ok(0)
}

/// Reads the lists of a row group, `rows` at a time. `visit` gets their values and how many rows they are of; it
/// returns whether to go on.
fn floats<E: From<String>>(
    reader: &SerializedFileReader<File>,
    group: usize,
    leaf: usize,
    rows: usize,
    visit: &mut impl FnMut(&[f32], usize) -> Result<bool, E>,
) -> Result<(), E> {
    let group = reader.get_row_group(group).map_err(|error| E::from(text(error)))?;
    let column = group.get_column_reader(leaf).map_err(|error| E::from(text(error)))?;
    let ColumnReader::FloatColumnReader(mut column) = column else {
        return Err(E::from("its values are not f32".to_owned()));
    };
    loop {
        let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        let read = column.read_records(rows, Some(&mut defined), Some(&mut repeated), &mut values);
        let (records, _, _) = read.map_err(|error| E::from(text(error)))?;
        if records == 0 || !visit(&values, records)? {
            return Ok(());
        }
    }
}

/// The lists of a column.
pub(super) struct Lists {
    pub(super) file: File,
    /// Number of its leaf.
    pub(super) leaf: usize,
    /// Values in a list.
    pub(super) width: usize,
    /// Lists that are read at once.
    pub(super) rows: usize,
}

/// An error of this crate, or a reason that becomes one.
enum Failure {
    Reason(String),
    Error(Error),
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl Lists {
    /// Visits all lists, block by block; `refused` makes an error of a reason.
    pub(super) fn for_each_block(
        self,
        refused: &dyn Fn(String) -> Error,
        visit: &mut dyn FnMut(&[f32]) -> Read<()>,
    ) -> Read<()> {
        let Self { file, leaf, width, rows } = self;
        let reader = SerializedFileReader::new(file).map_err(|error| refused(text(error)))?;
        for group in 0..reader.num_row_groups() {
            let visited = floats(&reader, group, leaf, rows, &mut |values, records| {
                if values.len() != records * width {
                    let reason = "its rows have different lengths, or values that are missing";
                    return Err(Failure::Reason(reason.to_owned()));
                }
                visit(values).map(|()| true).map_err(Failure::Error)
            });
            visited.map_err(|failure| match failure {
                Failure::Reason(reason) => refused(reason),
                Failure::Error(error) => error,
            })?;
        }
        Ok(())
    }
}

/// The column `name`, if the file has one of texts.
pub(super) fn names(file: File) -> Result<Option<Vec<String>>, String> {
    let reader = SerializedFileReader::new(file).map_err(text)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let is_names = |leaf: &usize| {
        let column = schema.column(*leaf);
        let is_text = column.converted_type() == ConvertedType::UTF8
            && column.physical_type() == Physical::BYTE_ARRAY;
        column.path().parts() == ["name"] && is_text
    };
    let Some(leaf) = (0..schema.num_columns()).find(is_names) else { return Ok(None) };
    let optional = schema.column(leaf).max_def_level() > 0;
    let mut names = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(text)?;
        let column = group.get_column_reader(leaf).map_err(text)?;
        let ColumnReader::ByteArrayColumnReader(mut column) = column else { return Ok(None) };
        loop {
            let (mut values, mut defined) = (Vec::<ByteArray>::new(), Vec::new());
            let defined = optional.then_some(&mut defined);
            let (records, ..) =
                column.read_records(NAMES, defined, None, &mut values).map_err(text)?;
            if records == 0 {
                break;
            }
            if values.len() != records {
                return Err("names are missing in its column `name`".to_owned());
            }
            names.extend(
                values.iter().map(|name| String::from_utf8_lossy(name.data()).into_owned()),
            );
        }
    }
    Ok(Some(names))
}
