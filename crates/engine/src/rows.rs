//! Rows in parallel, in blocks of a fixed number, so that no sum depends on the number of threads.

use rayon::prelude::*;

use crate::simd::vectorize;

/// Rows of one piece of work. Small enough to balance threads, large enough to hide the hand-over.
pub const BLOCK: usize = 32;

/// Calls `kernel(first_row, block)` for every block of rows of `out`, a `[rows, width]` matrix.
pub fn for_each_block(
    out: &mut [f32],
    width: usize,
    kernel: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    out.par_chunks_mut((BLOCK * width).max(1)).enumerate().for_each(|(block, out)| {
        vectorize(|| kernel(block * BLOCK, out));
    });
}

/// Sums over rows: `kernel(rows, partial)` adds the rows of one block to a partial result of `width`
/// zeros; the partial results are added to `total` in the order of the blocks.
pub fn add_column_sums(
    total: &mut [f32],
    rows: usize,
    kernel: impl Fn(std::ops::Range<usize>, &mut [f32]) + Send + Sync,
) {
    // More rows in a block than elsewhere: every block costs a partial result.
    const ROWS: usize = 4 * BLOCK;
    let width = total.len();
    let mut partial = crate::pool::Buffer::zeros(rows.div_ceil(ROWS) * width);
    partial.par_chunks_mut(width.max(1)).enumerate().for_each(|(block, partial)| {
        let range = block * ROWS..rows.min((block + 1) * ROWS);
        vectorize(|| kernel(range, partial));
    });
    for partial in partial.chunks_exact(width.max(1)) {
        for (total, partial) in total.iter_mut().zip(partial) {
            *total += partial;
        }
    }
}

/// Row `i` of a `[_, width]` matrix.
#[inline(always)]
pub fn row(matrix: &[f32], width: usize, i: usize) -> &[f32] {
    &matrix[i * width..(i + 1) * width]
}
