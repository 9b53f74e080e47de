//! Parallel loops over rows, in blocks of a fixed size, so that no sum depends on the number of threads.
//!
//! Every parallel loop of this crate has `with_max_len(1)`: each block is a task of its own. By default
//! rayon gives a thread a quarter of the loop at a time. A slow thread then holds up the whole loop,
//! because no other thread can take over what it has not yet started.

use rayon::prelude::*;

use dispatch::kernel;

/// Rows of a task: few enough to balance the threads, enough to hide the cost of a task.
pub const BLOCK: usize = 32;

/// Calls `kernel(first_row, block)` for every block of rows of `out`, a `[rows, width]` matrix.
pub fn for_each_block(
    out: &mut [f32],
    width: usize,
    kernel: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    out.par_chunks_mut((BLOCK * width).max(1)).enumerate().with_max_len(1).for_each(
        |(block, out)| {
            kernel(block * BLOCK, out);
        },
    );
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
    let mut partial = pool::Buffer::zeros(rows.div_ceil(ROWS) * width);
    partial.par_chunks_mut(width.max(1)).enumerate().with_max_len(1).for_each(
        |(block, partial)| {
            let range = block * ROWS..rows.min((block + 1) * ROWS);
            kernel(range, partial);
        },
    );
    add_partials(total, &partial, Part { stride: width, first: 0 });
}

/// The part of every partial result that [`add_partials`] adds.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Values of a partial result.
    pub stride: usize,
    /// The first one to add.
    pub first: usize,
}

/// Adds a part of every partial result to `total`, in their order.
pub fn add_partials(total: &mut [f32], partials: &[f32], part: Part) {
    const PIECE: usize = 4096; // values for a task
    total.par_chunks_mut(PIECE).enumerate().with_max_len(1).for_each(|(piece, total)| {
        for partial in partials.chunks_exact(part.stride.max(1)) {
            add(total, &partial[part.first + piece * PIECE..][..total.len()]);
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
