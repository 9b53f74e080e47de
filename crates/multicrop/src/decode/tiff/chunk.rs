//! Decompresses one strip or tile of a TIFF, and undoes its predictor.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Decoder as Lzw};

use super::compression::{DEFLATE, DEFLATE_OLD, FAX_3, FAX_4, FAX_RLE, LZW, PACK_BITS, ZSTD};
use super::page::Page;
use super::{damaged, fax};
use crate::error::SampleError;

/// Decompresses the samples of a chunk, as `rows` rows of `page.row_len()` bytes.
pub(super) fn decompress(page: &Page, raw: &[u8], rows: usize) -> Result<Vec<u8>, SampleError> {
    let mut out = decompress_bytes(page, raw, rows * page.row_len())?;
    match page.predictor {
        2 => add_left(&mut out, page),
        3 => join_bytes(&mut out, page),
        _ => {}
    }
    Ok(out)
}

/// Decompresses the first `len` bytes of a chunk.
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
                return Err(damaged("fax codes, but not one bit per pixel"));
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

fn cut() -> SampleError {
    damaged("a strip or tile is cut off")
}

fn in_bit_order(raw: &[u8], reversed: bool) -> Cow<'_, [u8]> {
    if !reversed {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(raw.iter().map(|byte| byte.reverse_bits()).collect())
}

/// Unpacks LZW as defined in TIFF 6.0, or as in early files: with reversed bit order and a later
/// switch of the code width.
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

/// Unpacks PackBits: a count of literal bytes, or a count of repetitions of one byte.
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

/// Undoes the horizontal predictor: adds to each sample the same sample of the pixel to the left, as
/// whole numbers.
fn add_left(rows: &mut [u8], page: &Page) {
    let samples = page.samples_in_chunk();
    for row in rows.chunks_exact_mut(page.row_len().max(1)) {
        match page.bits {
            8 => add_words::<1>(row, samples, page.big_endian),
            16 => add_words::<2>(row, samples, page.big_endian),
            32 => add_words::<4>(row, samples, page.big_endian),
            _ => add_words::<8>(row, samples, page.big_endian),
        }
    }
}

/// Adds to each word of `N` bytes the word `samples` places before it.
fn add_words<const N: usize>(row: &mut [u8], samples: usize, big_endian: bool) {
    let words = row.as_chunks_mut::<N>().0;
    for i in samples..words.len() {
        let (left, mut carry) = (words[i - samples], 0);
        for byte in 0..N {
            let byte = if big_endian { N - 1 - byte } else { byte };
            let sum = u16::from(words[i][byte]) + u16::from(left[byte]) + carry;
            (words[i][byte], carry) = (sum as u8, sum >> 8);
        }
    }
}

/// Undoes the predictor of floats: adds to each byte the one `samples` before it, then joins the bytes
/// of each float. A row has all first bytes, then all second ones, the most significant first.
fn join_bytes(rows: &mut [u8], page: &Page) {
    let (samples, bytes) = (page.samples_in_chunk(), page.bits / 8);
    let mut apart = vec![0; page.row_len()];
    for row in rows.chunks_exact_mut(page.row_len().max(1)) {
        for i in samples..row.len() {
            row[i] = row[i].wrapping_add(row[i - samples]);
        }
        apart.copy_from_slice(row);
        let count = row.len() / bytes;
        for (i, value) in row.chunks_exact_mut(bytes).enumerate() {
            for (k, byte) in value.iter_mut().enumerate() {
                let place = if page.big_endian { k } else { bytes - 1 - k };
                *byte = apart[place * count + i];
            }
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
}
