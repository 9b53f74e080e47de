//! The AVX512-BF16 microkernel: recent AMD CPUs have these instructions, and so do Intel CPUs without AMX.
//!
//! `vdpbf16ps` adds `a₀ b₀ + a₁ b₁`, two products of neighbors along k, to each of 16 sums. Eight rows of
//! the left panel are multiplied by all 32 columns of the right one at a time. These 16 registers of sums
//! hide the latency of the instruction.

use std::arch::x86_64::*;

use super::pack::{self, PANEL, Sums};

/// Words of a tile: a word is a pair of bf16 values.
const TILE: usize = pack::TILE / 2;
/// Rows of the left panel that are multiplied at a time.
const ROWS: usize = 8;

/// `out = left · right` for a pair of panels whose values have one part. Panels are given as words.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn multiply(left: &[u32], right: &[u32], steps: usize, out: &mut Sums) {
    let (left, right) = (&left[..steps * 2 * TILE], &right[..steps * 2 * TILE]);
    for first in (0..PANEL).step_by(ROWS) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let from = first * 16; // in words; rows 16.. are in the second tile, which follows the first
        for (left, right) in left.chunks_exact(2 * TILE).zip(right.chunks_exact(2 * TILE)) {
            let rows = &left[from..from + ROWS * 16];
            for pair in 0..16 {
                let columns = [words(&right[pair * 16..]), words(&right[TILE + pair * 16..])];
                for (i, sums) in sums.iter_mut().enumerate() {
                    let word = as_pairs(_mm512_set1_epi32(rows[i * 16 + pair] as i32));
                    sums[0] = _mm512_dpbf16_ps(sums[0], word, columns[0]);
                    sums[1] = _mm512_dpbf16_ps(sums[1], word, columns[1]);
                }
            }
        }
        for (row, sums) in out[first * PANEL..].chunks_exact_mut(PANEL).zip(sums) {
            // SAFETY: a row has 32 values, two registers.
            unsafe {
                _mm512_storeu_ps(row.as_mut_ptr(), sums[0]);
                _mm512_storeu_ps(row.as_mut_ptr().add(16), sums[1]);
            }
        }
    }
}

/// The first 16 words.
#[inline]
#[target_feature(enable = "avx512f")]
fn words(words: &[u32]) -> __m512bh {
    let words = &words[..16];
    // SAFETY: the slice was cut to the 16 words that are read.
    as_pairs(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
}

/// Words as pairs of bf16 values.
#[inline]
#[target_feature(enable = "avx512f")]
fn as_pairs(words: __m512i) -> __m512bh {
    // SAFETY: both types have 512 bits, and every bit pattern is valid.
    unsafe { std::mem::transmute(words) }
}
