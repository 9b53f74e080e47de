//! [`Parquet`] reads images from parquet files with a column of encoded images, such as Hugging
//! Face's data sets.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::bytes::container_unreadable;
use super::labels::Labels;
use super::lru::LruCache;
use super::row_parts::RowParts;
use super::shards::{ShardFiles, Shards};
use super::{Dataset, LeftOut, OpenOptions, Part, Sample, Split};
use crate::error::{Error, SampleError};

mod blocks;
mod choose;
mod classes;
mod encryption;
mod error;
mod features;
mod label_columns;
mod map_pages;
mod pages;
mod parts;
mod paths;
mod rows;
mod schema;
mod sniff;
mod unpack;

use blocks::{BLOCK, Block, Images, MAX_IMAGES, ReadLimit, StoredImage};
use choose::Choice;
use classes::LabelMerger;
use error::unsupported_or_damaged;
use label_columns::LabelSource;
use rows::Table;
use schema::ImageColumn;

/// Approximate limit on the bytes of all loaded blocks.
const MEMORY: u64 = 384 << 20;
/// Limit on the number of loaded blocks.
const MAX_BLOCKS: u64 = 66;

/// All rows of one or more parquet files, in their order.
///
/// The images are encoded bytes, or files whose paths are in the rows. Labels are numbers or text
/// in a column such as `label`, or a part of the path such as `label=cat`. Class names of numbers
/// come from the metadata that Hugging Face's `datasets` writes into the file.
pub struct Parquet {
    path: PathBuf,
    split: Option<Split>,
    files: Vec<(Table, ImageColumn)>,
    blocks: Vec<Block>,
    loaded: LruCache<Images>,
    read_limit: ReadLimit,
    window: usize,
    /// True if rows hold the bytes of images; a path may then be just a name.
    has_bytes: bool,
    labels: Labels,
    left_out: Vec<LeftOut>,
    parts: Vec<Part>,
}

impl Parquet {
    /// Opens one file, or the files of one data set, and reads the part of each row.
    ///
    /// # Errors
    /// If a file is damaged, the image column cannot be determined, or there are no rows.
    pub(super) fn open(
        listed: &ShardFiles,
        options: &OpenOptions,
    ) -> Result<(Self, RowParts), Error> {
        let (tables, empty) = open_tables(listed)?;
        let Some(first) = tables.first() else {
            return Err(Error::NoImages { path: listed.path.clone() });
        };
        let choice = choose::choose(first, options.image_column.as_deref())?;
        let mut left_out: Vec<_> = empty.into_iter().chain(others(&choice)).collect();
        let opened: Vec<_> =
            tables.into_par_iter().map(|table| open_file(table, &choice.image, options)).collect();
        let (mut files, mut blocks, mut end) = (Vec::new(), Vec::new(), 0);
        for (number, file) in opened.into_iter().enumerate() {
            let (table, image, of_file) = file?;
            for mut block in of_file {
                end += block.rows;
                (block.file, block.end) = (number, end);
                blocks.push(block);
            }
            files.push((table, image));
        }
        let (labels, not_labels) = read_labels(&listed.path, &files, options)?;
        left_out.extend(not_labels);
        left_out.extend(listed.left_out.clone().finish());
        let parts = parts::read(&files, options)?;
        // larger blocks are in the temporary folder
        let largest = blocks.iter().map(|block| block.bytes).max().unwrap_or(0).clamp(1, BLOCK);
        let capacity = (MEMORY / largest).min(MAX_BLOCKS) as usize;
        let parquet = Self {
            path: listed.path.clone(),
            split: listed.split,
            files,
            blocks,
            loaded: LruCache::new(capacity),
            read_limit: ReadLimit::default(),
            // two fewer than are loaded: some workers are still reading the old blocks while others
            // already read the next
            window: capacity - 2,
            has_bytes: choice.has_bytes,
            labels,
            left_out,
            parts: listed.parts.clone(),
        };
        Ok((parquet, parts))
    }

