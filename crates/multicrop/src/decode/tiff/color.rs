//! Converts the samples of a TIFF to bytes or floats, and to colors.

use super::super::samples::{Layout, Samples};
use half::f16;

use super::Kind;
use super::page::{Color, Page};

/// Converts the samples of a chunk to 8 bits: 16 bits are reduced to the high byte, fewer than 8
/// bits are scaled to 0..=255 unless they are palette indices.
pub(super) fn to_bytes(packed: Vec<u8>, page: &Page) -> Vec<u8> {
    match page.bits {
        8 => packed,
        16 => {
            let high = usize::from(!page.big_endian);
            packed.as_chunks::<2>().0.iter().map(|bytes| bytes[high]).collect()
        }
        bits => unpack(&packed, page.chunk_width, bits as u8, page.color == Color::Palette),
    }
}

/// Converts the samples of a chunk to floats, in the units of the file. Whole numbers of more than 24
/// bits and floats of 64 bits are rounded.
pub(super) fn to_floats(packed: &[u8], page: &Page) -> Vec<f32> {
    macro_rules! each {
        ($type:ty) => {
            values(packed, page.big_endian, |bytes| <$type>::from_le_bytes(bytes) as f32)
        };
    }
    match (page.kind, page.bits) {
        (Kind::Unsigned, 8) => each!(u8),
        (Kind::Unsigned, 16) => each!(u16),
        (Kind::Unsigned, 32) => each!(u32),
        (Kind::Unsigned, _) => each!(u64),
        (Kind::Signed, 8) => each!(i8),
        (Kind::Signed, 16) => each!(i16),
        (Kind::Signed, 32) => each!(i32),
        (Kind::Signed, _) => each!(i64),
        (Kind::Float, 16) => {
            values(packed, page.big_endian, |bytes| f16::from_le_bytes(bytes).to_f32())
        }
        (Kind::Float, 32) => each!(f32),
        (Kind::Float, _) => each!(f64),
    }
}

/// Converts values of `N` bytes, which `convert` gets with the least significant byte first.
fn values<const N: usize>(
    packed: &[u8],
    big_endian: bool,
    convert: impl Fn([u8; N]) -> f32,
) -> Vec<f32> {
    let values = packed.as_chunks::<N>().0.iter().map(|&bytes| {
        let mut bytes = bytes;
        if big_endian {
            bytes.reverse();
        }
        convert(bytes)
    });
    values.collect()
}

/// Unpacks samples of 1, 2 or 4 bits. A row has `per_row` samples and starts at a byte. Samples are
/// scaled to 0..=255 unless they are palette `indices`.
fn unpack(packed: &[u8], per_row: usize, bits: u8, indices: bool) -> Vec<u8> {
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

/// Looks up the colors of palette indices, and keeps alpha if there is one. `palette` has all reds,
/// then all greens, then all blues, 16 bits each. Indices beyond it are black, as in Pillow.
pub(super) fn look_up(indices: Samples, palette: &[u64]) -> Samples {
    let colors = palette.len() / 3;
    let mut table = [[0; 3]; 256];
    for (index, color) in table.iter_mut().take(colors).enumerate() {
        *color = [0, 1, 2].map(|c| (palette[c * colors + index] >> 8) as u8);
    }
    let (layout, values) = if indices.layout == Layout::GrayAlpha {
        let pixels = indices.values.as_chunks::<2>().0.iter();
        let pixels = pixels.flat_map(|&[index, alpha]| {
            let [r, g, b] = table[usize::from(index)];
            [r, g, b, alpha]
        });
        (Layout::Rgba, pixels.collect())
    } else {
        let pixels = indices.values.iter().flat_map(|&index| table[usize::from(index)]);
        (Layout::Rgb, pixels.collect())
    };
    Samples { layout, values, ..indices }
}

/// Undoes premultiplication with alpha, the last of `N` samples; transparent pixels become black.
pub(super) fn divide_by_alpha<const N: usize>(values: &mut [u8]) {
    for pixel in values.as_chunks_mut::<N>().0 {
        let alpha = u32::from(pixel[N - 1]);
        for value in &mut pixel[..N - 1] {
            let full = (u32::from(*value) * 255).checked_div(alpha);
            *value = full.map_or(0, |full| full.min(255) as u8);
        }
    }
}

/// As [`divide_by_alpha`], for floats up to `white`.
pub(super) fn divide_floats_by_alpha<const N: usize>(values: &mut [f32], white: f32) {
    for pixel in values.as_chunks_mut::<N>().0 {
        let alpha = pixel[N - 1];
        for value in &mut pixel[..N - 1] {
            *value = if alpha > 0.0 { (*value * white / alpha).min(white) } else { 0.0 };
        }
    }
}

/// Converts YCbCr to red, green and blue by ITU-R BT.601, as JPEG does (T.871, section 7), in
/// 16-bit fixed point. The constants are libtiff's, which computes them in `f32`.
pub(super) fn rgb_of_ycbcr(mut values: Vec<u8>) -> Vec<u8> {
    for pixel in values.as_chunks_mut::<3>().0 {
        let [y, cb, cr] = pixel.map(i32::from);
        let (cb, cr) = (cb - 128, cr - 128);
        let round = |chroma: i32| (y + ((chroma + 0x8000) >> 16)).clamp(0, 255) as u8;
        *pixel = [round(91_881 * cr), round(-22_553 * cb - 46_802 * cr), round(116_130 * cb)];
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
    fn gray_has_no_chroma() {
        assert_eq!(rgb_of_ycbcr(vec![77, 128, 128]), [77, 77, 77]);
        assert_eq!(rgb_of_ycbcr(vec![76, 85, 255]), [254, 0, 0]);
    }

    #[test]
    fn colors_are_divided_by_alpha() {
        let mut values = vec![100, 50, 0, 128, 9, 9, 9, 0];
        divide_by_alpha::<4>(&mut values);
        assert_eq!(values, [199, 99, 0, 128, 0, 0, 0, 0]);
    }
}
