//! Factors of a product, rewritten as tiles of bf16.
//!
//! A panel holds 32 rows of the left factor, or 32 columns of the right one, over a block of the
//! inner extent: for each step of 32 inner numbers, and each part of a number, two tiles of 16 rows
//! of 64 bytes.
//!
//! ```text
//! left   tile[i][l]  = a[i, l]                         i < 16, l < 32
//! right  tile[l][2 j + s] = b[2 l + s, j]              l < 16, j < 16, s < 2
//! ```
//!
//! which is what both `tdpbf16ps` and `vdpbf16ps` multiply. In each, a pair of numbers that are
//! neighbors along the inner extent is a word of 32 bits; so the tile of one layout in memory is
//! that of the other with rows and columns of words exchanged. Beyond the edges stand zeros.
//!
//! The parts of a number `x` are
//!
//! ```text
//! x₀ = bf16(x)     x₁ = bf16(x - x₀)     x₂ = bf16(x - x₀ - x₁)
//! ```
//!
//! Each has 8 bits and each difference is exact, so `x₀ + x₁ + x₂ = x` unless the last bits lie
//! below the least normal number, 2⁻¹²⁶. A factor that is to be rounded to bf16 has the first part alone.

use std::arch::x86_64::*;

use super::Mat;

/// Rows of the left factor, or columns of the right one, in a panel.
pub(super) const PANEL: usize = 32;
/// Inner numbers of a tile.
pub(super) const STEP: usize = 32;
/// Numbers of a tile.
const TILE: usize = 16 * STEP;

/// Numbers of a panel of so many steps, whose numbers have so many parts.
pub(super) fn panel_len(steps: usize, parts: usize) -> usize {
    steps * parts * 2 * TILE
}

/// Which factor a panel belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Rows of the left factor.
    Left,
    /// Columns of the right one.
    Right,
}

/// The lines of a factor, rows of the left or columns of the right one, seen as
/// `numbers[line * line_stride + inner * inner_stride]`; one of the strides is 1.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    data: &'a [f32],
    count: usize,
    inner: usize,
    line_stride: usize,
    inner_stride: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn of(mat: &Mat<'a>, side: Side) -> Self {
        let data = mat.data;
        match side {
            Side::Left => Self {
                data,
                count: mat.rows,
                inner: mat.cols,
                line_stride: mat.row_stride,
                inner_stride: mat.col_stride,
            },
            Side::Right => Self {
                data,
                count: mat.cols,
                inner: mat.rows,
                line_stride: mat.col_stride,
                inner_stride: mat.row_stride,
            },
        }
    }

    /// Inner numbers of a line.
    pub(super) fn inner(&self) -> usize {
        self.inner
    }

    /// Whether inner numbers that follow each other do so in memory.
    pub(super) fn are_contiguous(&self) -> bool {
        self.inner_stride == 1
    }

    /// Asks for 16 numbers from `[line, inner]` on, which may lie beyond the edges.
    #[inline]
    fn fetch(&self, line: usize, inner: usize) {
        let at = line * self.line_stride + inner * self.inner_stride;
        // SAFETY: fetching reads nothing and never faults, whatever the address is.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(self.data.as_ptr().wrapping_add(at).cast()) };
    }

    /// `n` numbers from `[line, inner]` on along the extent that is contiguous in memory; none
    /// beyond the edges.
    #[inline]
    fn run(&self, line: usize, inner: usize, n: usize) -> &[f32] {
        if line >= self.count || inner >= self.inner {
            return &[];
        }
        let left = if self.inner_stride == 1 { self.inner - inner } else { self.count - line };
        &self.data[line * self.line_stride + inner * self.inner_stride..][..left.min(n)]
    }
}

/// Writes panels that follow each other, of so many steps, from line `first` on and from the inner
/// number `inner` on, as many as `out` has room for.
///
/// Numbers are read in their order in memory. So words come line by line, which is a left tile, or pair
/// by pair of inner numbers, which is a right one; tiles of the other side are transposed.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn pack<const PARTS: usize>(
    lines: &Lines<'_>,
    side: Side,
    from: (usize, usize),
    steps: usize,
    out: &mut [u16],
) {
    if lines.are_contiguous() {
        pack_along::<PARTS>(lines, side, from, steps, out);
    } else {
        pack_across::<PARTS>(lines, side, from, steps, out);
    }
}

/// Line by line, for lines whose inner numbers are contiguous.
#[target_feature(enable = "avx512f,avx512bf16")]
fn pack_along<const PARTS: usize>(
    lines: &Lines<'_>,
    side: Side,
    (first, inner): (usize, usize),
    steps: usize,
    out: &mut [u16],
) {
    const AHEAD: usize = 4; // lines
    for (panel, out) in out.chunks_exact_mut(panel_len(steps, PARTS)).enumerate() {
        for i in 0..PANEL {
            let line = first + panel * PANEL + i;
            for (step, out) in out.chunks_exact_mut(panel_len(1, PARTS)).enumerate() {
                let inner = inner + step * STEP;
                lines.fetch(line + AHEAD, inner);
                lines.fetch(line + AHEAD, inner + 16);
                let words = words_along::<PARTS>(lines.run(line, inner, STEP));
                place(out, i / 16, i % 16, words);
            }
        }
        if side == Side::Right {
            out.chunks_exact_mut(TILE).for_each(|tile| transpose(tile));
        }
    }
}

