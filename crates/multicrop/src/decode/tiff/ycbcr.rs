//! Decodes YCbCr TIFFs that are not compressed with JPEG, in which several pixels may share their
//! chroma.

use super::directory::Directory;
use super::page::{Color, Page};
use super::{chunk, compression, damaged, unsupported};
use crate::error::SampleError;

/// Tags.
const COEFFICIENTS: u16 = 529;
const REFERENCE_LEVELS: u16 = 532;

/// Refuses variants whose colors would be wrong.
pub(super) fn check(page: &Page, directory: &Directory<'_>) -> Result<(), SampleError> {
    if page.color != Color::YCbCr || page.compression == compression::JPEG {
        return Ok(());
    }
    let is = |tag, expected: &[f64]| {
        directory.fractions(tag).is_none_or(|found| {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3)
        })
    };
    if !is(COEFFICIENTS, &[0.299, 0.587, 0.114])
        || !is(REFERENCE_LEVELS, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0])
    {
        return Err(unsupported("TIFF with YCbCr of other coefficients or reference levels"));
    }
    let (across, down) = page.subsampling;
    if !matches!(across, 1 | 2 | 4) || !matches!(down, 1 | 2 | 4) {
        return Err(damaged(format!("{across} x {down} pixels for a chroma sample")));
    }
    if is_subsampled(page) && (page.planes || page.samples != 3 || page.predictor != 1) {
        return Err(unsupported("TIFF with subsampled YCbCr in planes or with a predictor"));
    }
    Ok(())
}

pub(super) fn is_subsampled(page: &Page) -> bool {
    page.color == Color::YCbCr
        && page.compression != compression::JPEG
        && page.subsampling != (1, 1)
}

/// Decompresses a chunk to pixels, `[rows, chunk_width, 3]`. A chunk consists of blocks: the luma
/// of their pixels row by row, then one Cb and one Cr.
pub(super) fn decompress(page: &Page, raw: &[u8], rows: usize) -> Result<Vec<u8>, SampleError> {
    let (across, down) = page.subsampling;
    let block_len = across * down + 2;
    let (blocks, block_rows) = (page.chunk_width.div_ceil(across), rows.div_ceil(down));
    let packed = chunk::decompress_bytes(page, raw, blocks * block_rows * block_len)?;
    let mut pixels = vec![0; rows * page.chunk_width * 3];
    for (index, block) in packed.chunks_exact(block_len).enumerate() {
        let (top, left) = (index / blocks * down, index % blocks * across);
        let (luma, chroma) = block.split_at(across * down);
        for y in top..rows.min(top + down) {
            for x in left..page.chunk_width.min(left + across) {
                let pixel = (y * page.chunk_width + x) * 3;
                pixels[pixel] = luma[(y - top) * across + x - left];
                pixels[pixel + 1..pixel + 3].copy_from_slice(chroma);
            }
        }
    }
    Ok(pixels)
}
