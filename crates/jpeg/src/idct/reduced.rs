//! Reduced inverse DCTs, which turn a block into 4 × 4, 2 × 2 or 1 × 1 samples.
//!
//! They are libjpeg's: the even part of an eight-point transform without its fourth coefficient,
//! and the odd part averaged over neighboring samples. They round, wrap and saturate as [`super`]
//! does.

use super::{Coefficients, FRACTION, KEPT, LANES, Lanes, fix, sample, saturate, scaled};
use crate::header::Quant;

/// Coefficients along one direction that the transform to four samples uses.
const FOR_FOUR: [usize; 7] = [0, 1, 2, 3, 5, 6, 7];
/// Coefficients along one direction that the transform to two samples uses.
const FOR_TWO: [usize; 5] = [0, 1, 3, 5, 7];

dispatch::kernel! {
    /// Transforms 16 blocks to samples at half size: each row of a block is four bytes.
    pub(crate) fn four(coefficients: &Coefficients, quant: &Quant, rows: &mut [[u32; LANES]; 4]) {
        let mut half = [[0; LANES]; 32];
        for column in FOR_FOUR {
            let x = FOR_FOUR.map(|k| scaled(&coefficients[8 * k + column], quant[8 * k + column]));
            let y = to_four::<{ FRACTION - KEPT + 1 }>(&x);
            for (row, y) in y.iter().enumerate() {
                half[8 * row + column] = *y;
            }
        }
        for (row, out) in rows.iter_mut().enumerate() {
            let x = FOR_FOUR.map(|column| half[8 * row + column]);
            let y = to_four::<{ FRACTION + KEPT + 4 }>(&x);
            *out = std::array::from_fn(|lane| {
                let bytes = std::array::from_fn(|i| sample(y[i][lane]));
                u32::from_le_bytes(bytes)
            });
        }
    }
}

/// Transforms one column or row in each lane; `x` has the coefficients [`FOR_FOUR`].
#[inline(always)]
fn to_four<const SHIFT: u32>(x: &[Lanes; 7]) -> [Lanes; 4] {
    let mut y = [[0; LANES]; 4];
    for lane in 0..LANES {
        let [x0, x1, x2, x3, x5, x6, x7] = std::array::from_fn(|k| i32::from(x[k][lane]));
        let sum = (x0 << (FRACTION + 1)) + (1 << (SHIFT - 1));
        let even = x2 * fix(1.847_759_065) - x6 * fix(0.765_366_865);
        let inner = x1 * fix(1.061_594_337) - x3 * fix(2.172_734_803) + x5 * fix(1.451_774_981)
            - x7 * fix(0.211_164_243);
        let outer = x1 * fix(2.562_915_447) + x3 * fix(0.899_976_223)
            - x5 * fix(0.601_344_887)
            - x7 * fix(0.509_795_579);
        let (high, low) = (sum.wrapping_add(even), sum.wrapping_sub(even));
        y[0][lane] = saturate(high.wrapping_add(outer) >> SHIFT);
        y[1][lane] = saturate(low.wrapping_add(inner) >> SHIFT);
        y[2][lane] = saturate(low.wrapping_sub(inner) >> SHIFT);
        y[3][lane] = saturate(high.wrapping_sub(outer) >> SHIFT);
    }
    y
}

dispatch::kernel! {
    /// Transforms 16 blocks to samples at a quarter of the size: each row of a block is two bytes.
    pub(crate) fn two(coefficients: &Coefficients, quant: &Quant, rows: &mut [[u16; LANES]; 2]) {
        // [sum, difference] for each column of `FOR_TWO`; the first one is not saturated
        let mut half = [[[0_i32; LANES]; 2]; 5];
        for (half, column) in half.iter_mut().zip(FOR_TWO) {
            let x = FOR_TWO.map(|k| scaled(&coefficients[8 * k + column], quant[8 * k + column]));
            for lane in 0..LANES {
                let x = std::array::from_fn(|k| i32::from(x[k][lane]));
                let [sum, difference] = to_two::<{ FRACTION - KEPT + 2 }>(x);
                if column == 0 {
                    (half[0][lane], half[1][lane]) = (sum, difference);
                } else {
                    half[0][lane] = i32::from(saturate(sum));
                    half[1][lane] = i32::from(saturate(difference));
                }
            }
        }
        for (row, out) in rows.iter_mut().enumerate() {
            for lane in 0..LANES {
                let x = std::array::from_fn(|k| half[k][row][lane]);
                let y = to_two::<{ FRACTION + KEPT + 5 }>(x).map(|value| sample(saturate(value)));
                out[lane] = u16::from_le_bytes(y);
            }
        }
    }
}

/// Transforms one column or row of one lane; `x` has the coefficients [`FOR_TWO`].
#[inline(always)]
fn to_two<const SHIFT: u32>([x0, x1, x3, x5, x7]: [i32; 5]) -> [i32; 2] {
    let even = (x0 << (FRACTION + 2)).wrapping_add(1 << (SHIFT - 1));
    let odd = x1 * fix(3.624_509_785) - x3 * fix(1.272_758_580) + x5 * fix(0.850_430_095)
        - x7 * fix(0.720_959_822);
    [even.wrapping_add(odd) >> SHIFT, even.wrapping_sub(odd) >> SHIFT]
}

/// The sample of a block that has only a DC coefficient, as [`two`] computes it.
pub(crate) fn flat_two(dc: i16, step: u16) -> u8 {
    let x = i32::from(dc.wrapping_mul(step as i16));
    let [half, _] = to_two::<{ FRACTION - KEPT + 2 }>([x, 0, 0, 0, 0]);
    let [value, _] = to_two::<{ FRACTION + KEPT + 5 }>([half, 0, 0, 0, 0]);
    sample(saturate(value))
}

/// The one sample of a block at an eighth of the size. Values far outside the range wrap at 10 bits
/// before they are clipped.
pub(crate) fn one(dc: i16, step: u16) -> u8 {
    let mean = (i32::from(dc) * i32::from(step as i16) + 4) >> 3;
    sample((mean << 22 >> 22) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idct::flat;

    #[test]
    fn flat_blocks_have_the_same_sample_at_every_size() {
        for dc in -1100..1100 {
            let mut coefficients = [[0; LANES]; 64];
            coefficients[0] = [dc; LANES];
            let wanted = flat(dc, 1);
            let mut rows = [[0; LANES]; 4];
            four(&coefficients, &[1; 64], &mut rows);
            assert_eq!(rows, [[u32::from_le_bytes([wanted; 4]); LANES]; 4]);
            let mut rows = [[0; LANES]; 2];
            two(&coefficients, &[1; 64], &mut rows);
            assert_eq!(rows, [[u16::from_le_bytes([wanted; 2]); LANES]; 2]);
            assert_eq!(flat_two(dc, 1), wanted);
            assert_eq!(one(dc, 1), wanted);
        }
    }

    #[test]
    fn a_slope_stays_one_with_fewer_samples() {
        let mut coefficients = [[0; LANES]; 64];
        coefficients[1] = [-300; LANES];
        let mut rows = [[0; LANES]; 4];
        four(&coefficients, &[1; 64], &mut rows);
        let bytes = rows[2][5].to_le_bytes();
        assert!(bytes.is_sorted() && bytes[0] < 90 && bytes[3] > 166, "{bytes:?}");
        let mut rows = [[0; LANES]; 2];
        two(&coefficients, &[1; 64], &mut rows);
        let [left, right] = rows[1][0].to_le_bytes();
        assert_eq!(i32::from(left) - 128, 128 - i32::from(right), "{left} {right}");
    }
}
