//! Packing rewrites an operand as panels of bf16 tiles, the layout that the microkernels read.
//!
//! A line is a row of the left operand or a column of the right one: k values. A panel holds 32 lines
//! over a block of k. For each step of 32 values along k, and for each part of a value, it has two tiles
//! of 16 rows of 64 bytes.
//!
//! ```text
//! left   tile[i][l]           = a[i, l]                i < 16, l < 32
//! right  tile[l][2 j + s]     = b[2 l + s, j]          l < 16, j < 16, s < 2
//! ```
//!
//! Both `tdpbf16ps` (AMX) and `vdpbf16ps` (AVX512-BF16) multiply this layout. In either tile, two values
//! that are neighbors along k form a word of 32 bits. So a tile of one operand becomes a tile of the other
//! by transposing its 16 x 16 words. Values beyond the edges of the matrix are zero.
//!
//! An f32 value `x` is split into three parts:
//!
//! ```text
//! x₀ = bf16(x)     x₁ = bf16(x - x₀)     x₂ = bf16(x - x₀ - x₁)
//! ```
//!
//! Each part has 8 significant bits and each difference is exact. So `x₀ + x₁ + x₂ = x`, unless the last
//! bits of `x` lie below the least normal value, 2⁻¹²⁶. An operand rounded to bf16 has only the first part.

use std::arch::x86_64::*;

use super::Mat;

/// Lines of a panel: two tiles of 16.
pub(super) const PANEL: usize = 2 * TILE_ROWS;
/// The sums of a pair of panels, `[32, 32]`.
pub(super) type Sums = [f32; PANEL * PANEL];
/// Values of a line in a tile: the k of one tile multiplication.
pub(super) const STEP: usize = 32;
/// Rows of a tile.
pub(super) const TILE_ROWS: usize = 16;
/// bf16 values of a tile, 1 KiB.
pub(super) const TILE: usize = TILE_ROWS * STEP;

// A row of a tile is one AVX-512 register and one row of an AMX register, 64 bytes. Its words of two
// values form a square, so that `transpose` maps tiles to tiles.
const _: () = assert!(STEP * size_of::<u16>() == 64 && STEP / 2 == TILE_ROWS);

/// bf16 values of a panel with `steps` steps, whose values have `parts` parts.
pub(super) const fn panel_len(steps: usize, parts: usize) -> usize {
    steps * parts * 2 * TILE
}

/// The operand that a panel belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    /// `A`, whose lines are rows.
    Left,
    /// `B`, whose lines are columns.
    Right,
}

/// The lines of an operand. Value `l` of line `i` is `data[i * line_stride + l * k_stride]`, and one of
/// the strides is 1.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    data: &'a [f32],
    count: usize,
    k: usize,
    line_stride: usize,
    k_stride: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(mat: &Mat<'a>, operand: Operand) -> Self {
        let data = mat.data;
        match operand {
            Operand::Left => Self {
                data,
                count: mat.rows,
                k: mat.cols,
                line_stride: mat.row_stride,
                k_stride: mat.col_stride,
            },
            Operand::Right => Self {
                data,
                count: mat.cols,
                k: mat.rows,
                line_stride: mat.col_stride,
                k_stride: mat.row_stride,
            },
        }
    }

    /// Values of a line.
    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// Whether the values of a line are contiguous in memory. Otherwise the lines are interleaved: equal
    /// positions of neighboring lines are contiguous.
    pub(super) fn are_contiguous(&self) -> bool {
        self.k_stride == 1
    }

    /// Prefetches 16 values from `[line, l]` on into the L1 cache. They may lie beyond the edges.
    #[inline]
    fn prefetch(&self, line: usize, l: usize) {
        let at = line * self.line_stride + l * self.k_stride;
        // SAFETY: a prefetch is a hint and never faults, whatever the address is.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(self.data.as_ptr().wrapping_add(at).cast()) };
    }

    /// Up to `n` values that are contiguous in memory, from `[line, l]` on: along k for contiguous lines,
    /// otherwise across lines. They end at the edge of the matrix; beyond it there are none.
    #[inline]
    fn run(&self, line: usize, l: usize, n: usize) -> &[f32] {
        if line >= self.count || l >= self.k {
            return &[];
        }
        let rest = if self.k_stride == 1 { self.k - l } else { self.count - line };
        &self.data[line * self.line_stride + l * self.k_stride..][..rest.min(n)]
    }
}

