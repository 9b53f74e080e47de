//! Parts of row groups that are read at once, and the images in them.

use std::sync::{Condvar, Mutex, PoisonError};

use ::parquet::data_type::ByteArray;
use ::parquet::errors::ParquetError;

use super::rows::Table;
use super::schema::ImageColumn;
use super::unsupported_or_damaged;
use crate::dataset::bytes::{Bytes, Spool};
use crate::error::{Error, SampleError};

/// Bytes that are read at once, about: a row group, or pages of a large one.
pub(super) const BLOCK: u64 = 48 << 20;
/// Most bytes that the images of a block may take: a dictionary can repeat one without end.
pub(super) const MAX_IMAGES: u64 = 1 << 30;
/// Most bytes that the paths of a block may take.
const MAX_PATHS: u64 = 256 << 20;
/// Rows that are read before they are copied.
const ROWS: usize = 16;
/// Rows for which memory is taken before they are read.
const MAX_EXPECTED: usize = 1 << 20;

/// Some rows of a row group.
pub(super) struct Block {
    pub(super) file: usize,
    group: usize,
    /// The first row in its group, and the number of rows.
    first: usize,
    pub(super) rows: usize,
    /// Index of the first image behind it.
    pub(super) end: usize,
    /// Unpacked bytes of its images, about.
    pub(super) bytes: u64,
}

/// The row groups of a file; large ones in pieces that end where a page ends, so that each page is
/// unpacked once. Numbers of files and ends are those of a single file.
pub(super) fn of_file(table: &Table, image: &ImageColumn) -> Result<Vec<Block>, Error> {
    let (mut blocks, mut end) = (Vec::new(), 0);
    for group in 0..table.metadata.num_row_groups() {
        let (rows, bytes) = (table.rows(group), group_size(table, group, image)?);
        let mut first = 0;
        for len in pieces(table, group, image.main_leaf(), bytes) {
            end += len;
            // at most `bytes`, since `len` is at most `rows`
            let bytes = (u128::from(bytes) * len as u128 / rows as u128) as u64;
            blocks.push(Block { file: 0, group, first, rows: len, end, bytes });
            first += len;
        }
    }
    Ok(blocks)
}

/// Rows of each piece of a row group that has `bytes`, none of them zero.
fn pieces(table: &Table, group: usize, image: usize, bytes: u64) -> Vec<usize> {
    let mut left = table.rows(group);
    if left == 0 {
        return Vec::new();
    }
    let most = (u128::from(BLOCK) * left as u128 / u128::from(bytes.max(1))) as usize;
    let (mut pieces, mut piece) = (Vec::new(), 0);
    if most < left {
        for rows in table.rows_of_pages(group, image) {
            let rows = rows.min(left);
            if piece > 0 && piece + rows > most {
                pieces.push(piece);
                piece = 0;
            }
            piece += rows;
            left -= rows;
        }
    }
    // the last pages, and rows that no page has
    pieces.extend([piece + left].into_iter().filter(|&rows| rows > 0));
    pieces
}

/// Unpacked bytes of the image column in a row group: of the larger of its two leaves, since few
/// columns have both bytes and paths that are long.
fn group_size(table: &Table, group: usize, image: &ImageColumn) -> Result<u64, Error> {
    let columns = table.metadata.row_group(group).columns();
    let size = |leaf: usize| u64::try_from(columns.get(leaf)?.uncompressed_size()).ok();
    let sizes = [image.bytes, image.path].into_iter().flatten().map(size);
    sizes.collect::<Option<Vec<_>>>().and_then(|sizes| sizes.into_iter().max()).ok_or_else(|| {
        let reason = "a row group without images".into();
        unsupported_or_damaged(&table.path)(ParquetError::General(reason))
    })
}

/// The images of a block: in memory, or else, where a page is larger than a block, in a temporary file.
pub(super) struct Images {
    pub(super) bytes: Bytes,
    ends: Vec<u64>,
    /// Where the images are that have no bytes: places in the block, ascending, with their paths.
    paths: Vec<(usize, String)>,
}

/// An image of a block.
pub(super) enum Held {
    Bytes(Vec<u8>),
    Path(String),
}

