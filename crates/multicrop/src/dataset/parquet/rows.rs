//! Reads ranges of rows of one column.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length, RowGroupReader};
use parquet::file::serialized_reader::SerializedRowGroupReader;

/// Most bytes that a page may unpack to. Pages of pyarrow have 1024 images, or a whole row group.
const MAX_PAGE: u64 = 512 << 20;

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

    /// The binary values of some rows of a row group.
    pub(super) fn binary(
        &self,
        group: usize,
        column: usize,
        rows: Range<usize>,
    ) -> Result<Vec<Option<ByteArray>>> {
        guarded(|| match self.column(group, column)? {
            ColumnReader::ByteArrayColumnReader(reader) => read(reader, rows, self.depth(column)),
            _ => Err(ParquetError::General("the column is not binary".into())),
        })
    }

    /// The numbers of all rows of a row group.
    pub(super) fn numbers(&self, group: usize, column: usize) -> Result<Vec<Option<i64>>> {
        let (rows, depth) = (0..self.rows(group), self.depth(column));
        guarded(|| match self.column(group, column)? {
            ColumnReader::Int64ColumnReader(reader) => read(reader, rows, depth),
            ColumnReader::Int32ColumnReader(reader) => {
                let values: Vec<Option<i32>> = read(reader, rows, depth)?;
                Ok(values.into_iter().map(|value| value.map(i64::from)).collect())
            }
            _ => Err(ParquetError::General("the column has no numbers".into())),
        })
    }

    /// The definition level of a value that is there.
    fn depth(&self, column: usize) -> i16 {
        self.metadata.file_metadata().schema_descr().column(column).max_def_level()
    }

    fn column(&self, group: usize, column: usize) -> Result<ColumnReader> {
        let pages = Arc::new(Pages(File::open(&self.path)?));
        let properties = Arc::new(ReaderProperties::builder().build());
        let index = self.metadata.page_index_for_row_group(group);
        let metadata = self.metadata.row_group(group);
        if column >= metadata.num_columns() {
            return Err(ParquetError::General("a row group lacks a column".into()));
        }
        SerializedRowGroupReader::new(pages, metadata, index, properties)?.get_column_reader(column)
    }
}

/// The values of some rows; `None` for a null. `depth` is the definition level of a value.
fn read<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: Range<usize>,
    depth: i16,
) -> Result<Vec<Option<T::T>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    reader.skip_records(rows.start)?;
    let (found, ..) = reader.read_records(rows.len(), Some(&mut levels), None, &mut values)?;
    if found != rows.len() {
        let reason = format!("{found} values where {} rows should be", rows.len());
        return Err(ParquetError::EOF(reason));
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
    let gave_up = |_| Err(ParquetError::General("its metadata contradict each other".into()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(gave_up)
}

/// A file whose pages are looked at before memory is taken for them.
struct Pages(File);

impl Length for Pages {
    fn len(&self) -> u64 {
        Length::len(&self.0)
    }
}

impl ChunkReader for Pages {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut reader = self.0.get_read(start)?;
        match unpacked_size(reader.fill_buf()?) {
            Some(size) if size > MAX_PAGE => Err(ParquetError::General(format!(
                "a page of {size} bytes, more than the {MAX_PAGE} that are read; row groups of 100 \
                 rows have smaller ones"
            ))),
            _ => Ok(reader),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // before memory is taken
        if start.checked_add(length as u64).is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF("the file is shorter than it says".into()));
        }
        self.0.get_bytes(start, length)
    }
}

/// The second field of a page header in Thrift's compact form, if this is the start of one.
///
/// ```text
/// struct PageHeader { 1: i32 type (0 to 3), 2: i32 uncompressed_page_size, 3: i32 compressed_page_size, … }
/// field:  0x15 (next field, i32), then zigzag in groups of 7 bits, the lowest first
/// ```
fn unpacked_size(mut bytes: &[u8]) -> Option<u64> {
    let mut field = || {
        let (&head, rest) = bytes.split_first()?;
        let len = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let groups = rest[..len].iter().rev();
        let zigzag = groups.fold(0_u64, |value, byte| value << 7 | u64::from(byte & 0x7F));
        bytes = &rest[len..];
        (head == 0x15 && len <= 5).then_some(zigzag >> 1)
    };
    let (kind, unpacked, _packed) = (field()?, field()?, field()?);
    (kind <= 3).then_some(unpacked)
}
