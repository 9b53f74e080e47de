//! Detects encrypted files, because `parquet` reports a file with encrypted columns as damaged.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Limit on the bytes of metadata that are searched.
const MAX_FOOTER: u64 = 64 << 20;
/// Limit on the depth of nested structures.
const MAX_DEPTH: u32 = 16;
/// The metadata field with the encryption algorithm of columns.
const ALGORITHM: i16 = 8;

/// True if the metadata or some columns of the file are encrypted.
///
/// ```text
/// … | metadata | length of the metadata (4 bytes, little endian) | PAR1, or PARE if it is encrypted
/// ```
pub(super) fn is_encrypted(path: &Path) -> bool {
    footer(path).is_some_and(|footer| match footer {
        Footer::Encrypted => true,
        Footer::Plain(bytes) => has_field(&bytes, ALGORITHM),
    })
}

enum Footer {
    Encrypted,
    Plain(Vec<u8>),
}

fn footer(path: &Path) -> Option<Footer> {
    let mut file = File::open(path).ok()?;
    let mut tail = [0; 8];
    let end = file.seek(SeekFrom::End(-8)).ok()?;
    file.read_exact(&mut tail).ok()?;
    if tail.ends_with(b"PARE") {
        return Some(Footer::Encrypted);
    }
    let len = u64::from(u32::from_le_bytes(*tail.first_chunk()?));
    file.seek(SeekFrom::Start(end.checked_sub(len.min(MAX_FOOTER))?)).ok()?;
    let mut bytes = Vec::new();
    file.take(len.min(MAX_FOOTER)).read_to_end(&mut bytes).ok()?;
    tail.ends_with(b"PAR1").then_some(Footer::Plain(bytes))
}

/// True if a structure in Thrift's compact form has this field.
fn has_field(mut bytes: &[u8], wanted: i16) -> bool {
    let mut id = 0;
    while let Some((field, kind)) = next_field(&mut bytes, &mut id) {
        if field == wanted {
            return true;
        }
        if skip(&mut bytes, kind, MAX_DEPTH).is_none() {
            return false;
        }
    }
    false
}

/// The id and type of the next field; `None` at the end of the structure.
fn next_field(bytes: &mut &[u8], id: &mut i16) -> Option<(i16, u8)> {
    let head = take(bytes, 1)?[0];
    let (step, kind) = (head >> 4, head & 15);
    if head == 0 {
        return None;
    }
    *id = match step {
        0 => {
            let zigzag = varint(bytes)? as u16;
            (zigzag >> 1) as i16 ^ -((zigzag & 1) as i16)
        }
        step => id.checked_add(step.into())?,
    };
    Some((*id, kind))
}

/// Moves past a value of this type.
fn skip(bytes: &mut &[u8], kind: u8, depth: u32) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match kind {
        // true and false, which have no bytes
        1 | 2 => {}
        3 => _ = take(bytes, 1)?,
        4..=6 => _ = varint(bytes)?,
        7 => _ = take(bytes, 8)?,
        8 => {
            let len = varint(bytes)?;
            take(bytes, usize::try_from(len).ok()?)?;
        }
        // list and set
        9 | 10 => {
            let head = take(bytes, 1)?[0];
            let len = if head >> 4 == 15 { varint(bytes)? } else { u64::from(head >> 4) };
            for _ in 0..len {
                match head & 15 {
                    // true and false, which have a byte in a list
                    1 | 2 => _ = take(bytes, 1)?,
                    element => skip(bytes, element, depth)?,
                }
            }
        }
        12 => {
            let mut id = 0;
            while let Some((_, kind)) = next_field(bytes, &mut id) {
                skip(bytes, kind, depth)?;
            }
        }
        _ => return None,
    }
    Some(())
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (value, rest) = super::pages::varint(bytes)?;
    *bytes = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_after_any_others_are_found() {
        // 1: i32 3, 2: list of 2 structures of 1: binary "ab" and 3: true, 8: structure
        let structure = [0x18, 2, b'a', b'b', 0x21, 0];
        let before = [&[0x15, 6, 0x19, 0x2C][..], &structure, &structure].concat();
        let with = [&before[..], &[0x6C, 0, 0]].concat();
        assert!(has_field(&with, 8) && !has_field(&with, 9));
        for len in 0..=before.len() {
            assert!(!has_field(&with[..len], 8));
        }
        // endlessly nested structures
        assert!(!has_field(&[0x1C; 1000], 8));
    }
}