impl Images {
    /// Reads a block of at most `most` bytes; an image that is null and has no path is empty.
    pub(super) fn read(
        table: &Table,
        image: &ImageColumn,
        block: &Block,
        most: u64,
    ) -> Result<Self, Error> {
        let mut spool = Spool::new(&table.path);
        let (mut ends, mut nulls) = (Vec::with_capacity(block.rows.min(MAX_EXPECTED)), Vec::new());
        let mut end = 0;
        match image.bytes {
            None => {
                ends.resize(block.rows, 0);
                nulls.extend(0..block.rows);
            }
            Some(leaf) => each_value(table, leaf, block, &mut |place, value| {
                let bytes = value.map_or(&[][..], ByteArray::data);
                end += bytes.len() as u64;
                check_size(table, block, end, most)?;
                if value.is_none() {
                    nulls.push(place);
                }
                ends.push(end);
                spool.push(bytes)
            })?,
        }
        let paths = match image.path.filter(|_| !nulls.is_empty()) {
            Some(leaf) => read_paths(table, leaf, block, &nulls)?,
            None => Vec::new(),
        };
        Ok(Self { bytes: spool.finish()?, ends, paths })
    }

    /// One image.
    pub(super) fn get(&self, place: usize) -> Result<Held, SampleError> {
        if let Ok(found) = self.paths.binary_search_by_key(&place, |&(place, _)| place) {
            return Ok(Held::Path(self.paths[found].1.clone()));
        }
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.bytes.sample(start, self.ends[place] - start).map(Held::Bytes)
    }
}

/// The paths at these places of a block, ascending; nulls and empty ones are left out.
fn read_paths(
    table: &Table,
    leaf: usize,
    block: &Block,
    places: &[usize],
) -> Result<Vec<(usize, String)>, Error> {
    let (mut paths, mut size) = (Vec::new(), 0);
    each_value(table, leaf, block, &mut |place, value| {
        let text = value.map_or(&[][..], ByteArray::data);
        if !text.is_empty() && places.binary_search(&place).is_ok() {
            size += text.len() as u64;
            check_size(table, block, size, MAX_PATHS)?;
            paths.push((place, String::from_utf8_lossy(text).into_owned()));
        }
        Ok(())
    })?;
    Ok(paths)
}

/// What is called with the place of a row in its block, and its value.
type EachValue<'a> = dyn FnMut(usize, Option<&ByteArray>) -> Result<(), Error> + 'a;

/// Calls `each` with the place and value of every row of a block.
fn each_value(
    table: &Table,
    leaf: usize,
    block: &Block,
    each: &mut EachValue<'_>,
) -> Result<(), Error> {
    let failed = unsupported_or_damaged(&table.path);
    let mut values = table.binary(block.group, leaf, block.first).map_err(&failed)?;
    let mut place = 0;
    while place < block.rows {
        // few at a time, and copied: each value keeps its page
        for value in values.next((block.rows - place).min(ROWS)).map_err(&failed)? {
            each(place, value.as_ref())?;
            place += 1;
        }
    }
    Ok(())
}

/// Fails if the values of a block have more than `most` bytes.
fn check_size(table: &Table, block: &Block, size: u64, most: u64) -> Result<(), Error> {
    if size <= most {
        return Ok(());
    }
    let reason = format!("{} images of more than {most} bytes", block.rows);
    Err(unsupported_or_damaged(&table.path)(ParquetError::General(reason)))
}

/// Lets threads read blocks at the same time only if the blocks are small: while one is read, its
/// pages are in memory packed and unpacked.
#[derive(Default)]
pub(super) struct Turns {
    /// Bytes of the blocks that are being read.
    used: Mutex<u64>,
    freed: Condvar,
}

/// The right to read a block, until it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    bytes: u64,
}

impl Turns {
    /// Waits until blocks of together at most [`BLOCK`] are read, or this one alone.
    pub(super) fn take(&self, bytes: u64) -> Turn<'_> {
        let bytes = bytes.min(BLOCK);
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |used: &mut u64| *used + bytes > BLOCK;
        let mut used = self.freed.wait_while(used, full).unwrap_or_else(PoisonError::into_inner);
        *used += bytes;
        Turn { turns: self, bytes }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.turns.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.turns.freed.notify_all();
    }
}
