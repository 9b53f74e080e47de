//! Checks the pages of a column before the `parquet` crate allocates for them.

use std::fs::File;
use std::io::{BufRead, BufReader};

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::map_pages::PageMap;

/// Limit on the unpacked bytes of a page, which is in memory packed and unpacked at the same time.
/// Pages written by pyarrow hold 1024 images, or a whole row group.
pub(super) const MAX_PAGE: u64 = 384 << 20;
/// Limit on the entries of a dictionary: each takes 40 bytes, even if it is empty.
const MAX_ENTRIES: usize = 1 << 20;

/// A file that refuses to read pages that are too large.
pub(super) struct CheckedFile(pub(super) File);

impl Length for CheckedFile {
    fn len(&self) -> u64 {
        Length::len(&self.0)
    }
}

impl ChunkReader for CheckedFile {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut reader = self.0.get_read(start)?;
        match unpacked_size(reader.fill_buf()?) {
            Some(size) if size > MAX_PAGE => Err(ParquetError::General(format!(
                "a page of {size} bytes, more than the limit of {MAX_PAGE}; write row groups of 100 \
                 rows, whose pages are smaller"
            ))),
            _ => Ok(reader),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // checked before allocating
        if start.checked_add(length as u64).is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF("the file is shorter than it says".into()));
        }
        self.0.get_bytes(start, length)
    }
}

/// The unpacked size in a page header, which is its second field in Thrift's compact encoding;
/// `None` if the bytes are not a page header.
///
/// ```text
/// struct PageHeader { 1: i32 type (0 to 3), 2: i32 uncompressed_page_size, 3: i32 compressed_page_size, … }
/// field:  0x15 (next field, i32), then zigzag in groups of 7 bits, the lowest first
/// ```
fn unpacked_size(mut bytes: &[u8]) -> Option<u64> {
    let mut field = || {
        let (&head, rest) = bytes.split_first()?;
        let (zigzag, rest) = varint(rest)?;
        bytes = rest;
        (head == 0x15 && zigzag < 1 << 35).then_some(zigzag >> 1)
    };
    let (kind, unpacked, _packed) = (field()?, field()?, field()?);
    (kind <= 3).then_some(unpacked)
}

/// Parses a number in groups of 7 bits, the lowest first. Returns it and the remaining bytes.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    let groups = bytes[..len].iter().rev();
    let value = groups.fold(0, |value, byte| value << 7 | u64::from(byte & 0x7F));
    Some((value, &bytes[len..]))
}

/// Refuses pages that declare more values than they hold, because `parquet` 60 allocates for the
/// declared number.
pub(super) struct PageCheck {
    /// Rows of the row group.
    pub(super) rows: usize,
    /// Whether definition levels precede the values.
    pub(super) has_levels: bool,
}

impl PageMap for PageCheck {
    fn map_page(&self, page: Page) -> Result<Page> {
        if self.fits(&page) {
            return Ok(page);
        }
        let reason = "a page that declares more values than it holds";
        Err(ParquetError::General(reason.into()))
    }
}

impl PageCheck {
    fn fits(&self, page: &Page) -> bool {
        let count = page.num_values();
        let start = match page {
            Page::DictionaryPage { .. } => return count as usize <= MAX_ENTRIES,
            Page::DataPage { .. } if !self.has_levels => Some(0),
            Page::DataPage { buf, .. } => {
                buf.first_chunk().map(|len| u32::from_le_bytes(*len) as usize + 4)
            }
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                Some(*def_levels_byte_len as usize + *rep_levels_byte_len as usize)
            }
        };
        let values = start.and_then(|start| page.buffer().get(start..));
        count as usize <= self.rows && lengths_fit(page.encoding(), values, count)
    }
}

/// False if an encoding starts with a list of lengths that has more than `limit` entries.
fn lengths_fit(encoding: Encoding, values: Option<&[u8]>, limit: u32) -> bool {
    let lists = match encoding {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return true,
    };
    (0..lists).fold(values, |rest, _| skip_deltas(rest?, limit)).is_some()
}

/// Skips a list of at most `limit` numbers that are stored as packed differences. Returns the
/// remaining bytes.
///
/// ```text
/// list:   numbers in a block, parts of a block, numbers in the list, the first one, block …
/// block:  smallest difference, bits of a difference in each part, differences of each part …
/// ```
fn skip_deltas(bytes: &[u8], limit: u32) -> Option<&[u8]> {
    let (block, rest) = varint(bytes)?;
    let (parts, rest) = varint(rest)?;
    let (count, rest) = varint(rest)?;
    let (_first, mut rest) = varint(rest)?;
    let part = usize::try_from(block.checked_div(parts)?).ok().filter(|&part| part > 0)?;
    if count > u64::from(limit) {
        return None;
    }
    let mut left = (count as usize).saturating_sub(1);
    while left > 0 {
        let (_smallest, widths) = varint(rest)?;
        let (widths, values) = widths.split_at_checked(usize::try_from(parts).ok()?)?;
        rest = values;
        for width in widths {
            if left == 0 {
                break;
            }
            rest = rest.get(part.checked_mul(usize::from(*width))?.div_ceil(8)..)?;
            left = left.saturating_sub(part);
        }
    }
    Some(rest)
}
