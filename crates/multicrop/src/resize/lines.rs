//! Sums of whole lines, and the exchange of lines and columns: both passes of a resize in terms of
//! these two.

use std::ops::Range;

use dispatch::kernel;

use super::taps::{Taps, WEIGHT_BITS};

/// Values that are summed together; buffers must be readable this far behind their last line.
pub(super) const LANES: usize = 32;
/// Lines that are exchanged with columns at a time: bytes of a word.
pub(super) const WORD: usize = 16;
/// What rounds a sum to the nearest.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// Lines of bytes, each `stride` behind the one before.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub(super) values: &'a [u8],
    pub(super) stride: usize,
}

/// Lines of bytes to be written, `len` bytes each.
pub(super) struct Out<'a> {
    pub(super) values: &'a mut [u8],
    pub(super) stride: usize,
    pub(super) len: usize,
}

kernel! {
    /// Output line `i` is the sum of input lines that `taps` gives it; the last output first if
    /// `reverse`.
    ///
    /// The lines of `input` begin with the span of `taps`. What lies behind the end of a line is
    /// read and ignored.
    pub(super) fn sum_lines(input: Lines<'_>, taps: &Taps, reverse: bool, out: Out<'_>) {
        for (i, (start, weights)) in taps.iter().enumerate() {
            let i = if reverse { taps.len() - 1 - i } else { i };
            let out = &mut out.values[i * out.stride..][..out.len];
            let lines = &input.values[start * input.stride..];
            let (chunks, rest) = out.as_chunks_mut::<LANES>();
            for (chunk, out) in chunks.iter_mut().enumerate() {
                *out = sum_chunk(&lines[chunk * LANES..], input.stride, weights);
            }
            if !rest.is_empty() {
                let sums = sum_chunk(&lines[chunks.len() * LANES..], input.stride, weights);
                rest.copy_from_slice(&sums[..rest.len()]);
            }
        }
    }
}

/// `clip((2²¹ + Σ_t w_t x_t) >> 22)` of the first values of each line.
#[inline(always)]
fn sum_chunk(values: &[u8], stride: usize, weights: &[i32]) -> [u8; LANES] {
    let mut sums = [HALF; LANES];
    for (t, &weight) in weights.iter().enumerate() {
        let line: &[u8] = &values[t * stride..][..LANES];
        for lane in 0..LANES {
            sums[lane] += i32::from(line[lane]) * weight;
        }
    }
    let mut out = [0; LANES];
    for lane in 0..LANES {
        out[lane] = (sums[lane] >> WEIGHT_BITS).clamp(0, 255) as u8;
    }
    out
}

kernel! {
    /// `out[j * out.stride + i] = input[i * input.stride + j]` for `i < count` and `j < out.len`.
    ///
    /// Lines of `out` have room for `count` rounded up to whole words; what is behind is arbitrary.
    pub(super) fn transpose(input: Lines<'_>, count: usize, columns: usize, out: &mut [u8], stride: usize) {
        for j in (0..columns).step_by(LANES) {
            for i in (0..count).step_by(WORD) {
                let first = i * input.stride + j;
                let tile = input.values.get(first..first + (WORD - 1) * input.stride + LANES);
                let mut words = [[0; 2]; LANES];
                match tile.filter(|_| i + WORD <= count) {
                    Some(tile) => gather(tile, input.stride, &mut words),
                    None => gather(&last_tile(input, i..count, j), LANES, &mut words),
                }
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

/// Word `j` gets value `j` of each line.
#[inline(always)]
fn gather(tile: &[u8], stride: usize, words: &mut [[u64; 2]; LANES]) {
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

/// A tile at the end of the lines or the columns, filled up with zeros.
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
