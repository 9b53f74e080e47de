//! Splits row groups into blocks, and reads the images of a block.

use std::sync::{Condvar, Mutex, PoisonError};

use ::parquet::data_type::ByteArray;
use ::parquet::errors::ParquetError;

use super::error::unsupported_or_damaged;
use super::rows::Table;
use super::schema::ImageColumn;
use crate::dataset::bytes::{Bytes, Spool};
use crate::error::{Error, SampleError};

/// Approximate bytes of a block: a row group, or some pages of a large one.
pub(super) const BLOCK: u64 = 48 << 20;
/// Limit on the bytes of the images of a block: a dictionary can repeat one image any number of
/// times.
pub(super) const MAX_IMAGES: u64 = 1 << 30;
/// Limit on the bytes of the paths of a block.
const MAX_PATHS: u64 = 256 << 20;
/// Rows that are read before they are copied.
const ROWS: usize = 16;
/// Limit on the rows that are allocated before they are read.
const MAX_EXPECTED: usize = 1 << 20;

/// Consecutive rows of a row group that are read together.
pub(super) struct Block {
    pub(super) file: usize,
    group: usize,
    /// Index of its first row in the group.
    first: usize,
    /// Number of rows.
    pub(super) rows: usize,
    /// Index of the first image after it.
    pub(super) end: usize,
    /// Approximate unpacked bytes of its images.
    pub(super) bytes: u64,
}

/// Splits a file into blocks: its row groups, large ones in pieces that end at page boundaries, so
/// that each page is unpacked once. `file` and `end` are set as if there were only this file.
pub(super) fn split_file(table: &Table, image: &ImageColumn) -> Result<Vec<Block>, Error> {
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

/// Numbers of rows of the pieces of a row group with `bytes` bytes; no piece is empty.
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
    // the last pages, and rows that no page header covers
    pieces.extend([piece + left].into_iter().filter(|&rows| rows > 0));
    pieces
}

/// Unpacked bytes of the image column in a row group. Counts only the larger of its two leaves,
/// because few columns have both long bytes and long paths.
fn group_size(table: &Table, group: usize, image: &ImageColumn) -> Result<u64, Error> {
    let columns = table.metadata.row_group(group).columns();
    let size = |leaf: usize| u64::try_from(columns.get(leaf)?.uncompressed_size()).ok();
    let sizes = [image.bytes, image.path].into_iter().flatten().map(size);
    sizes.collect::<Option<Vec<_>>>().and_then(|sizes| sizes.into_iter().max()).ok_or_else(|| {
        let reason = "a row group without images".into();
        unsupported_or_damaged(&table.path)(ParquetError::General(reason))
    })
}

/// The images of a block: in memory, or in a temporary file if a page is larger than a block.
pub(super) struct Images {
    pub(super) bytes: Bytes,
    ends: Vec<u64>,
    /// Paths of the images without bytes, with their positions in the block, ascending.
    paths: Vec<(usize, String)>,
}

/// An image as a block stores it.
pub(super) enum StoredImage {
    Bytes(Vec<u8>),
    Path(String),
}

impl Images {
    /// Reads a block of at most `limit` bytes. An image that is null and has no path is empty.
    pub(super) fn read(
        table: &Table,
        image: &ImageColumn,
        block: &Block,
        limit: u64,
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
                check_size(table, block, end, limit)?;
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

    /// The image at a position in the block.
    pub(super) fn get(&self, position: usize) -> Result<StoredImage, SampleError> {
        if let Ok(found) = self.paths.binary_search_by_key(&position, |&(position, _)| position) {
            return Ok(StoredImage::Path(self.paths[found].1.clone()));
        }
        let start = if position == 0 { 0 } else { self.ends[position - 1] };
        self.bytes.sample(start, self.ends[position] - start).map(StoredImage::Bytes)
    }
}

/// Reads the paths at these ascending positions in a block, without nulls and empty ones.
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

/// A callback for the position of a row in its block, and its value.
type EachValue<'a> = dyn FnMut(usize, Option<&ByteArray>) -> Result<(), Error> + 'a;

/// Calls `each` with the position and value of every row of a block.
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
        // few at a time, because each value keeps its whole page in memory until it is copied
        for value in values.next((block.rows - place).min(ROWS)).map_err(&failed)? {
            each(place, value.as_ref())?;
            place += 1;
        }
    }
    Ok(())
}

/// Fails if the values of a block have more than `limit` bytes.
fn check_size(table: &Table, block: &Block, size: u64, limit: u64) -> Result<(), Error> {
    if size <= limit {
        return Ok(());
    }
    let reason = format!("{} images of more than {limit} bytes", block.rows);
    Err(unsupported_or_damaged(&table.path)(ParquetError::General(reason)))
}

/// A semaphore that limits the bytes of blocks being read at the same time, because the pages of
/// such a block are in memory both packed and unpacked.
#[derive(Default)]
pub(super) struct ReadLimit {
    /// Bytes of the blocks that are being read.
    used: Mutex<u64>,
    freed: Condvar,
}

/// The permission to read a block, until it is dropped.
pub(super) struct ReadPermit<'a> {
    limit: &'a ReadLimit,
    bytes: u64,
}

impl ReadLimit {
    /// Waits until this block can be read without exceeding [`BLOCK`] bytes in all. A block that is
    /// larger is read alone.
    pub(super) fn acquire(&self, bytes: u64) -> ReadPermit<'_> {
        let bytes = bytes.min(BLOCK);
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |used: &mut u64| *used + bytes > BLOCK;
        let mut used = self.freed.wait_while(used, full).unwrap_or_else(PoisonError::into_inner);
        *used += bytes;
        ReadPermit { limit: self, bytes }
    }
}

impl Drop for ReadPermit<'_> {
    fn drop(&mut self) {
        *self.limit.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.limit.freed.notify_all();
    }
}