    /// The index of the block that holds image `index`, and the image's position in it.
    fn find(&self, index: usize) -> (usize, usize) {
        assert!(index < self.len(), "image {index} of {}", self.len());
        let number = self.blocks.partition_point(|block| block.end <= index);
        let block = &self.blocks[number];
        (number, index + block.rows - block.end)
    }

    /// Reads the images of a block.
    fn load_block(&self, number: usize) -> Result<Images, SampleError> {
        let block = &self.blocks[number];
        let (table, image) = &self.files[block.file];
        let _permit = self.read_limit.acquire(block.bytes);
        Images::read(table, image, block, MAX_IMAGES).map_err(|error| match error {
            Error::Malformed { .. } => SampleError::Damaged { reason: error.to_string() },
            error => container_unreadable(error),
        })
    }
}

/// Opens the files that have rows, and counts those that have none.
fn open_tables(listed: &ShardFiles) -> Result<(Vec<Table>, Option<LeftOut>), Error> {
    let open = |file: &PathBuf| Table::open(file).map_err(unsupported_or_damaged(file));
    let opened: Vec<_> = listed.files.par_iter().map(open).collect();
    let (mut tables, mut empty) = (Vec::new(), Vec::new());
    for table in opened {
        let table = table?;
        if table.len() > 0 { tables.push(table) } else { empty.push(table.path) }
    }
    let left_out = empty.first().map(|first| LeftOut {
        count: empty.len(),
        what: "parquet files without rows".into(),
        example: first.display().to_string(),
    });
    Ok((tables, left_out))
}

/// Counts further columns that contain images.
fn others(choice: &Choice) -> Option<LeftOut> {
    choice.others.first().map(|first| LeftOut {
        count: choice.others.len(),
        what: format!(
            "further columns of images besides `{}` (`data.image_column` chooses another)",
            choice.image.name
        ),
        example: first.clone(),
    })
}

/// Finds the image column of a file, preferably the one with the name in the first file, and its
/// blocks.
fn open_file(
    table: Table,
    first: &ImageColumn,
    options: &OpenOptions,
) -> Result<(Table, ImageColumn, Vec<Block>), Error> {
    let columns = schema::image_columns(table.metadata.file_metadata().schema_descr());
    let same = columns.into_iter().find(|column| column.name == first.name);
    let image = match same {
        Some(image) => image,
        None => choose::choose(&table, options.image_column.as_deref())?.image,
    };
    let blocks = blocks::split_file(&table, &image)?;
    Ok((table, image, blocks))
}

fn read_labels(
    root: &Path,
    files: &[(Table, ImageColumn)],
    options: &OpenOptions,
) -> Result<(Labels, Vec<LeftOut>), Error> {
    let chosen = options.label_column.as_deref();
    let find = |(table, _): &(Table, _)| LabelSource::find(root, table, chosen);
    let sources = files.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let mut labels = LabelMerger::default();
    for ((table, _), source) in files.iter().zip(&sources) {
        source.read(table, &mut labels)?;
    }
    Ok(labels.finish())
}

impl Dataset for Parquet {
    fn len(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.end)
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let (number, place) = self.find(index);
        let stored =
            self.loaded.with(number, || self.load_block(number), |images| images.get(place))?;
        match stored {
            StoredImage::Bytes(bytes) if bytes.is_empty() => Err(SampleError::Empty),
            StoredImage::Bytes(bytes) => Ok(Sample::Encoded(bytes.into())),
            StoredImage::Path(path) => {
                let table = &self.files[self.blocks[number].file].0.path;
                // `datasets` stores the original name of a file even if the file is not there
                if self.has_bytes && paths::is_missing_name(table, &path) {
                    return Err(SampleError::Empty);
                }
                paths::read(table, &path)
            }
        }
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index, self.len())
    }

    fn classes(&self) -> &[String] {
        &self.labels.classes
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn parts(&self) -> &[Part] {
        &self.parts
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

    fn container_of(&self, index: usize) -> Option<PathBuf> {
        Some(self.files[self.blocks[self.find(index).0].file].0.path.clone())
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
