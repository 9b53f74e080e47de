//! Parquet files with a column of encoded images, as Hugging Face's data sets are.

use std::path::{Path, PathBuf};

use ::parquet::data_type::ByteArray;
use ::parquet::errors::ParquetError;
use rayon::prelude::*;

use super::bytes::malformed;
use super::labels::{Labels, MAX_CLASSES};
use super::names::Names;
use super::shards::{Listed, Shards};
use super::slots::Slots;
use super::{Dataset, Sample, Split};
use crate::error::{Error, SampleError};

mod rows;
mod schema;

use rows::Table;
use schema::Columns;

/// Bytes that are read at once, about: a row group, or a piece of a large one.
const BLOCK: u64 = 64 << 20;
/// Bytes of all blocks that are held at a time, about.
const MEMORY: u64 = 384 << 20;
/// Blocks that are held at a time, whatever their size.
const SLOTS: std::ops::RangeInclusive<u64> = 4..=66;
/// Most blocks of a file: a million of 64 MiB.
const MAX_BLOCKS: u64 = 1 << 20;

/// All rows of one or more parquet files, in their order.
///
/// Labels are numbers or text in a column such as `label`; names for numbers come from what Hugging
/// Face's `datasets` writes into the file. If a row has none (null or negative), no row has.
pub struct Parquet {
    path: PathBuf,
    split: Option<Split>,
    files: Vec<(Table, Columns)>,
    blocks: Vec<Block>,
    loaded: Slots<Names>,
    window: usize,
    labels: Labels,
}

/// Some rows of a row group.
struct Block {
    file: usize,
    group: usize,
    /// The first row in its group, and the number of rows.
    first: usize,
    rows: usize,
    /// Index of the first image behind it.
    end: usize,
}

impl Parquet {
    /// Opens one file, or the files of one data set.
    ///
    /// # Errors
    /// If a file is damaged, has no image column, or there are no rows.
    pub(super) fn open(listed: &Listed) -> Result<Self, Error> {
        let opened: Vec<_> = listed.files.par_iter().map(|file| open_file(file)).collect();
        let files = opened.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (mut blocks, mut end, mut largest) = (Vec::new(), 0, 1);
        for (number, (table, columns)) in files.iter().enumerate() {
            for group in 0..table.metadata.num_row_groups() {
                let (rows, bytes) = (table.rows(group), group_size(table, group, columns.image)?);
                let pieces = bytes.div_ceil(BLOCK).clamp(1, (rows as u64).max(1));
                if pieces > MAX_BLOCKS {
                    return Err(damaged(&table.path)(ParquetError::General(format!(
                        "a row group of {bytes} bytes"
                    ))));
                }
                largest = largest.max(bytes / pieces);
                let pieces = pieces as usize;
                for piece in 0..pieces {
                    let (first, last) = (rows * piece / pieces, rows * (piece + 1) / pieces);
                    end += last - first;
                    blocks.push(Block { file: number, group, first, rows: last - first, end });
                }
            }
        }
        if end == 0 {
            return Err(Error::NoImages { path: listed.path.clone() });
        }
        let labels = read_labels(&files)?;
        let slots = (MEMORY / largest).clamp(*SLOTS.start(), *SLOTS.end()) as usize;
        Ok(Self {
            path: listed.path.clone(),
            split: listed.split,
            files,
            blocks,
            loaded: Slots::new(slots),
            // two less than are held: workers and batches ahead are at both sides of a change
            window: slots - 2,
            labels,
        })
    }

    /// The number of the block that has image `index`, and the image's place in it.
    fn find(&self, index: usize) -> (usize, usize) {
        assert!(index < self.len(), "image {index} of {}", self.len());
        let number = self.blocks.partition_point(|block| block.end <= index);
        let block = &self.blocks[number];
        (number, index + block.rows - block.end)
    }

    /// The images of a block; one that is null is empty.
    fn load_block(&self, number: usize) -> Result<Names, SampleError> {
        let block = &self.blocks[number];
        let (table, columns) = &self.files[block.file];
        let rows = block.first..block.first + block.rows;
        let fault = |error: ParquetError| SampleError::Unreadable {
            reason: damaged(&table.path)(error).to_string(),
        };
        let images = table.binary(block.group, columns.image, rows).map_err(fault)?;
        // a copy: each image would keep its page, and pages can be larger than blocks
        let bytes = images.iter().map(|image| image.as_ref().map_or(&[][..], ByteArray::data));
        let mut images: Names = bytes.collect();
        images.shrink();
        Ok(images)
    }
}

