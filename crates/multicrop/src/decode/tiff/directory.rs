//! [`Directory`] is a directory of a TIFF file, which describes a page, or that of an EXIF block, which
//! has the same format.

use std::collections::HashSet;

use super::damaged;
use crate::error::SampleError;

/// Tags and their values. Entries that point outside the file are ignored, as in Pillow.
pub(in crate::decode) struct Directory<'a> {
    bytes: &'a [u8],
    /// Byte order of the file.
    pub(in crate::decode) big_endian: bool,
    entries: Vec<Entry>,
}

struct Entry {
    tag: u16,
    kind: u16,
    count: usize,
    /// Offset of the values in the file.
    at: usize,
}

/// Field lengths of a directory, in bytes.
struct FieldLengths {
    /// Length of the number of entries.
    count: usize,
    entry: usize,
    offset: usize,
}

const CLASSIC: FieldLengths = FieldLengths { count: 2, entry: 12, offset: 4 };
const BIG: FieldLengths = FieldLengths { count: 8, entry: 20, offset: 8 };

/// Tag of what a page is, and the bits for a reduced copy and a mask of another page.
const PAGE_KIND: u16 = 254;
const REDUCED_OR_MASK: u64 = 0b101;
/// Limit on the directories of a file, so that a damaged one cannot take long.
const MAX_PAGES: usize = 1 << 16;

impl<'a> Directory<'a> {
    /// Reads the header and the directory that it points to.
    pub(in crate::decode) fn read(bytes: &'a [u8]) -> Result<Self, SampleError> {
        let mut first = Self::all(bytes)?;
        first.next().ok_or_else(|| damaged("its directory is outside the file"))
    }

    /// The directories of the pages, in order. The first page always counts, others unless they are
    /// reduced copies or masks.
    pub(super) fn pages(bytes: &'a [u8]) -> Result<impl Iterator<Item = Self>, SampleError> {
        let is_page = |(index, directory): &(usize, Self)| {
            *index == 0 || directory.number(PAGE_KIND).unwrap_or(0) & REDUCED_OR_MASK == 0
        };
        Ok(Self::all(bytes)?.enumerate().filter(is_page).map(|(_, directory)| directory))
    }

    /// All directories. The chain ends where it leaves the file or would go back.
    fn all(bytes: &'a [u8]) -> Result<impl Iterator<Item = Self>, SampleError> {
        let (big_endian, version) = match *bytes {
            [b'I', b'I', low, high, ..] => (false, low.max(high)),
            [b'M', b'M', high, low, ..] => (true, low.max(high)),
            _ => return Err(damaged("it has no TIFF header")),
        };
        let (lengths, at) = match version {
            42 => (CLASSIC, 4),
            43 => (BIG, 8),
            _ => return Err(damaged("its version is neither 42 nor 43")),
        };
        let (mut link, mut seen) = (at, HashSet::new());
        let pages = std::iter::from_fn(move || {
            let mut directory = Self { bytes, big_endian, entries: Vec::new() };
            let start = usize::try_from(directory.unsigned(link, lengths.offset)?).ok()?;
            if start == 0 || !seen.insert(start) {
                return None;
            }
            let count = directory.unsigned(start, lengths.count)?;
            let first = start + lengths.count;
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let starts = (first..bytes.len()).step_by(lengths.entry).take(count);
            let entries = starts.filter_map(|at| directory.entry(at, &lengths)).collect();
            directory.entries = entries;
            link = count.saturating_mul(lengths.entry).saturating_add(first);
            Some(directory)
        });
        Ok(pages.take(MAX_PAGES))
    }

    fn entry(&self, at: usize, lengths: &FieldLengths) -> Option<Entry> {
        let number = |at, len| self.unsigned(at, len);
        self.bytes.get(at..at + lengths.entry)?;
        let tag = number(at, 2)? as u16;
        let kind = number(at + 2, 2)? as u16;
        let count = usize::try_from(number(at + 4, lengths.offset)?).ok()?;
        let field = at + 4 + lengths.offset;
        let len = count.checked_mul(value_len(kind)?)?;
        let at = if len <= lengths.offset {
            field
        } else {
            usize::try_from(number(field, lengths.offset)?).ok()?
        };
        let inside = len > 0 && at.checked_add(len)? <= self.bytes.len();
        inside.then_some(Entry { tag, kind, count, at })
    }

    /// The values of a tag with whole numbers. The last entry of a tag counts.
    pub(in crate::decode) fn numbers(&self, tag: u16) -> Option<Vec<u64>> {
        let entry = self.find(tag)?;
        if !matches!(entry.kind, 1 | 3 | 4 | 6 | 8 | 9 | 13 | 16 | 17 | 18) {
            return None;
        }
        let len = value_len(entry.kind)?;
        (0..entry.count).map(|i| self.unsigned(entry.at + i * len, len)).collect()
    }

    /// The first value of a tag with whole numbers.
    pub(in crate::decode) fn number(&self, tag: u16) -> Option<u64> {
        let entry = self.find(tag)?;
        let whole = matches!(entry.kind, 1 | 3 | 4 | 6 | 8 | 9 | 13 | 16 | 17 | 18);
        self.unsigned(entry.at, value_len(entry.kind)?).filter(|_| whole)
    }

    /// The values of a tag with fractions or whole numbers.
    pub(super) fn fractions(&self, tag: u16) -> Option<Vec<f64>> {
        let entry = self.find(tag)?;
        if entry.kind != 5 {
            return self.numbers(tag).map(|all| all.into_iter().map(|n| n as f64).collect());
        }
        let at = |i: usize| entry.at + 4 * i;
        let pair = |i| Some((self.unsigned(at(2 * i), 4)?, self.unsigned(at(2 * i + 1), 4)?));
        (0..entry.count).map(|i| pair(i).map(|(a, b)| a as f64 / b as f64)).collect()
    }

    /// The bytes of a tag's values.
    pub(in crate::decode) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.find(tag)?;
        self.bytes.get(entry.at..)?.get(..entry.count * value_len(entry.kind)?)
    }

    /// The EXIF orientation. Like Pillow, treats a value of type byte as text, which has no effect.
    pub(in crate::decode) fn orientation(&self) -> Option<u64> {
        const ORIENTATION: u16 = 0x112;
        self.find(ORIENTATION)?;
        let text = self.find(ORIENTATION).is_some_and(|entry| entry.kind == 1);
        Some(self.number(ORIENTATION).filter(|_| !text).unwrap_or(0))
    }

    fn find(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.tag == tag)
    }

    /// The unsigned number in `len` bytes at offset `at`.
    fn unsigned(&self, at: usize, len: usize) -> Option<u64> {
        let field = self.bytes.get(at..at.checked_add(len)?)?;
        let join = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(if self.big_endian {
            field.iter().fold(0, join)
        } else {
            field.iter().rev().fold(0, join)
        })
    }
}

/// Length of a value of this type, in bytes.
fn value_len(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}