/// Fills `out` with consecutive panels of `steps` steps. The first panel starts at `[line, l]`, given by
/// `from`.
///
/// Values are read in memory order. Contiguous lines thus give the words of a left tile, and interleaved
/// lines give the words of a right tile. For the other operand, tiles are transposed afterwards.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn pack<const PARTS: usize>(
    lines: &Lines<'_>,
    operand: Operand,
    from: (usize, usize),
    steps: usize,
    out: &mut [u16],
) {
    if lines.are_contiguous() {
        pack_contiguous::<PARTS>(lines, operand, from, steps, out);
    } else {
        pack_interleaved::<PARTS>(lines, operand, from, steps, out);
    }
}

/// Packs contiguous lines, one after the other.
#[target_feature(enable = "avx512f,avx512bf16")]
fn pack_contiguous<const PARTS: usize>(
    lines: &Lines<'_>,
    operand: Operand,
    (first, k_start): (usize, usize),
    steps: usize,
    out: &mut [u16],
) {
    const AHEAD: usize = 4; // lines to prefetch ahead
    for (panel, out) in out.chunks_exact_mut(panel_len(steps, PARTS)).enumerate() {
        for i in 0..PANEL {
            let line = first + panel * PANEL + i;
            for (step, out) in out.chunks_exact_mut(panel_len(1, PARTS)).enumerate() {
                let l = k_start + step * STEP;
                lines.prefetch(line + AHEAD, l);
                lines.prefetch(line + AHEAD, l + 16);
                let words = split_line::<PARTS>(lines.run(line, l, STEP));
                store_row(out, (i / TILE_ROWS, i % TILE_ROWS), words);
            }
        }
        if operand == Operand::Right {
            out.chunks_exact_mut(TILE).for_each(|tile| transpose(tile));
        }
    }
}

/// Packs interleaved lines, two positions along k at a time. All panels of a step are packed before the
/// next step, because they share cache lines.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack_interleaved<const PARTS: usize>(
    lines: &Lines<'_>,
    operand: Operand,
    (first, k_start): (usize, usize),
    steps: usize,
    out: &mut [u16],
) {
    const AHEAD: usize = STEP; // positions along k to prefetch ahead
    let len = panel_len(1, PARTS);
    for step in 0..steps {
        for (panel, out) in out.chunks_exact_mut(steps * len).enumerate() {
            let out = &mut out[step * len..][..len];
            for pair in 0..STEP / 2 {
                let l = k_start + step * STEP + 2 * pair;
                for half in 0..2 {
                    let line = first + panel * PANEL + TILE_ROWS * half;
                    lines.prefetch(line, l + AHEAD);
                    lines.prefetch(line, l + AHEAD + 1);
                    let (even, odd) = (lines.run(line, l, 16), lines.run(line, l + 1, 16));
                    store_row(out, (half, pair), split_pairs::<PARTS>(even, odd));
                }
            }
            if operand == Operand::Left {
                out.chunks_exact_mut(TILE).for_each(|tile| transpose(tile));
            }
        }
    }
}

/// Writes one row of the tiles of a step, in each part. `half` chooses the first or the second tile.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_row<const PARTS: usize>(
    step: &mut [u16],
    (half, row): (usize, usize),
    words: [__m512i; PARTS],
) {
    for (part, words) in words.into_iter().enumerate() {
        store(&mut step[(2 * part + half) * TILE + row * STEP..], words);
    }
}

/// Splits up to 32 contiguous values of a line into parts. A word holds two neighbors along k.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn split_line<const PARTS: usize>(run: &[f32]) -> [__m512i; PARTS] {
    let (mut low, mut high) = (load(run), load(run.get(16..).unwrap_or(&[])));
    let mut parts = [_mm512_setzero_si512(); PARTS];
    for part in &mut parts {
        // SAFETY: both types have 512 bits, and every bit pattern is valid.
        *part = unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) };
        low = _mm512_sub_ps(low, widened(_mm512_castsi512_si256(*part)));
        high = _mm512_sub_ps(high, widened(_mm512_extracti64x4_epi64::<1>(*part)));
    }
    parts
}

