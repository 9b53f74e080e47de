//! Products of panels by dot products of pairs of bf16 numbers (AVX512-BF16): what recent AMD
//! processors have, and Intel's without a tile unit.
//!
//! `vdpbf16ps` adds `a₀ b₀ + a₁ b₁` to each of 16 sums. Eight rows of the left panel meet all 32
//! columns of the right one at once: 16 vectors of sums, which hide the latency.

use std::arch::x86_64::*;

use super::pack::PANEL;
use super::tiles::Block;

/// Words of a tile, 16 rows of 16.
const TILE: usize = 256;
const ROWS: usize = 8;

/// `out = left · right` for panels of one part, seen as words.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn multiply(left: &[u32], right: &[u32], steps: usize, out: &mut Block) {
    let (left, right) = (&left[..steps * 2 * TILE], &right[..steps * 2 * TILE]);
    for first in (0..PANEL).step_by(ROWS) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let from = first * 16; // the second tile stands behind the first
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
            // SAFETY: a row has room for two vectors.
            unsafe {
                _mm512_storeu_ps(row.as_mut_ptr(), sums[0]);
                _mm512_storeu_ps(row.as_mut_ptr().add(16), sums[1]);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn words(words: &[u32]) -> __m512bh {
    let words = &words[..16];
    // SAFETY: 16 words are there.
    as_pairs(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn as_pairs(words: __m512i) -> __m512bh {
    // SAFETY: both types are 512 bits without invalid patterns.
    unsafe { std::mem::transmute(words) }
}
