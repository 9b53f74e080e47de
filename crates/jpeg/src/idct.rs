//! The inverse DCT of libjpeg-turbo's "islow" method, for sixteen blocks at a time.
//!
//! The algorithm is that of Loeffler, Ligtenberg and Moschytz (ICASSP 1989), with 12
//! multiplications for eight values. It runs in fixed point with 13 fraction bits, first along
//! columns, then along rows:
//!
//! ```text
//! x(n) = Σ_k c(k)/2 · X(k) cos((2n + 1) k π / 16)        c(0) = √½, else 1      (T.81, A.3.3)
//! ```
//!
//! Columns keep 2 fraction bits, which rows round away. Values of the 16 blocks are adjacent in
//! memory ([`Lanes`]), so that each operation of the transform is one vector instruction and
//! nothing has to be transposed between columns and rows.
//!
//! Products with quantization steps, and sums before multiplications, wrap at 16 bits; the results
//! of columns saturate at 16 bits. Only damaged data reach these limits. libjpeg-turbo's vector
//! code for x86-64 does the same, so the results agree for damaged data too.

use crate::header::Quant;

pub(crate) mod reduced;

/// Blocks that are transformed together.
pub(crate) const LANES: usize = 16;

/// One value of each block.
pub(crate) type Lanes = [i16; LANES];

/// Coefficients of the blocks, ordered by position.
pub(crate) type Coefficients = [Lanes; 64];

/// Fraction bits of the constants, and those that columns keep.
const FRACTION: u32 = 13;
const KEPT: u32 = 2;

/// `x` with 13 fraction bits, rounded.
pub(crate) const fn fix(x: f64) -> i32 {
    (x * (1 << FRACTION) as f64 + 0.5) as i32
}

dispatch::kernel! {
    /// Transforms 16 blocks to samples: each row of a block is eight bytes, in memory order.
    pub(crate) fn inverse(coefficients: &Coefficients, quant: &Quant, rows: &mut [[u64; LANES]; 8]) {
        let mut values = [[0; LANES]; 64];
        let largest = scale(coefficients, quant, &mut values);
        let mut half = [[0; LANES]; 64];
        for column in 0..8 {
            eight::<8, { FRACTION - KEPT }>(&values, column, &mut half, column);
        }
        if largest >= 1 << (15 - KEPT) {
            wrap_flat_columns(coefficients, &values, &mut half);
        }
        for row in 0..8 {
            // column by column, because `pack` joins columns
            eight::<1, { FRACTION + KEPT + 3 }>(&half, 8 * row, &mut values, row);
        }
        pack(&values, rows);
    }
}

/// Multiplies coefficients by their steps. Returns a number at least as large as any magnitude in
/// the first row.
#[inline(always)]
fn scale(coefficients: &Coefficients, quant: &Quant, scaled: &mut Coefficients) -> i16 {
    for (k, out) in scaled.iter_mut().enumerate() {
        for lane in 0..LANES {
            out[lane] = coefficients[k][lane].wrapping_mul(quant[k] as i16);
        }
    }
    let mut largest = [0; LANES];
    for values in &scaled[..8] {
        for lane in 0..LANES {
            largest[lane] |= values[lane] ^ (values[lane] >> 15);
        }
    }
    largest.iter().fold(0, |all, value| all | value)
}

/// Recomputes columns whose first value is large: in blocks with coefficients in the first row
/// only, scaling that value wraps at 16 bits instead of saturating.
#[cold]
#[inline(never)]
fn wrap_flat_columns(coefficients: &Coefficients, scaled: &Coefficients, half: &mut Coefficients) {
    for lane in 0..LANES {
        if coefficients[8..].iter().all(|values| values[lane] == 0) {
            for (i, value) in half.iter_mut().enumerate() {
                value[lane] = scaled[i % 8][lane] << KEPT;
            }
        }
    }
}

/// Transforms eight values in each lane, divided by `2^SHIFT` and rounded. Reads the values at
/// `from`, `from + STEP`, …, and writes the results to `to`, `to + 8`, ….
#[inline(always)]
fn eight<const STEP: usize, const SHIFT: u32>(
    values: &Coefficients,
    from: usize,
    results: &mut Coefficients,
    to: usize,
) {
    for lane in 0..LANES {
        let x: [i16; 8] = std::array::from_fn(|k| values[(from + k * STEP) & 63][lane]);
        // even part
        let [x2, x6] = [i32::from(x[2]), i32::from(x[6])];
        let rotated = [
            x2 * fix(0.541_196_100) + x6 * (fix(0.541_196_100) - fix(1.847_759_065)),
            x2 * (fix(0.541_196_100) + fix(0.765_366_865)) + x6 * fix(0.541_196_100),
        ];
        let sum = i32::from(x[0].wrapping_add(x[4])) << FRACTION;
        let difference = i32::from(x[0].wrapping_sub(x[4])) << FRACTION;
        let round = 1 << (SHIFT - 1);
        let even = [
            sum + rotated[1] + round,
            difference + rotated[0] + round,
            difference - rotated[0] + round,
            sum - rotated[1] + round,
        ];
        // odd part
        let z3 = i32::from(x[7].wrapping_add(x[3]));
        let z4 = i32::from(x[5].wrapping_add(x[1]));
        let shared = [
            z3 * (fix(1.175_875_602) - fix(1.961_570_560)) + z4 * fix(1.175_875_602),
            z3 * fix(1.175_875_602) + z4 * (fix(1.175_875_602) - fix(0.390_180_644)),
        ];
        let [x1, x3, x5, x7] = [x[1], x[3], x[5], x[7]].map(i32::from);
        let odd = [
            x1 * (fix(1.501_321_110) - fix(0.899_976_223)) - x7 * fix(0.899_976_223) + shared[1],
            x3 * (fix(3.072_711_026) - fix(2.562_915_447)) - x5 * fix(2.562_915_447) + shared[0],
            x5 * (fix(2.053_119_869) - fix(2.562_915_447)) - x3 * fix(2.562_915_447) + shared[1],
            x7 * (fix(0.298_631_336) - fix(0.899_976_223)) - x1 * fix(0.899_976_223) + shared[0],
        ];
        for i in 0..4 {
            let (low, high) = ((to + 8 * i) & 63, (to + 8 * (7 - i)) & 63);
            results[low][lane] = saturate(even[i].wrapping_add(odd[i]) >> SHIFT);
            results[high][lane] = saturate(even[i].wrapping_sub(odd[i]) >> SHIFT);
        }
    }
}

