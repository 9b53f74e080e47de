//! The panels of one factor over a block of inner numbers.

use std::ops::Range;

use rayon::prelude::*;

use pool::Buffer;

use super::Threads;
use super::pack::{self, Lines, PANEL, STEP, Side, panel_len};

/// Inner numbers of a block: a panel is 24 KiB, or 72 KiB in three parts.
const INNER: usize = 384;
/// Panels that are packed together where their lines share the memory's rows, at most.
const TOGETHER: usize = 12;

/// A block of inner numbers: the first one, how many steps there are, parts of each number.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) inner: usize,
    pub(super) steps: usize,
    parts: usize,
}

impl Extent {
    /// The blocks of so many inner numbers, in their order.
    pub(super) fn blocks(inner: usize, parts: usize) -> impl Iterator<Item = Self> {
        (0..inner).step_by(INNER).map(move |first| {
            let steps = INNER.min(inner - first).div_ceil(STEP);
            Self { inner: first, steps, parts }
        })
    }
}

/// Some panels of a factor.
pub(super) struct Panels {
    memory: Buffer,
    range: Range<usize>,
    len: usize, // of a panel, in bf16 numbers
}

impl Panels {
    /// Writes the panels in `range`.
    ///
    /// # Safety
    /// The machine has AVX512-BF16.
    pub(super) unsafe fn pack(
        lines: &Lines<'_>,
        side: Side,
        range: Range<usize>,
        Extent { inner, steps, parts }: Extent,
        threads: Threads,
    ) -> Self {
        let (len, count) = (panel_len(steps, parts), range.len());
        let mut memory = Buffer::take(len * count / 2);
        let words: &mut [u16] = bytemuck::cast_slice_mut(&mut memory);
        let together = if lines.are_contiguous() { 1 } else { count.div_ceil(2).min(TOGETHER) };
        let pack = |(group, out): (usize, &mut [u16])| {
            let from = ((range.start + group * together) * PANEL, inner);
            // SAFETY: the caller's promise.
            unsafe {
                match parts {
                    1 => pack::pack::<1>(lines, side, from, steps, out),
                    _ => pack::pack::<3>(lines, side, from, steps, out),
                }
            };
        };
        match threads {
            Threads::One => words.chunks_mut(together * len).enumerate().for_each(pack),
            Threads::All => {
                words.par_chunks_mut(together * len).enumerate().with_max_len(1).for_each(pack);
            }
        }
        Self { memory, range, len }
    }

    /// Which panels these are.
    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// One of them, by its number among all of the factor.
    #[inline]
    pub(super) fn get(&self, panel: usize) -> &[u16] {
        &bytemuck::cast_slice(&self.memory)[(panel - self.range.start) * self.len..][..self.len]
    }
}
