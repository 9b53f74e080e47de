//! [`Table`] reads ranges of rows of one column.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArrayType};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::Length;
use parquet::file::serialized_reader::SerializedPageReader;

use super::map_pages::MapPages;
use super::pages::{CheckedFile, PageCheck};
use super::unpack::{self, PageUnpacker};

/// Limit on the rows per byte of a file, because each row is allocated. Only a column that repeats
/// one value exceeds it.
const MAX_ROWS_PER_BYTE: i64 = 8;

/// A parquet file, which is opened again for each read.
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) metadata: ParquetMetaData,
}

impl Table {
    /// Reads the metadata at the end of the file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = CheckedFile(File::open(path)?);
        let metadata = guarded(|| ParquetMetaDataReader::new().parse_and_finish(&file))?;
        let rows = metadata.row_groups().iter().map(|group| group.num_rows());
        let limit = i64::try_from(file.len()).unwrap_or(i64::MAX).saturating_mul(MAX_ROWS_PER_BYTE);
        let total = rows.clone().try_fold(0_i64, |sum, rows| sum.checked_add(rows));
        if rows.clone().any(|rows| rows < 0) || total.is_none_or(|total| total > limit) {
            let reason = format!("more rows than its {} bytes can hold", file.len());
            return Err(ParquetError::General(reason));
        }
        Ok(Self { path: path.into(), metadata })
    }

    /// Rows of all row groups.
    pub(super) fn len(&self) -> usize {
        (0..self.metadata.num_row_groups()).map(|group| self.rows(group)).sum()
    }

    /// Rows of a row group.
    pub(super) fn rows(&self, group: usize) -> usize {
        usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0)
    }

    /// The binary values of a row group, starting at row `first`.
    pub(super) fn binary(&self, group: usize, column: usize, first: usize) -> Result<Binary> {
        let reader = guarded(|| match self.column(group, column)? {
            ColumnReader::ByteArrayColumnReader(mut reader) => {
                reader.skip_records(first)?;
                Ok(BinaryReader::Any(reader))
            }
            ColumnReader::FixedLenByteArrayColumnReader(mut reader) => {
                reader.skip_records(first)?;
                Ok(BinaryReader::Fixed(reader))
            }
            _ => Err(ParquetError::General("the column is not binary".into())),
        })?;
        Ok(Binary { reader, depth: self.depth(column) })
    }

    /// Calls `each` with the value of every row of a row group; `None` for a null.
    pub(super) fn each_value(
        &self,
        group: usize,
        column: usize,
        each: &mut dyn FnMut(Option<Scalar<'_>>),
    ) -> Result<()> {
        use ColumnReader as Reader;
        use Scalar::{Bytes, Float, Integer};
        let (rows, depth) = (self.rows(group), self.depth(column));
        guarded(|| match self.column(group, column)? {
            Reader::BoolColumnReader(r) => {
                for_each(r, rows, depth, |v| each(v.map(|&v| Integer(v.into()))))
            }
            Reader::Int32ColumnReader(r) => {
                for_each(r, rows, depth, |v| each(v.map(|&v| Integer(v.into()))))
            }
            Reader::Int64ColumnReader(r) => {
                for_each(r, rows, depth, |v| each(v.map(|&v| Integer(v))))
            }
            Reader::FloatColumnReader(r) => {
                for_each(r, rows, depth, |v| each(v.map(|&v| Float(v.into()))))
            }
            Reader::DoubleColumnReader(r) => {
                for_each(r, rows, depth, |v| each(v.map(|&v| Float(v))))
            }
            Reader::ByteArrayColumnReader(r) => {
                for_each(r, rows, depth, |v| each(v.map(|v| Bytes(v.data()))))
            }
            Reader::FixedLenByteArrayColumnReader(r) => {
                for_each(r, rows, depth, |v| each(v.map(|v| Bytes(v.data()))))
            }
            Reader::Int96ColumnReader(_) => {
                Err(ParquetError::General("the column has times".into()))
            }
        })
    }

    /// Rows of each page of a row group, up to the first header that cannot be read.
    pub(super) fn rows_of_pages(&self, group: usize, column: usize) -> Vec<usize> {
        let mut rows = Vec::new();
        let walk = || {
            let mut pages = self.pages(group, column)?;
            while let Some(page) = pages.peek_next_page()? {
                // columns of lists are not read, so a level is a row
                rows.extend(page.num_rows.or(page.num_levels).filter(|_| !page.is_dict));
                pages.skip_next_page()?;
            }
            Ok(())
        };
        // errors are ignored here: reading the rows later gives the same error
        let _: Result<()> = guarded(walk);
        rows
    }

    /// The definition level of a value that is not null.
    fn depth(&self, column: usize) -> i16 {
        self.metadata.file_metadata().schema_descr().column(column).max_def_level()
    }

    fn column(&self, group: usize, column: usize) -> Result<ColumnReader> {
        let (pages, rows) = (self.pages(group, column)?, self.rows(group));
        let has_levels = self.depth(column) > 0;
        let description = self.metadata.file_metadata().schema_descr().column(column);
        let map = PageCheck { rows, has_levels };
        Ok(get_column_reader(description, Box::new(MapPages { pages, map })))
    }

    fn pages(&self, group: usize, column: usize) -> Result<UnpackedPages> {
        let file = Arc::new(CheckedFile(File::open(&self.path)?));
        let columns = self.metadata.row_group(group).columns();
        let Some(column) = columns.get(column) else {
            return Err(ParquetError::General("a row group lacks a column".into()));
        };
        let rows = self.rows(group);
        let read = |column: &_| SerializedPageReader::new(file, column, rows, None);
        unpack::column_pages(column, read)
    }
}

/// The unpacked pages of a column chunk in a file.
type UnpackedPages = MapPages<SerializedPageReader<CheckedFile>, PageUnpacker>;

/// One value of a column, with all number types merged into two.
pub(super) enum Scalar<'a> {
    Integer(i64),
    Float(f64),
    Bytes(&'a [u8]),
}

/// The values of a binary column, to be read a few at a time: each keeps its page in memory.
pub(super) struct Binary {
    reader: BinaryReader,
    depth: i16,
}

enum BinaryReader {
    Any(ColumnReaderImpl<ByteArrayType>),
    Fixed(ColumnReaderImpl<FixedLenByteArrayType>),
}

impl Binary {
    /// The values of the next rows.
    pub(super) fn next(&mut self, rows: usize) -> Result<Vec<Option<ByteArray>>> {
        guarded(|| match &mut self.reader {
            BinaryReader::Any(reader) => read(reader, rows, self.depth),
            BinaryReader::Fixed(reader) => {
                let values = read(reader, rows, self.depth)?;
                Ok(values.into_iter().map(|value| value.map(ByteArray::from)).collect())
            }
        })
    }
}

/// Reads the values of the next rows; `None` for a null. `depth` is the definition level of a
/// value.
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

/// Calls `each` with the value of each of these rows.
fn for_each<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
    depth: i16,
    each: impl FnMut(Option<&T::T>),
) -> Result<()> {
    read(&mut reader, rows, depth)?.iter().map(Option::as_ref).for_each(each);
    Ok(())
}

/// Returns the result of `read`, or an error if it panics: `parquet` 60 asserts properties that
/// damaged files violate, such as offsets above zero. Nothing that `read` changes may be used after
/// a panic.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = || Err(ParquetError::General("its metadata contradict each other".into()));
    crate::guard::guarded(read).unwrap_or_else(panicked)
}
