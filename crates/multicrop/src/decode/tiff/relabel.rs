//! A TIFF whose samples are called gray, so that the decoder returns them as they are: it reads no
//! palettes, and of more than three samples with a color only the first.

/// The tag that says what samples mean, and its value for gray.
const PHOTOMETRIC: u64 = 262;
const BLACK_IS_ZERO: u16 = 1;
/// Type of a 16-bit number in a directory.
const SHORT: u64 = 3;

/// A copy of the file whose first directory calls the samples gray; `None` if the directory does not
/// say what they are.
pub(super) fn as_gray(bytes: &[u8]) -> Option<Vec<u8>> {
    let file = File { bytes, little_endian: bytes.starts_with(b"II") };
    let classic = file.number(2, 2)? == 42;
    // offset of the directory, bytes of its count, of an entry, and where in it the value stands
    let (directory, count_len, entry_len, value_at) =
        if classic { (file.number(4, 4)?, 2, 12, 8) } else { (file.number(8, 8)?, 8, 20, 12) };
    let directory = usize::try_from(directory).ok()?;
    let first = directory.checked_add(count_len)?;
    let count = usize::try_from(file.number(directory, count_len)?).ok()?;
    let mut entries = (first..bytes.len()).step_by(entry_len).take(count);
    let entry = entries.find(|&at| file.number(at, 2) == Some(PHOTOMETRIC))?;
    let value = entry + value_at;
    if file.number(entry + 2, 2)? != SHORT || value + 2 > bytes.len() {
        return None;
    }
    let mut copy = bytes.to_vec();
    let gray =
        if file.little_endian { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    copy[value..value + 2].copy_from_slice(&gray);
    Some(copy)
}

struct File<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

impl File<'_> {
    /// The number of `len` bytes at offset `at`.
    fn number(&self, at: usize, len: usize) -> Option<u64> {
        let field = self.bytes.get(at..at.checked_add(len)?)?;
        let join = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(if self.little_endian {
            field.iter().rev().fold(0, join)
        } else {
            field.iter().fold(0, join)
        })
    }
}
