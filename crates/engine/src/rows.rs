//! Rows in parallel, in blocks of a fixed number, so that no sum depends on the number of threads.

use rayon::iter::MaxLen;
use rayon::prelude::*;

use dispatch::kernel;

/// A loop whose items go to the threads one by one.
///
/// Left to itself, rayon gives two threads a quarter of a loop at a time, which no other thread can take
/// over. Threads are not equally fast, on a shared host least of all, and each loop waits for the last.
pub trait OneByOne: IndexedParallelIterator {
    /// The same items, each a piece of work that any thread may take.
    fn one_by_one(self) -> MaxLen<Self> {
        self.with_max_len(1)
    }
}

impl<I: IndexedParallelIterator> OneByOne for I {}

/// Rows of one piece of work. Small enough to balance threads, large enough to hide the hand-over.
pub const BLOCK: usize = 32;

/// Calls `kernel(first_row, block)` for every block of rows of `out`, a `[rows, width]` matrix.
pub fn for_each_block(
    out: &mut [f32],
    width: usize,
    kernel: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    out.par_chunks_mut((BLOCK * width).max(1)).enumerate().one_by_one().for_each(|(block, out)| {
        kernel(block * BLOCK, out);
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
    partial.par_chunks_mut(width.max(1)).enumerate().one_by_one().for_each(|(block, partial)| {
        let range = block * ROWS..rows.min((block + 1) * ROWS);
        kernel(range, partial);
    });
    add_partials(total, &partial, (width, 0));
}

/// Adds partial results to `total`, in their order: of each, which has `width` numbers, those from `first`
/// on.
pub fn add_partials(total: &mut [f32], partials: &[f32], (width, first): (usize, usize)) {
    const PIECE: usize = 4096; // numbers for a thread
    total.par_chunks_mut(PIECE).enumerate().one_by_one().for_each(|(piece, total)| {
        for partial in partials.chunks_exact(width.max(1)) {
            add(total, &partial[first + piece * PIECE..][..total.len()]);
        }
    });
}

kernel! {
    /// `to += from`.
    pub fn add(to: &mut [f32], from: &[f32]) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
    }
}

kernel! {
    /// `sums += Σ rows`, for a `[_, sums.len()]` matrix.
    pub fn add_rows(sums: &mut [f32], rows: &[f32]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
}
