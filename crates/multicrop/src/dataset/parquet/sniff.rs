//! Finds out what a column contains, from its first values.

use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};

use super::encryption;
use super::paths;
use super::rows::Table;
use super::schema::ImageColumn;
use crate::decode;

/// Number of values that are checked.
const VALUES: usize = 16;
/// Number of rows that are searched for values.
const ROWS: usize = 4096;

/// The contents of the first values of a column, in order of preference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    /// Most are images.
    Images,
    /// Most are paths of images.
    Paths,
    /// There are no values, or they cannot be read.
    Nothing,
    /// Most are URLs; with an example.
    Urls(String),
    /// Most are paths that lead to no image; with an example.
    NoFiles(String),
    /// Most are images as base64 text.
    Base64,
    /// Anything else.
    Other,
}

/// Checks the first values of a column: its bytes, or its paths if it has no bytes.
///
/// # Errors
/// If the column is encrypted or has an unsupported encoding. A damaged column counts as
/// [`Content::Nothing`]: its rows will be bad images.
pub(super) fn content(table: &Table, column: &ImageColumn) -> Result<Content> {
    let values = |leaf: Option<usize>| match leaf.map(|leaf| first_values(table, leaf)) {
        Some(Err(error @ ParquetError::NYI(_))) => Err(error),
        Some(Err(error)) if encryption::is_encrypted(&table.path) => Err(error),
        Some(Ok(values)) => Ok(values),
        Some(Err(_)) | None => Ok(Vec::new()),
    };
    let images = values(column.bytes)?;
    if !images.is_empty() {
        let is_image = |value: &&ByteArray| decode::format(value.data()).is_some();
        let count = images.iter().filter(is_image).count();
        return Ok(if 2 * count > images.len() { Content::Images } else { Content::Other });
    }
    let texts = values(column.path)?;
    let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text.data())).collect();
    let most = |what: &dyn Fn(&str) -> bool| {
        2 * texts.iter().filter(|text| what(text)).count() > texts.len()
    };
    let Some(example) = texts.first().map(|text| text.chars().take(200).collect()) else {
        return Ok(Content::Nothing);
    };
    let is_path =
        |text: &str| !paths::is_url(text) && paths::is_image(&paths::resolve(&table.path, text));
    Ok(if most(&paths::is_url) {
        Content::Urls(example)
    } else if most(&paths::is_base64) {
        Content::Base64
    } else if most(&is_path) {
        Content::Paths
    } else {
        Content::NoFiles(example)
    })
}

/// The first values of a leaf that are not null.
fn first_values(table: &Table, leaf: usize) -> Result<Vec<ByteArray>> {
    let (mut values, mut left) = (Vec::new(), ROWS);
    for group in 0..table.metadata.num_row_groups() {
        let mut rows = table.rows(group).min(left);
        left -= rows;
        let mut reader = table.binary(group, leaf, 0)?;
        while rows > 0 && values.len() < VALUES {
            let some = rows.min(VALUES);
            // nulls and empty values are skipped
            values
                .extend(reader.next(some)?.into_iter().flatten().filter(|value| !value.is_empty()));
            rows -= some;
        }
        if left == 0 || values.len() >= VALUES {
            break;
        }
    }
    Ok(values)
}
