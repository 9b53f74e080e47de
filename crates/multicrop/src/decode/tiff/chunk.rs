//! One strip or tile of a TIFF: decompressed, and differences added up.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Decoder as Lzw};

use super::page::Page;
use super::{damaged, fax, unsupported};
use crate::error::SampleError;

/// Values of the tag on compression.
pub(super) const NONE: u64 = 1;
pub(super) const FAX_RLE: u64 = 2;
pub(super) const FAX_3: u64 = 3;
pub(super) const FAX_4: u64 = 4;
pub(super) const LZW: u64 = 5;
pub(super) const JPEG: u64 = 7;
pub(super) const DEFLATE: u64 = 8;
pub(super) const DEFLATE_OLD: u64 = 32946;
pub(super) const PACK_BITS: u64 = 32773;
pub(super) const ZSTD: u64 = 50000;
pub(super) const WEBP: u64 = 50001;

/// Refuses a compression that is not read, by its name.
pub(super) fn check_compression(compression: u64) -> Result<(), SampleError> {
    let name = match compression {
        NONE | FAX_RLE | FAX_3 | FAX_4 | LZW | JPEG | DEFLATE | DEFLATE_OLD | PACK_BITS | ZSTD
        | WEBP => return Ok(()),
        6 => "JPEG compression of the old style",
        32766 => "NeXT compression",
        32771 => "CCITT RLE compression by words",
        32809 => "ThunderScan compression",
        33003 | 33005 => "JPEG 2000 compression",
        34676 | 34677 => "LogLuv compression",
        34887 => "LERC compression",
        34892 => "lossy JPEG compression of DNG",
        34925 => "LZMA compression",
        50002 | 52546 => "JPEG XL compression",
        other => return Err(unsupported(format!("TIFF with compression {other}"))),
    };
    Err(unsupported(format!("TIFF with {name}")))
}

/// The samples of a chunk as rows of `page.row_len()` bytes, `rows` of them.
pub(super) fn decompress(page: &Page, raw: &[u8], rows: usize) -> Result<Vec<u8>, SampleError> {
    let mut out = decompress_bytes(page, raw, rows * page.row_len())?;
    if page.predictor == 2 {
        add_up(&mut out, page);
    }
    Ok(out)
}

/// The first `len` bytes of a chunk.
pub(super) fn decompress_bytes(
    page: &Page,
    raw: &[u8],
    len: usize,
) -> Result<Vec<u8>, SampleError> {
    let raw = in_bit_order(raw, page.reversed_bits);
    let mut out = vec![0; len];
    match page.compression {
        FAX_RLE | FAX_3 | FAX_4 => {
            let width = page.chunk_width;
            if page.bits != 1 || page.samples_in_chunk() != 1 {
                return Err(damaged("fax codes for other than one bit a pixel"));
            }
            fax::decode(&raw, width, page.fax_coding(), &mut out)?;
        }
        LZW => unpack_lzw(&raw, &mut out)?,
        DEFLATE | DEFLATE_OLD => {
            ZlibDecoder::new(&raw[..]).read_exact(&mut out).map_err(damaged)?;
        }
        ZSTD => {
            let mut decoder = zstd::stream::read::Decoder::new(&raw[..]).map_err(damaged)?;
            decoder.read_exact(&mut out).map_err(damaged)?;
        }
        PACK_BITS => unpack_bits(&raw, &mut out)?,
        _ => out.copy_from_slice(raw.get(..len).ok_or_else(cut)?),
    }
    Ok(out)
}

/// True for compressions whose samples may be stored as differences; others ignore the tag.
pub(super) fn has_predictor(compression: u64) -> bool {
    matches!(compression, LZW | DEFLATE | DEFLATE_OLD | ZSTD)
}

fn cut() -> SampleError {
    damaged("a strip or tile is cut off")
}

fn in_bit_order(raw: &[u8], reversed: bool) -> Cow<'_, [u8]> {
    if !reversed {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(raw.iter().map(|byte| byte.reverse_bits()).collect())
}

/// LZW as TIFF 6.0 has it, or as its first writers had it: other order of bits, later switch of width.
fn unpack_lzw(mut raw: &[u8], mut out: &mut [u8]) -> Result<(), SampleError> {
    let old = matches!(raw, [0, second, ..] if second & 1 == 1);
    let mut decoder =
        if old { Lzw::new(BitOrder::Lsb, 8) } else { Lzw::with_tiff_size_switch(BitOrder::Msb, 8) };
    while !out.is_empty() {
        let result = decoder.decode_bytes(raw, out);
        raw = &raw[result.consumed_in..];
        out = &mut out[result.consumed_out..];
        match result.status.map_err(damaged)? {
            LzwStatus::Ok if result.consumed_in + result.consumed_out > 0 => {}
            _ if out.is_empty() => {}
            _ => return Err(cut()),
        }
    }
    Ok(())
}

/// PackBits: a count of literal bytes, or a count of repetitions of one byte.
fn unpack_bits(mut raw: &[u8], out: &mut [u8]) -> Result<(), SampleError> {
    let mut at = 0;
    while at < out.len() {
        let (&head, rest) = raw.split_first().ok_or_else(cut)?;
        raw = rest;
        let room = out.len() - at;
        match head {
            128 => {}
            0..128 => {
                let len = usize::from(head) + 1;
                let (literal, rest) = raw.split_at_checked(len).ok_or_else(cut)?;
                let kept = len.min(room);
                out[at..at + kept].copy_from_slice(&literal[..kept]);
                (at, raw) = (at + kept, rest);
            }
            129.. => {
                let (&byte, rest) = raw.split_first().ok_or_else(cut)?;
                let len = (257 - usize::from(head)).min(room);
                out[at..at + len].fill(byte);
                (at, raw) = (at + len, rest);
            }
        }
    }
    Ok(())
}

/// Adds to each sample the same sample of the pixel to the left.
fn add_up(rows: &mut [u8], page: &Page) {
    let samples = page.samples_in_chunk();
    for row in rows.chunks_exact_mut(page.row_len().max(1)) {
        if page.bits == 8 {
            for i in samples..row.len() {
                row[i] = row[i].wrapping_add(row[i - samples]);
            }
            continue;
        }
        let row = row.as_chunks_mut::<2>().0;
        let (read, write) = if page.big_endian {
            (u16::from_be_bytes as fn([u8; 2]) -> u16, u16::to_be_bytes as fn(u16) -> [u8; 2])
        } else {
            (u16::from_le_bytes as fn([u8; 2]) -> u16, u16::to_le_bytes as fn(u16) -> [u8; 2])
        };
        for i in samples..row.len() {
            row[i] = write(read(row[i]).wrapping_add(read(row[i - samples])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_bits_repeat_and_copy() {
        let mut out = [0; 6];
        unpack_bits(&[254, 7, 128, 2, 1, 2, 3], &mut out).unwrap();
        assert_eq!(out, [7, 7, 7, 1, 2, 3]);
        assert!(unpack_bits(&[254, 7], &mut out).is_err());
        assert!(unpack_bits(&[5, 1, 2], &mut out).is_err());
    }

    #[test]
    fn compressions_that_are_not_read_are_named() {
        let error = check_compression(34925).unwrap_err().to_string();
        assert_eq!(error, "not yet supported: TIFF with LZMA compression");
        assert!(check_compression(4).is_ok());
    }
}
