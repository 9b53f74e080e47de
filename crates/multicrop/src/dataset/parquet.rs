//! Parquet files with a column of encoded images, as Hugging Face's data sets are.

use std::path::{Path, PathBuf};

use ::parquet::data_type::ByteArray;
use ::parquet::errors::ParquetError;
use rayon::prelude::*;

use super::bytes::malformed;
use super::labels::Labels;
use super::shards::{Listed, Shards};
use super::slots::Slots;
use super::{Dataset, OpenOptions, Sample, Split};
use crate::error::{Error, SampleError};

mod blocks;
mod pages;
mod rows;
mod schema;

use blocks::{BLOCK, Block, Images, MAX_IMAGES, Turns};
use rows::Table;
use schema::Columns;

/// Bytes of all blocks that are held at a time, about.
const MEMORY: u64 = 384 << 20;
/// Blocks that are held at a time, whatever their size.
const MAX_SLOTS: u64 = 66;

/// All rows of one or more parquet files, in their order.
///
/// Labels are numbers or text in a column such as `label`; names for numbers come from what Hugging
/// Face's `datasets` writes into the file. A row may have none (null or negative).
pub struct Parquet {
    path: PathBuf,
    split: Option<Split>,
    files: Vec<(Table, Columns)>,
    blocks: Vec<Block>,
    loaded: Slots<Images>,
    turns: Turns,
    window: usize,
    labels: Labels,
}

impl Parquet {
    /// Opens one file, or the files of one data set.
    ///
    /// # Errors
    /// If a file is damaged, has no image column, or there are no rows.
    pub(super) fn open(listed: &Listed, _options: &OpenOptions) -> Result<Self, Error> {
        let opened: Vec<_> = listed.files.par_iter().map(|file| open_file(file)).collect();
        let (mut files, mut blocks, mut end) = (Vec::new(), Vec::new(), 0);
        for (number, file) in opened.into_iter().enumerate() {
            let (table, columns, of_file) = file?;
            for mut block in of_file {
                end += block.rows;
                (block.file, block.end) = (number, end);
                blocks.push(block);
            }
            files.push((table, columns));
        }
        if end == 0 {
            return Err(Error::NoImages { path: listed.path.clone() });
        }
        let labels = read_labels(&files)?;
        // larger ones are in the temporary folder
        let largest = blocks.iter().map(|block| block.bytes).max().unwrap_or(0).clamp(1, BLOCK);
        let slots = (MEMORY / largest).min(MAX_SLOTS) as usize;
        Ok(Self {
            path: listed.path.clone(),
            split: listed.split,
            files,
            blocks,
            loaded: Slots::new(slots),
            turns: Turns::default(),
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

    /// The images of a block.
    fn load_block(&self, number: usize) -> Result<Images, SampleError> {
        let block = &self.blocks[number];
        let (table, columns) = &self.files[block.file];
        let _turn = self.turns.take(block.bytes);
        Images::read(table, columns.image, block, MAX_IMAGES)
            .map_err(|error| SampleError::Unreadable { reason: error.to_string() })
    }
}

fn open_file(path: &Path) -> Result<(Table, Columns, Vec<Block>), Error> {
    let table = Table::open(path).map_err(damaged(path))?;
    let columns = Columns::find(path, table.metadata.file_metadata())?;
    let blocks = blocks::of_file(&table, columns.image)?;
    Ok((table, columns, blocks))
}

fn damaged(path: &Path) -> impl Fn(ParquetError) -> Error {
    move |error| {
        malformed(path, format!("is a damaged parquet file ({error}); copy or write it again"))
    }
}

/// Labels of all rows, or none, if a row or a file has none.
fn read_labels(files: &[(Table, Columns)]) -> Result<Labels, Error> {
    let Some(kinds) = files.iter().map(label_kind).collect::<Option<Vec<_>>>() else {
        return Ok(Labels::default());
    };
    let classes = files[0].1.classes.as_deref();
    if kinds.iter().all(|&(_, text)| text) {
        let names = read_columns(files, |table, group, column| {
            table.binary(group, column, 0)?.next(table.rows(group))
        })?;
        return Ok(Labels::from_texts(names.iter().map(|name| name.as_ref().map(ByteArray::data))));
    }
    if kinds.iter().any(|&(_, text)| text) {
        let reason = "has labels of another type than the files beside it; make them alike".into();
        let odd = kinds.iter().position(|&kind| kind.1 != kinds[0].1).unwrap_or(0);
        return Err(malformed(&files[odd].0.path, reason));
    }
    let numbers = read_columns(files, Table::numbers)?;
    let Some(names) = classes else { return Ok(Labels::from_numbers(numbers.into_iter())) };
    let named = |&number: &i64| usize::try_from(number).is_ok_and(|class| class < names.len());
    if numbers.iter().flatten().all(|number| named(number) || *number < 0) {
        let classes = numbers.into_iter().map(|number| u32::try_from(number?).ok());
        return Ok(Labels::from_classes(classes, names.to_vec()));
    }
    Ok(Labels::from_numbers(numbers.into_iter()))
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
        let bytes =
            self.loaded.with(number, || self.load_block(number), |images| images.get(place))?;
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
        Some(Shards { ends, window: self.window, slow: false })
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

#[cfg(test)]
mod tests;
