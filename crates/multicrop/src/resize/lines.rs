//! Weighted sums of lines, and transposition: the two operations of a resize.

use std::ops::Range;

use dispatch::kernel;

use super::taps::{Taps, WEIGHT_BITS};

/// Number of values that are summed together. Buffers must have this many extra bytes after the
/// last line.
pub(super) const LANES: usize = 32;
/// Number of lines that are transposed together: the bytes of a word.
pub(super) const WORD: usize = 16;
/// Number of columns in a block of a transposition: their output lines fit into the L1 cache.
const BLOCK: usize = 256;
/// Added to a sum to round it to nearest.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// Lines of bytes at a distance of `stride`.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub(super) values: &'a [u8],
    pub(super) stride: usize,
}

/// A range of the outputs of an axis, counted from the end if `reversed`.
#[derive(Clone, Copy)]
pub(super) struct Outputs {
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) reversed: bool,
}

/// Output lines of `len` bytes.
pub(super) struct Out<'a> {
    pub(super) values: &'a mut [u8],
    pub(super) stride: usize,
    pub(super) len: usize,
}

kernel! {
    /// Computes each line of `out` as the weighted sum of input lines that `taps` defines for one
    /// of `outputs`, in order.
    ///
    /// The first line of `input` is the first of the span of `taps`. Bytes after the end of a line
    /// are read and ignored.
    pub(super) fn sum_lines(input: Lines<'_>, taps: &Taps, outputs: Outputs, out: Out<'_>) {
        for line in 0..outputs.count {
            let i = outputs.first + line;
            let i = if outputs.reversed { taps.len() - 1 - i } else { i };
            let (start, weights) = taps.at(i);
            let lines = &input.values[start * input.stride..];
            let out = &mut out.values[line * out.stride..][..out.len];
            let (chunks, rest) = out.as_chunks_mut::<{ 2 * LANES }>();
            for (chunk, out) in chunks.iter_mut().enumerate() {
                *out = sum_chunk(&lines[2 * chunk * LANES..], input.stride, weights);
            }
            let lines = &lines[2 * chunks.len() * LANES..];
            for (chunk, out) in rest.chunks_mut(LANES).enumerate() {
                let sums: [u8; LANES] = sum_chunk(&lines[chunk * LANES..], input.stride, weights);
                match out.as_mut_array() {
                    Some(out) => *out = sums,
                    None => out.copy_from_slice(&sums[..out.len()]),
                }
            }
        }
    }
}

/// `clip((2²¹ + Σ_t w_t x_t) >> 22)` for the first values of each line.
#[inline(always)]
fn sum_chunk<const N: usize>(values: &[u8], stride: usize, weights: &[i32]) -> [u8; N] {
    let mut sums = [HALF; N];
    for (t, &weight) in weights.iter().enumerate() {
        let line: &[u8] = &values[t * stride..][..N];
        for lane in 0..N {
            sums[lane] += i32::from(line[lane]) * weight;
        }
    }
    let mut out = [0; N];
    for lane in 0..N {
        out[lane] = (sums[lane] >> WEIGHT_BITS).clamp(0, 255) as u8;
    }
    out
}

kernel! {
    /// Transposes: `out[j * stride + i] = input[i * input.stride + j]` for `i < count` and
    /// `j < columns`.
    ///
    /// Lines of `out` must have space for `count` rounded up to whole words; the extra bytes are
    /// arbitrary.
    pub(super) fn transpose(
        input: Lines<'_>,
        count: usize,
        columns: usize,
        out: &mut [u8],
        stride: usize,
    ) {
        for block in (0..columns).step_by(BLOCK) {
            for i in (0..count).step_by(WORD) {
                for j in (block..columns.min(block + BLOCK)).step_by(LANES) {
                    let mut words = [[0; 2]; LANES];
                    gather(input, i..count, j, &mut words);
                    let mut at = j * stride + i;
                    for [low, high] in &words[..LANES.min(columns - j)] {
                        if let Some(place) = out[at..].first_chunk_mut::<WORD>() {
                            place[..WORD / 2].copy_from_slice(&low.to_le_bytes());
                            place[WORD / 2..].copy_from_slice(&high.to_le_bytes());
                        }
                        at += stride;
                    }
                }
            }
        }
    }
}

/// Gathers the values of `lines` by column, for the columns that start at `column`.
#[inline(always)]
fn gather(input: Lines<'_>, lines: Range<usize>, column: usize, words: &mut [[u64; 2]; LANES]) {
    let first = lines.start * input.stride + column;
    let tile = input.values.get(first..first + (WORD - 1) * input.stride + LANES);
    match tile.filter(|_| lines.len() >= WORD) {
        Some(tile) => interleave(tile, input.stride, words),
        None => interleave(&last_tile(input, lines, column), LANES, words),
    }
}

/// Transposes a tile: word `j` gets value `j` of each line.
#[inline(always)]
fn interleave(tile: &[u8], stride: usize, words: &mut [[u64; 2]; LANES]) {
    let (mut pairs, mut quads) = ([[0_u16; LANES]; 8], [[0_u32; LANES]; 4]);
    for i in 0..8 {
        let a: &[u8] = &tile[2 * i * stride..][..LANES];
        let b: &[u8] = &tile[(2 * i + 1) * stride..][..LANES];
        for lane in 0..LANES {
            pairs[i][lane] = u16::from(a[lane]) | u16::from(b[lane]) << 8;
        }
    }
    for i in 0..4 {
        for lane in 0..LANES {
            quads[i][lane] =
                u32::from(pairs[2 * i][lane]) | u32::from(pairs[2 * i + 1][lane]) << 16;
        }
    }
    for lane in 0..LANES {
        words[lane][0] = u64::from(quads[0][lane]) | u64::from(quads[1][lane]) << 32;
        words[lane][1] = u64::from(quads[2][lane]) | u64::from(quads[3][lane]) << 32;
    }
}

/// A tile at the end of the lines or columns, padded with zeros.
#[cold]
fn last_tile(input: Lines<'_>, lines: Range<usize>, column: usize) -> [u8; WORD * LANES] {
    let mut tile = [0; WORD * LANES];
    for (out, i) in tile.chunks_exact_mut(LANES).zip(lines) {
        let values = &input.values[i * input.stride + column..];
        let len = values.len().min(LANES);
        out[..len].copy_from_slice(&values[..len]);
    }
    tile
}