fn open_file(path: &Path) -> Result<(Table, Columns), Error> {
    let table = Table::open(path).map_err(damaged(path))?;
    let columns = Columns::find(path, table.metadata.file_metadata())?;
    Ok((table, columns))
}

fn damaged(path: &Path) -> impl Fn(ParquetError) -> Error {
    move |error| {
        malformed(path, format!("is a damaged parquet file ({error}); copy or write it again"))
    }
}

/// Unpacked bytes of the image column in a row group.
fn group_size(table: &Table, group: usize, image: usize) -> Result<u64, Error> {
    let column = table.metadata.row_group(group).columns().get(image);
    let size = column.and_then(|column| u64::try_from(column.uncompressed_size()).ok());
    size.ok_or_else(|| {
        damaged(&table.path)(ParquetError::General("a row group without images".into()))
    })
}

/// Labels of all rows, or none, if a row or a file has none.
fn read_labels(files: &[(Table, Columns)]) -> Result<Labels, Error> {
    let Some(kinds) = files.iter().map(label_kind).collect::<Option<Vec<_>>>() else {
        return Ok(Labels::default());
    };
    let classes = files[0].1.classes.as_deref();
    if kinds.iter().all(|&(_, text)| text) {
        let names = read_columns(files, |table, group, column| {
            table.binary(group, column, 0..table.rows(group))
        })?;
        return Ok(Labels::from_names(names.iter().map(|name| name.as_ref().map(ByteArray::data))));
    }
    if kinds.iter().any(|&(_, text)| text) {
        let reason = "has labels of another type than the files beside it; make them alike".into();
        let odd = kinds.iter().position(|&kind| kind.1 != kinds[0].1).unwrap_or(0);
        return Err(malformed(&files[odd].0.path, reason));
    }
    let numbers = read_columns(files, Table::numbers)?;
    let number = |label: Option<i64>| u32::try_from(label?).ok().filter(|&n| n < MAX_CLASSES);
    let Some(of) = numbers.into_iter().map(number).collect::<Option<Vec<u32>>>() else {
        return Ok(Labels::default());
    };
    match classes {
        Some(names) if of.iter().all(|&label| (label as usize) < names.len()) => {
            Ok(Labels { classes: names.to_vec(), of })
        }
        _ => Ok(Labels::from_numbers(of)),
    }
}

/// The label column of a file, and whether it has text.
fn label_kind((table, columns): &(Table, Columns)) -> Option<(usize, bool)> {
    use ::parquet::basic::Type;
    let label = columns.label?;
    let column = table.metadata.file_metadata().schema_descr().column(label);
    Some((label, column.physical_type() == Type::BYTE_ARRAY))
}

/// The label columns of all files, one row group after the other.
fn read_columns<T>(
    files: &[(Table, Columns)],
    read: impl Fn(&Table, usize, usize) -> ::parquet::errors::Result<Vec<T>>,
) -> Result<Vec<T>, Error> {
    let mut values = Vec::new();
    for (table, columns) in files {
        for group in 0..table.metadata.num_row_groups() {
            let label = columns.label.unwrap_or(0);
            values.extend(read(table, group, label).map_err(damaged(&table.path))?);
        }
    }
    Ok(values)
}

impl Dataset for Parquet {
    fn len(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.end)
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let (number, place) = self.find(index);
        let bytes = self.loaded.with(
            number,
            || self.load_block(number),
            |images| Ok(images.get(place).to_vec()),
        )?;
        if bytes.is_empty() { Err(SampleError::Empty) } else { Ok(Sample::Encoded(bytes.into())) }
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index, self.len())
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn shards(&self) -> Option<Shards> {
        let ends = self.blocks.iter().map(|block| block.end).collect();
        Some(Shards { ends, window: self.window })
    }

    fn name(&self, index: usize) -> String {
        let (number, _) = self.find(index);
        let file = self.blocks[number].file;
        let before = self.blocks.partition_point(|block| block.file < file);
        let first = if before == 0 { 0 } else { self.blocks[before - 1].end };
        format!("{}, row {}", self.files[file].0.path.display(), index - first)
    }

    fn describe(&self) -> String {
        let part = self.split.map_or(String::new(), |split| format!(" ({split} part)"));
        match self.files.len() {
            1 => format!("parquet file `{}`{part}", self.path.display()),
            count => format!("{count} parquet files `{}`{part}", self.path.display()),
        }
    }
}
