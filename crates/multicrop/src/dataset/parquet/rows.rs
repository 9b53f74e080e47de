//! Reads ranges of rows of one column.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{Length, RowGroupReader};
use parquet::file::serialized_reader::SerializedRowGroupReader;

use super::pages::{Checked, Pages};

/// A parquet file, opened anew for each reading.
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) metadata: ParquetMetaData,
}

impl Table {
    /// Reads the metadata at the end of the file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let pages = Pages(File::open(path)?);
        let metadata = guarded(|| ParquetMetaDataReader::new().parse_and_finish(&pages))?;
        let rows = metadata.row_groups().iter().map(|group| group.num_rows());
        // an image takes more than a byte; whoever says otherwise asks for memory in vain
        let limit = i64::try_from(pages.len()).unwrap_or(i64::MAX);
        let total = rows.clone().try_fold(0_i64, |sum, rows| sum.checked_add(rows));
        if rows.clone().any(|rows| rows < 0) || total.is_none_or(|total| total > limit) {
            let reason = format!("more rows than its {limit} bytes can hold");
            return Err(ParquetError::General(reason));
        }
        Ok(Self { path: path.into(), metadata })
    }

    /// Rows of a row group.
    pub(super) fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0)
    }

    /// The binary values of a row group, from row `first` on.
    pub(super) fn binary(&self, group: usize, column: usize, first: usize) -> Result<Binary> {
        guarded(|| match self.column(group, column)? {
            ColumnReader::ByteArrayColumnReader(mut reader) => {
                reader.skip_records(first)?;
                Ok(Binary { reader, depth: self.depth(column) })
            }
            _ => Err(ParquetError::General("the column is not binary".into())),
        })
    }

    /// The numbers of all rows of a row group.
    pub(super) fn numbers(&self, group: usize, column: usize) -> Result<Vec<Option<i64>>> {
        let (rows, depth) = (self.rows(group), self.depth(column));
        guarded(|| match self.column(group, column)? {
            ColumnReader::Int64ColumnReader(mut reader) => read(&mut reader, rows, depth),
            ColumnReader::Int32ColumnReader(mut reader) => {
                let values: Vec<Option<i32>> = read(&mut reader, rows, depth)?;
                Ok(values.into_iter().map(|value| value.map(i64::from)).collect())
            }
            _ => Err(ParquetError::General("the column has no numbers".into())),
        })
    }

    /// Rows of each page of a row group, up to the first header that cannot be read.
    pub(super) fn rows_of_pages(&self, group: usize, column: usize) -> Vec<usize> {
        let mut rows = Vec::new();
        let walk = || {
            let mut pages = self.pages(group, column)?;
            while let Some(page) = pages.peek_next_page()? {
                // no column that is read has lists, so a level is a row
                rows.extend(page.num_rows.or(page.num_levels).filter(|_| !page.is_dict));
                pages.skip_next_page()?;
            }
            Ok(())
        };
        // what cannot be read here cannot be read later, and is a bad image then
        let _: Result<()> = guarded(walk);
        rows
    }

    /// The definition level of a value that is there.
    fn depth(&self, column: usize) -> i16 {
        self.metadata.file_metadata().schema_descr().column(column).max_def_level()
    }

    fn column(&self, group: usize, column: usize) -> Result<ColumnReader> {
        let (pages, rows) = (self.pages(group, column)?, self.rows(group));
        let has_levels = self.depth(column) > 0;
        let description = self.metadata.file_metadata().schema_descr().column(column);
        Ok(get_column_reader(description, Box::new(Checked { pages, rows, has_levels })))
    }

    fn pages(&self, group: usize, column: usize) -> Result<Box<dyn PageReader>> {
        let pages = Arc::new(Pages(File::open(&self.path)?));
        let properties = Arc::new(ReaderProperties::builder().build());
        let index = self.metadata.page_index_for_row_group(group);
        let metadata = self.metadata.row_group(group);
        if column >= metadata.num_columns() {
            return Err(ParquetError::General("a row group lacks a column".into()));
        }
        SerializedRowGroupReader::new(pages, metadata, index, properties)?
            .get_column_page_reader(column)
    }
}

/// Values of a binary column, read bit by bit: each keeps the memory of its page.
pub(super) struct Binary {
    reader: ColumnReaderImpl<ByteArrayType>,
    depth: i16,
}

impl Binary {
    /// The values of the next rows.
    pub(super) fn next(&mut self, rows: usize) -> Result<Vec<Option<ByteArray>>> {
        guarded(|| read(&mut self.reader, rows, self.depth))
    }
}

/// The values of the next rows; `None` for a null. `depth` is the definition level of a value.
fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    depth: i16,
) -> Result<Vec<Option<T::T>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (found, ..) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if found != rows {
        return Err(ParquetError::EOF(format!("{found} values where {rows} rows should be")));
    }
    if depth == 0 {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels.into_iter().map(|level| if level == depth { values.next() } else { None }).collect())
}

/// What `read` returns, or an error if it panics: `parquet` 60 asserts some of what damaged files
/// violate, such as offsets above zero. Nothing that `read` changes is used after that.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let gave_up = || Err(ParquetError::General("its metadata contradict each other".into()));
    crate::guard::guarded(read).unwrap_or_else(gave_up)
}
