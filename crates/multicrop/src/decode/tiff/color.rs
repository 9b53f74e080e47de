//! From the samples of a TIFF to colors of 8 bits.

use super::super::samples::{Layout, Samples};
use super::damaged;
use crate::error::SampleError;

/// Samples of 1, 2 or 4 bits, `per_row` in a row, which starts on a byte; spread over 0..=255 unless
/// they are `indices`.
pub(super) fn unpack(packed: &[u8], per_row: usize, bits: u8, indices: bool) -> Vec<u8> {
    let row_bytes = (per_row * usize::from(bits)).div_ceil(8);
    let largest = u8::MAX >> (8 - bits);
    let scale = if indices { 1 } else { u8::MAX / largest };
    let samples_of = |byte: u8| {
        let shifts = (0..8 / bits).rev().map(move |place| place * bits);
        shifts.map(move |shift| (byte >> shift & largest) * scale)
    };
    let rows = packed.chunks_exact(row_bytes.max(1));
    rows.flat_map(|row| row.iter().flat_map(|&byte| samples_of(byte)).take(per_row)).collect()
}

/// Planes, `[planes, pixels]`, to pixels, `[pixels, planes]`.
pub(super) fn interleave(values: &[u8], planes: usize) -> Vec<u8> {
    let pixels = values.len() / planes;
    (0..pixels).flat_map(|pixel| (0..planes).map(move |p| values[p * pixels + pixel])).collect()
}

/// The colors behind indices: `palette` has all reds, all greens, all blues, 16 bits each.
pub(super) fn look_up(indices: Samples, palette: &[u16]) -> Result<Samples, SampleError> {
    let colors = palette.len() / 3;
    let values = indices.values.iter().map(|&index| {
        let index = usize::from(index);
        (index < colors).then(|| [0, 1, 2].map(|c| (palette[c * colors + index] >> 8) as u8))
    });
    let values: Option<Vec<_>> = values.collect();
    let values = values.ok_or_else(|| damaged("an index lies beyond its palette"))?;
    Ok(Samples { layout: Layout::Rgb, values: values.into_flattened(), ..indices })
}

/// Full colors of colors that were multiplied with their alpha; clear pixels become black.
pub(super) fn divide_by_alpha(mut samples: Samples) -> Samples {
    for [color @ .., alpha] in samples.values.as_chunks_mut::<4>().0 {
        for value in color {
            let full = (u32::from(*value) * 255).checked_div(u32::from(*alpha));
            *value = full.map_or(0, |full| full.min(255) as u8);
        }
    }
    samples
}

/// Red, green and blue of luma and chroma, by ITU-R BT.601 as JPEG uses it (T.871, section 7), in
/// 16-bit fixed point.
pub(super) fn rgb_of_ycbcr(mut values: Vec<u8>) -> Vec<u8> {
    for pixel in values.as_chunks_mut::<3>().0 {
        let [y, cb, cr] = pixel.map(i32::from);
        let (cb, cr) = (cb - 128, cr - 128);
        let round = |chroma: i32| (y + ((chroma + 0x8000) >> 16)).clamp(0, 255) as u8;
        *pixel = [round(91_881 * cr), round(-22_554 * cb - 46_802 * cr), round(116_130 * cb)];
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_few_bits_start_on_a_byte() {
        assert_eq!(unpack(&[0b1010_0000, 0b0100_0000], 3, 1, false), [255, 0, 255, 0, 255, 0]);
        assert_eq!(unpack(&[0x1F, 0xA0], 3, 4, true), [1, 15, 10]);
        assert_eq!(unpack(&[0b0001_1011], 4, 2, false), [0, 85, 170, 255]);
    }

    #[test]
    fn planes_become_pixels() {
        assert_eq!(interleave(&[1, 2, 3, 4, 5, 6], 3), [1, 3, 5, 2, 4, 6]);
    }

    #[test]
    fn gray_has_no_chroma() {
        assert_eq!(rgb_of_ycbcr(vec![77, 128, 128]), [77, 77, 77]);
        assert_eq!(rgb_of_ycbcr(vec![76, 85, 255]), [254, 0, 0]);
    }
}