/// Multiplies the coefficients of one position by their step.
#[inline(always)]
fn scaled(values: &Lanes, step: u16) -> Lanes {
    values.map(|value| value.wrapping_mul(step as i16))
}

#[inline(always)]
fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// Shifts a value around 0 to a sample around 128, clipped to 0..=255.
#[inline(always)]
pub(crate) fn sample(value: i16) -> u8 {
    (value.clamp(-128, 127) + 128) as u8
}

/// Packs the eight samples of each row and lane into one number, the first sample lowest; `values`
/// are ordered by column. Joins neighbors in pairs, in loops long enough for the compiler to
/// vectorize.
#[inline(always)]
fn pack(values: &Coefficients, rows: &mut [[u64; LANES]; 8]) {
    const N: usize = 8 * LANES;
    let mut pairs = [[0_u16; N]; 4];
    for (pair, columns) in pairs.iter_mut().zip(values.as_flattened().as_chunks::<{ 2 * N }>().0) {
        let (low, high) = columns.split_at(N);
        for ((pair, &low), &high) in pair.iter_mut().zip(low).zip(high) {
            *pair = u16::from(sample(low)) | u16::from(sample(high)) << 8;
        }
    }
    let [a, b, c, d] = &pairs;
    let pairs = a.iter().zip(b).zip(c.iter().zip(d));
    for (row, ((&a, &b), (&c, &d))) in rows.as_flattened_mut().iter_mut().zip(pairs) {
        let [low, high] = [(a, b), (c, d)].map(|(a, b)| u32::from(a) | u32::from(b) << 16);
        *row = u64::from(low) | u64::from(high) << 32;
    }
}

/// The sample of a block that has only a DC coefficient: the 8 × 8 and 4 × 4 transforms give this
/// value everywhere.
#[inline(always)]
pub(crate) fn flat(dc: i16, step: u16) -> u8 {
    let scaled = dc.wrapping_mul(step as i16) << KEPT;
    sample(((i32::from(scaled) + 16) >> 5) as i16)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    fn random(state: &mut u64) -> u64 {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    /// The definition, T.81, A.3.3.
    fn exact(block: &[f64; 64], row: usize, column: usize) -> f64 {
        let mut sum = 0.0;
        for v in 0..8 {
            for u in 0..8 {
                let c = [u, v].map(|k| if k == 0 { 0.5_f64.sqrt() } else { 1.0 });
                let [x, y] = [(column, u), (row, v)]
                    .map(|(n, k)| ((2 * n + 1) as f64 * k as f64 * PI / 16.0).cos());
                sum += c[0] * c[1] * block[8 * v + u] * x * y / 4.0;
            }
        }
        sum + 128.0
    }

    #[test]
    fn samples_are_those_of_the_definition_to_rounding() {
        let mut state = 7;
        let mut coefficients = [[0; LANES]; 64];
        let quant = std::array::from_fn(|k| 1 + k as u16 / 4);
        for (k, values) in coefficients.iter_mut().enumerate() {
            for value in values {
                let range = if k == 0 { 1500 } else { 60 / (1 + k as i64 / 8) };
                *value = (random(&mut state) as i64 % (range + 1) - range / 2) as i16;
            }
        }
        let mut rows = [[0; LANES]; 8];
        inverse(&coefficients, &quant, &mut rows);
        for lane in 0..LANES {
            let block =
                std::array::from_fn(|k| f64::from(coefficients[k][lane]) * f64::from(quant[k]));
            for (row, values) in rows.iter().enumerate() {
                for (column, &sample) in values[lane].to_le_bytes().iter().enumerate() {
                    let wanted = exact(&block, row, column).clamp(0.0, 255.0);
                    assert!((f64::from(sample) - wanted).abs() < 0.6, "{sample} for {wanted}");
                }
            }
        }
    }

    #[test]
    fn a_flat_block_is_what_the_transform_makes_of_it() {
        let mut rows = [[0; LANES]; 8];
        for dc in (i16::MIN..=i16::MAX - 16).step_by(16) {
            let mut coefficients = [[0; LANES]; 64];
            coefficients[0] = std::array::from_fn(|lane| dc + lane as i16);
            for step in [1, 2, 16, 255, 4097] {
                inverse(&coefficients, &[step; 64], &mut rows);
                for lane in 0..LANES {
                    let all = u64::from_le_bytes([flat(dc + lane as i16, step); 8]);
                    assert!(rows.iter().all(|row| row[lane] == all), "{dc} {lane} {step}");
                }
            }
        }
    }
}
