//! `Panels` holds packed panels of one operand over a block of k.

use std::ops::Range;

use rayon::prelude::*;

use pool::Buffer;

use super::Threads;
use super::pack::{self, Lines, Operand, PANEL, STEP, panel_len};

/// Values of a line in a block of k. A panel then takes 24 KiB, or 72 KiB in three parts.
const K_BLOCK: usize = 384;
/// Most panels of interleaved lines in a packing task. Such panels share cache lines.
const MAX_PANELS_PER_PACKING_TASK: usize = 12;

// Only the last block of an operand may end in the middle of a step.
const _: () = assert!(K_BLOCK.is_multiple_of(STEP));

/// A block of k: the positions `start..` of `steps` steps.
#[derive(Clone, Copy)]
pub(super) struct KBlock {
    pub(super) start: usize,
    pub(super) steps: usize,
    parts: usize, // of each value
}

impl KBlock {
    /// The blocks of k, in ascending order, for values in `parts` parts.
    pub(super) fn all(k: usize, parts: usize) -> impl Iterator<Item = Self> {
        (0..k).step_by(K_BLOCK).map(move |start| {
            let steps = K_BLOCK.min(k - start).div_ceil(STEP);
            Self { start, steps, parts }
        })
    }
}

/// Consecutive panels of an operand over one block of k.
pub(super) struct Panels {
    memory: Buffer,
    range: Range<usize>, // their indices among all panels of the operand
    len: usize,          // of a panel, in bf16 values
}

impl Panels {
    /// Packs the panels in `range`.
    ///
    /// # Safety
    /// The CPU has AVX-512 (F, BW, VL) and AVX512-BF16.
    pub(super) unsafe fn pack(
        lines: &Lines<'_>,
        operand: Operand,
        range: Range<usize>,
        KBlock { start, steps, parts }: KBlock,
        threads: Threads,
    ) -> Self {
        let (len, count) = (panel_len(steps, parts), range.len());
        let mut memory = Buffer::take(len * count / 2);
        let words: &mut [u16] = bytemuck::cast_slice_mut(&mut memory);
        let per_task = match lines.are_contiguous() {
            true => 1,
            false => count.div_ceil(2).min(MAX_PANELS_PER_PACKING_TASK),
        };
        let pack = |(task, out): (usize, &mut [u16])| {
            let from = ((range.start + task * per_task) * PANEL, start);
            // SAFETY: the caller promises the instructions that `pack` is compiled for.
            unsafe {
                match parts {
                    1 => pack::pack::<1>(lines, operand, from, steps, out),
                    _ => pack::pack::<3>(lines, operand, from, steps, out),
                }
            };
        };
        match threads {
            Threads::One => words.chunks_mut(per_task * len).enumerate().for_each(pack),
            Threads::All => {
                words.par_chunks_mut(per_task * len).enumerate().with_max_len(1).for_each(pack);
            }
        }
        Self { memory, range, len }
    }

    /// The indices of these panels among all panels of the operand.
    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The panel with this index, which must be in [`Self::range`].
    #[inline]
    pub(super) fn get(&self, panel: usize) -> &[u16] {
        &bytemuck::cast_slice(&self.memory)[(panel - self.range.start) * self.len..][..self.len]
    }
}