/// Pair by pair of inner numbers, for lines that follow each other in memory: a step of all panels after
/// the other, because they share the memory's rows.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack_across<const PARTS: usize>(
    lines: &Lines<'_>,
    side: Side,
    (first, inner): (usize, usize),
    steps: usize,
    out: &mut [u16],
) {
    const AHEAD: usize = STEP; // inner numbers
    let len = panel_len(1, PARTS);
    for step in 0..steps {
        for (panel, out) in out.chunks_exact_mut(steps * len).enumerate() {
            let out = &mut out[step * len..][..len];
            for pair in 0..16 {
                let inner = inner + step * STEP + 2 * pair;
                for half in 0..2 {
                    let line = first + panel * PANEL + 16 * half;
                    lines.fetch(line, inner + AHEAD);
                    lines.fetch(line, inner + AHEAD + 1);
                    let (even, odd) = (lines.run(line, inner, 16), lines.run(line, inner + 1, 16));
                    place(out, half, pair, words_across::<PARTS>(even, odd));
                }
            }
            if side == Side::Left {
                out.chunks_exact_mut(TILE).for_each(|tile| transpose(tile));
            }
        }
    }
}

/// Writes a row of words of a step's tiles: that of each part.
#[inline]
#[target_feature(enable = "avx512f")]
fn place<const PARTS: usize>(step: &mut [u16], half: usize, row: usize, words: [__m512i; PARTS]) {
    for (part, words) in words.into_iter().enumerate() {
        store(&mut step[(2 * part + half) * TILE + row * STEP..], words);
    }
}

/// The parts of the pairs of at most 32 inner numbers of a line.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn words_along<const PARTS: usize>(run: &[f32]) -> [__m512i; PARTS] {
    let (mut low, mut high) = (load(run), load(run.get(16..).unwrap_or(&[])));
    let mut parts = [_mm512_setzero_si512(); PARTS];
    for part in &mut parts {
        // SAFETY: both types are 512 bits without invalid patterns.
        *part = unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) };
        low = _mm512_sub_ps(low, widened(_mm512_castsi512_si256(*part)));
        high = _mm512_sub_ps(high, widened(_mm512_extracti64x4_epi64::<1>(*part)));
    }
    parts
}

/// The parts of the pairs of two neighboring inner numbers of at most 16 lines.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn words_across<const PARTS: usize>(even: &[f32], odd: &[f32]) -> [__m512i; PARTS] {
    const ALTERNATING: [u16; STEP] = {
        let mut order = [0; STEP];
        let mut i = 0;
        while i < STEP {
            order[i] = (i / 2 + i % 2 * 16) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: 64 bytes are there.
    let alternating = unsafe { _mm512_loadu_si512(ALTERNATING.as_ptr().cast()) };
    let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
    let (mut even, mut odd) = (load(even), load(odd));
    let mut parts = [_mm512_setzero_si512(); PARTS];
    for part in &mut parts {
        // SAFETY: both types are 512 bits without invalid patterns.
        let both =
            unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(odd, even)) };
        *part = _mm512_permutexvar_epi16(alternating, both);
        even = _mm512_sub_ps(even, _mm512_castsi512_ps(_mm512_slli_epi32::<16>(*part)));
        odd = _mm512_sub_ps(odd, _mm512_castsi512_ps(_mm512_and_si512(*part, upper)));
    }
    parts
}

/// Numbers of bf16 as f32.
#[inline]
#[target_feature(enable = "avx512f")]
fn widened(words: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(words)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(out: &mut [u16], words: __m512i) {
    let out = &mut out[..STEP];
    // SAFETY: `out` has the 64 bytes that are written.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), words) };
}

/// At most 16 numbers, zeros behind them.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(numbers: &[f32]) -> __m512 {
    let mask = if numbers.len() >= 16 { u16::MAX } else { (1 << numbers.len()) - 1 };
    // SAFETY: only the first `numbers.len()` numbers are read.
    unsafe { _mm512_maskz_loadu_ps(mask, numbers.as_ptr()) }
}

/// Exchanges rows and columns of the words of a tile.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(tile: &mut [u16]) {
    let tile = &mut tile[..TILE];
    let mut w = [_mm512_setzero_si512(); 16];
    for (w, row) in w.iter_mut().zip(tile.chunks_exact(STEP)) {
        // SAFETY: a row has the 64 bytes that are read.
        *w = unsafe { _mm512_loadu_si512(row.as_ptr().cast()) };
    }
    let mut pairs = w; // 2 x 2 blocks exchanged
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
