//! Parts of row groups that are read at once, and the images in them.

use std::sync::{Condvar, Mutex, PoisonError};

use ::parquet::data_type::ByteArray;
use ::parquet::errors::ParquetError;

use super::damaged;
use super::rows::Table;
use crate::dataset::bytes::{Bytes, Spool};
use crate::error::{Error, SampleError};

/// Bytes that are read at once, about: a row group, or pages of a large one.
pub(super) const BLOCK: u64 = 48 << 20;
/// Most bytes that the images of a block may take: a dictionary can repeat one without end.
pub(super) const MAX_IMAGES: u64 = 1 << 30;
/// Rows that are read before they are copied.
const ROWS: usize = 16;

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
pub(super) fn of_file(table: &Table, image: usize) -> Result<Vec<Block>, Error> {
    let (mut blocks, mut end) = (Vec::new(), 0);
    for group in 0..table.metadata.num_row_groups() {
        let (rows, bytes) = (table.rows(group), group_size(table, group, image)?);
        let mut first = 0;
        for len in pieces(table, group, image, bytes) {
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

/// Unpacked bytes of the image column in a row group.
fn group_size(table: &Table, group: usize, image: usize) -> Result<u64, Error> {
    let column = table.metadata.row_group(group).columns().get(image);
    let size = column.and_then(|column| u64::try_from(column.uncompressed_size()).ok());
    size.ok_or_else(|| {
        damaged(&table.path)(ParquetError::General("a row group without images".into()))
    })
}

/// The images of a block: in memory, or else, where a page is larger than a block, in a temporary file.
pub(super) struct Images {
    pub(super) bytes: Bytes,
    ends: Vec<u64>,
}

impl Images {
    /// Reads a block of at most `most` bytes; an image that is null is empty.
    pub(super) fn read(
        table: &Table,
        image: usize,
        block: &Block,
        most: u64,
    ) -> Result<Self, Error> {
        let damaged = damaged(&table.path);
        let (mut spool, mut ends) = (Spool::new(&table.path), Vec::with_capacity(block.rows));
        let mut values = table.binary(block.group, image, block.first).map_err(&damaged)?;
        let (mut end, mut left) = (0, block.rows);
        while left > 0 {
            let rows = left.min(ROWS);
            // copied: each value would keep its page
            for value in values.next(rows).map_err(&damaged)? {
                let bytes = value.as_ref().map_or(&[][..], ByteArray::data);
                end += bytes.len() as u64;
                if end > most {
                    let reason = format!("{} images of more than {most} bytes", block.rows);
                    return Err(damaged(ParquetError::General(reason)));
                }
                spool.push(bytes)?;
                ends.push(end);
            }
            left -= rows;
        }
        Ok(Self { bytes: spool.finish()?, ends })
    }

    /// The bytes of one image.
    pub(super) fn get(&self, place: usize) -> Result<Vec<u8>, SampleError> {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.bytes.sample(start, self.ends[place] - start)
    }
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