/// Splits the values of up to 16 interleaved lines at two neighboring positions along k. A word holds the
/// two values of a line.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn split_pairs<const PARTS: usize>(even: &[f32], odd: &[f32]) -> [__m512i; PARTS] {
    const ALTERNATING: [u16; STEP] = {
        let mut order = [0; STEP];
        let mut i = 0;
        while i < STEP {
            order[i] = (i / 2 + i % 2 * 16) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: the array has the 64 bytes that are read.
    let alternating = unsafe { _mm512_loadu_si512(ALTERNATING.as_ptr().cast()) };
    let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
    let (mut even, mut odd) = (load(even), load(odd));
    let mut parts = [_mm512_setzero_si512(); PARTS];
    for part in &mut parts {
        // SAFETY: both types have 512 bits, and every bit pattern is valid.
        let both =
            unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(odd, even)) };
        *part = _mm512_permutexvar_epi16(alternating, both);
        even = _mm512_sub_ps(even, _mm512_castsi512_ps(_mm512_slli_epi32::<16>(*part)));
        odd = _mm512_sub_ps(odd, _mm512_castsi512_ps(_mm512_and_si512(*part, upper)));
    }
    parts
}

/// Converts bf16 values to f32, exactly.
#[inline]
#[target_feature(enable = "avx512f")]
fn widened(words: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(words)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(out: &mut [u16], words: __m512i) {
    let out = &mut out[..STEP];
    // SAFETY: `out` was cut to the 64 bytes that are written.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), words) };
}

/// The first 16 values of a slice, or all of a shorter one followed by zeros.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32]) -> __m512 {
    let mask = if values.len() >= 16 { u16::MAX } else { (1 << values.len()) - 1 };
    // SAFETY: the mask selects at most `values.len()` values, and no others are read.
    unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr()) }
}

/// Transposes the 16 x 16 words of a tile.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(tile: &mut [u16]) {
    let tile = &mut tile[..TILE];
    let mut w = [_mm512_setzero_si512(); 16];
    for (w, row) in w.iter_mut().zip(tile.chunks_exact(STEP)) {
        // SAFETY: `chunks_exact` gives rows of the 64 bytes that are read.
        *w = unsafe { _mm512_loadu_si512(row.as_ptr().cast()) };
    }
    let mut pairs = w; // 2 x 2 blocks transposed
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_epi32(w[2 * i], w[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(w[2 * i], w[2 * i + 1]);
    }
    let mut fours = w; // fours[4 i + c] holds columns c, c + 4, c + 8, c + 12 of rows 4 i..
    for i in 0..4 {
        let p = &pairs[4 * i..4 * i + 4];
        fours[4 * i] = _mm512_unpacklo_epi64(p[0], p[2]);
        fours[4 * i + 1] = _mm512_unpackhi_epi64(p[0], p[2]);
        fours[4 * i + 2] = _mm512_unpacklo_epi64(p[1], p[3]);
        fours[4 * i + 3] = _mm512_unpackhi_epi64(p[1], p[3]);
    }
    const EVEN: i32 = 0x88; // lanes 0 and 2 of both
    const ODD: i32 = 0xdd; // lanes 1 and 3
    for c in 0..4 {
        let [a, b, d, e] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
        let even = (_mm512_shuffle_i32x4::<EVEN>(a, b), _mm512_shuffle_i32x4::<EVEN>(d, e));
        let odd = (_mm512_shuffle_i32x4::<ODD>(a, b), _mm512_shuffle_i32x4::<ODD>(d, e));
        w[c] = _mm512_shuffle_i32x4::<EVEN>(even.0, even.1);
        w[4 + c] = _mm512_shuffle_i32x4::<EVEN>(odd.0, odd.1);
        w[8 + c] = _mm512_shuffle_i32x4::<ODD>(even.0, even.1);
        w[12 + c] = _mm512_shuffle_i32x4::<ODD>(odd.0, odd.1);
    }
    for (row, w) in tile.chunks_exact_mut(STEP).zip(w) {
        store(row, w);
    }
}
