//! Parquet files with a column of encoded images, as Hugging Face's data sets are.

use std::io;
use std::path::{Path, PathBuf};

use ::parquet::errors::ParquetError;
use rayon::prelude::*;

use super::bytes::{container_unreadable, malformed};
use super::labels::Labels;
use super::shards::{Listed, Shards};
use super::slots::Slots;
use super::{Dataset, LeftOut, OpenOptions, Part, Sample, Split};
use crate::error::{Error, SampleError};

mod blocks;
mod choose;
mod classes;
mod each_page;
mod encryption;
mod features;
mod label_columns;
mod pages;
mod parts;
mod paths;
mod rows;
mod schema;
mod sniff;
mod unpack;

use blocks::{BLOCK, Block, Held, Images, MAX_IMAGES, Turns};
use choose::Choice;
use classes::Pool;
use label_columns::Source;
use rows::Table;
use schema::ImageColumn;

/// Bytes of all blocks that are held at a time, about.
const MEMORY: u64 = 384 << 20;
/// Blocks that are held at a time, whatever their size.
const MAX_SLOTS: u64 = 66;

/// All rows of one or more parquet files, in their order.
///
/// The images are encoded bytes, or files whose paths the rows have. Labels are numbers or text in
/// a column such as `label`, or a part of the path such as `label=cat`; names for numbers come from
/// what Hugging Face's `datasets` writes into the file. A row without one has no label.
pub struct Parquet {
    path: PathBuf,
    split: Option<Split>,
    files: Vec<(Table, ImageColumn)>,
    blocks: Vec<Block>,
    loaded: Slots<Images>,
    turns: Turns,
    window: usize,
    /// True if rows hold the bytes of images; a path then may be no more than a name.
    has_bytes: bool,
    labels: Labels,
    left_out: Vec<LeftOut>,
    parts: Vec<Part>,
}

impl Parquet {
    /// Opens one file, or the files of one data set.
    ///
    /// # Errors
    /// If a file is damaged, which column has the images cannot be told, or there are no rows.
    pub(super) fn open(listed: &Listed, options: &OpenOptions) -> Result<Self, Error> {
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
        left_out.extend(parts::unread(&files));
        left_out.extend(listed.left_out.clone().finish());
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
            has_bytes: choice.has_bytes,
            labels,
            left_out,
            parts: listed.parts.clone(),
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
        let (table, image) = &self.files[block.file];
        let _turn = self.turns.take(block.bytes);
        Images::read(table, image, block, MAX_IMAGES).map_err(|error| match error {
            Error::Malformed { .. } => SampleError::Damaged { reason: error.to_string() },
            error => container_unreadable(error),
        })
    }
}

/// The files that have rows, and how many have none.
fn open_tables(listed: &Listed) -> Result<(Vec<Table>, Option<LeftOut>), Error> {
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

/// The columns that have images too.
fn others(choice: &Choice) -> Option<LeftOut> {
    choice.others.first().map(|first| LeftOut {
        count: choice.others.len(),
        what: format!(
            "further columns of images beside `{}` (`data.image_column` chooses another)",
            choice.image.name
        ),
        example: first.clone(),
    })
}

/// The image column of a file, that of the first file if it has one of this name, and its blocks.
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
    let blocks = blocks::of_file(&table, &image)?;
    Ok((table, image, blocks))
}

fn read_labels(
    root: &Path,
    files: &[(Table, ImageColumn)],
    options: &OpenOptions,
) -> Result<(Labels, Vec<LeftOut>), Error> {
    let find = |(table, _): &(Table, _)| Source::find(root, table, options.label_column.as_deref());
    let sources = files.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let mut pool = Pool::default();
    for ((table, _), source) in files.iter().zip(&sources) {
        source.read(table, &mut pool)?;
    }
    Ok(pool.finish())
}

/// The error for a file that `parquet` cannot read: the system's, one of a form that is not
/// supported, or else a damaged file.
fn unsupported_or_damaged(path: &Path) -> impl Fn(ParquetError) -> Error {
    move |error| {
        let error = match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(source) if source.raw_os_error().is_some() => {
                    return Error::Unreadable { path: path.into(), source: *source };
                }
                Ok(error) => ParquetError::External(error),
                Err(error) => ParquetError::External(error),
            },
            error => error,
        };
        let reason = match error {
            _ if encryption::is_encrypted(path) => {
                "is an encrypted parquet file, which is not read; write it without encryption"
                    .into()
            }
            ParquetError::NYI(what) => {
                format!("is a parquet file of a kind that is not yet supported ({what})")
            }
            error => format!("is a damaged parquet file ({error}); copy or write it again"),
        };
        malformed(path, reason)
    }
}

impl Dataset for Parquet {
    fn len(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.end)
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let (number, place) = self.find(index);
        let held =
            self.loaded.with(number, || self.load_block(number), |images| images.get(place))?;
        match held {
            Held::Bytes(bytes) if bytes.is_empty() => Err(SampleError::Empty),
            Held::Bytes(bytes) => Ok(Sample::Encoded(bytes.into())),
            Held::Path(path) => {
                let table = &self.files[self.blocks[number].file].0.path;
                // `datasets` keeps the name of the file that an image came from
                if self.has_bytes && paths::is_lost_name(table, &path) {
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
