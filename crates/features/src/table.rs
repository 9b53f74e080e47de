//! Reads a column of a file of features: of ours, or of another program in the same formats.
//!
//! | format | column | names of the images |
//! | --- | --- | --- |
//! | `.npy` | the array, `[images, d]` of f32 | column `name` of the `.csv` file beside it, if there is one |
//! | `.safetensors` | a tensor, `[images, d]` of F32 | the same |
//! | `.parquet` | a column of lists of floats of equal length | column `name`, if there is one |

mod npy;
mod parquet;
mod safetensors;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, at};

/// Bytes of rows that are read at once.
const BLOCK_BYTES: usize = 8 << 20;

/// A column of features in a file.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    /// Its name in the file.
    column: String,
    rows: usize,
    width: usize,
    /// What the file says about itself.
    metadata: BTreeMap<String, String>,
    values: Stored,
}

/// Where the values are.
#[derive(Debug)]
enum Stored {
    /// Row after row, from this byte on.
    Raw(u64),
    /// In the leaf column of this number.
    Parquet(usize),
}

/// What a reader finds in a file: shape and place of the column.
struct Layout {
    column: String,
    rows: usize,
    width: usize,
    metadata: BTreeMap<String, String>,
    values: Stored,
}

impl Table {
    /// Opens the column `column`; without a name `cls`, or the only one that the file has.
    ///
    /// # Errors
    /// No such file or column; values that are no rows of f32.
    pub fn open(path: &Path, column: Option<&str>) -> Result<Self> {
        let file = File::open(path).map_err(reading(path))?;
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let layout = match extension.to_ascii_lowercase().as_str() {
            "npy" => npy::layout(file, column),
            "safetensors" => safetensors::layout(file, column),
            "parquet" => parquet::layout(file, column),
            _ => return Err(Error::UnknownFormat { path: path.to_owned() }),
        };
        let layout =
            layout.map_err(|reason| Error::NoFeatures { path: path.to_owned(), reason })?;
        let Layout { column, rows, width, metadata, values } = layout;
        if rows == 0 || width == 0 {
            let reason = format!("`{column}` is empty");
            return Err(Error::NoFeatures { path: path.to_owned(), reason });
        }
        Ok(Self { path: path.to_owned(), column, rows, width, metadata, values })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the column.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What the file says about itself under this name, such as `checkpoint`.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }

    /// Names of the images, one for each row, if the file or the table beside it has them.
    ///
    /// # Errors
    /// If they cannot be read, or are not as many as there are rows.
    pub fn names(&self) -> Result<Option<Vec<String>>> {
        let (path, names) = match self.values {
            Stored::Parquet(_) => {
                let file = File::open(&self.path).map_err(reading(&self.path))?;
                let names = parquet::names(file);
                let refused = |reason| Error::NoFeatures { path: self.path.clone(), reason };
                (self.path.clone(), names.map_err(refused)?)
            }
            Stored::Raw(_) => {
                let path = self.path.with_extension("csv");
                let names = path.exists().then(|| csv_names(&path)).transpose()?.flatten();
                (path, names)
            }
        };
        if let Some(found) = names.as_ref().map(Vec::len).filter(|found| *found != self.rows) {
            let rows = self.rows;
            let reason =
                format!("it has {found} names for {rows} rows of `{}`", self.path.display());
            return Err(Error::NoFeatures { path, reason });
        }
        Ok(names)
    }

    /// Calls `visit` with one block of rows after the other, `[any, width]`.
    ///
    /// # Errors
    /// If the file cannot be read, is cut off, or has rows of different lengths; what `visit` returns.
    pub fn for_each_block(&self, visit: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
        let rows = (BLOCK_BYTES / (4 * self.width)).clamp(1, self.rows);
        let file = File::open(&self.path).map_err(reading(&self.path))?;
        match self.values {
            Stored::Raw(start) => self.for_each_raw_block(file, start, rows, visit),
            Stored::Parquet(leaf) => {
                let reader = parquet::Lists { file, leaf, width: self.width, rows };
                let refused = |reason| Error::NoFeatures { path: self.path.clone(), reason };
                reader.for_each_block(&refused, visit)
            }
        }
    }

    fn for_each_raw_block(
        &self,
        mut file: File,
        start: u64,
        rows: usize,
        visit: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        use std::io::Seek;
        file.seek(io::SeekFrom::Start(start)).map_err(reading(&self.path))?;
        let mut bytes = vec![0; 4 * self.width * rows];
        let mut left = self.rows;
        while left > 0 {
            let count = rows.min(left);
            let bytes = &mut bytes[..4 * self.width * count];
            file.read_exact(bytes).map_err(reading(&self.path))?;
            let words = bytes.as_chunks::<4>().0;
            let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            visit(&values)?;
            left -= count;
        }
        Ok(())
    }
}

/// The names in a table that has them in a column `name`.
fn csv_names(path: &Path) -> Result<Option<Vec<String>>> {
    let refused = |error: csv::Error| Error::NoFeatures {
        path: path.to_owned(),
        reason: format!("it is no table of names: {error}"),
    };
    let mut table = csv::Reader::from_path(path).map_err(refused)?;
    let Some(column) = table.headers().map_err(refused)?.iter().position(|name| name == "name")
    else {
        return Ok(None);
    };
    let name = |record: std::result::Result<csv::StringRecord, csv::Error>| {
        Ok(record.map_err(refused)?.get(column).unwrap_or_default().to_owned())
    };
    table.records().map(name).collect::<Result<Vec<String>>>().map(Some)
}

/// The column to read of those that a file has: the one that is asked for, `cls`, or the only one.
fn choose(columns: &[String], wanted: Option<&str>) -> Result<String, String> {
    let find = |name: &str| columns.iter().find(|column| *column == name).cloned();
    let shown = || columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (wanted, columns) {
        (_, []) => Err("it has no column of vectors, f32 and one for each image".to_owned()),
        (Some(name), _) => {
            find(name).ok_or_else(|| format!("it has no vectors `{name}`, but {}", shown()))
        }
        (None, [only]) => Ok(only.clone()),
        (None, _) => {
            find("cls").ok_or_else(|| format!("it has several, choose by --features: {}", shown()))
        }
    }
}

/// An error while a file is read.
fn reading(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Read { path: path.to_owned(), source }
}

/// An error of a temporary file.
pub(crate) fn storing(source: io::Error) -> Error {
    at(&on_disk::folder())(source)
}
