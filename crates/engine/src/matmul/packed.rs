//! Products of large matrices, block by block from packed panels.
//!
//! ```text
//! for each block of 512 inner numbers
//!     write both factors as panels ([`super::pack`])          in parallel over panels
//!     for each task, 64 rows by 384 columns of the product    in parallel
//!         multiply pairs of panels, and add or put the result where it belongs
//! ```
//!
//! Every number of the product is the same sum in the same order, whatever the extents and the number
//! of threads are: how many rows there are beside it does not change a row.

use rayon::prelude::*;

use super::pack::{self, Lines, PANEL, STEP, Side, panel_len};
use super::tiles::{Block, Unit};
use super::{Mat, MatMut, Product, Threads, Write, dots};
use crate::pool::Buffer;

/// Inner numbers of a block: a panel is 32 KiB.
const INNER: usize = 512;
/// Panels of rows of a task.
const TASK_ROWS: usize = 2;
/// Panels of columns of a task, which stay in the second cache while its rows pass.
const TASK_COLUMNS: usize = 12;

/// Panels that are packed together where their lines share the memory's rows, at most.
const TOGETHER: usize = 8;

/// How panels are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// On the tile unit, factors rounded to bf16.
    Tiles,
    /// On the tile unit, f32 factors in three parts.
    SplitTiles,
    /// By dot products of pairs, factors rounded to bf16.
    Dots,
}

impl Method {
    /// Parts that a number is written in.
    fn parts(self) -> usize {
        if self == Self::SplitTiles { 3 } else { 1 }
    }
}

/// A block of inner numbers: the first one, how many steps there are, parts of each number.
#[derive(Clone, Copy)]
struct Extent {
    inner: usize,
    steps: usize,
    parts: usize,
}

/// The panels of one factor over a block of inner numbers.
struct Panels {
    memory: Buffer,
    len: usize, // of a panel, in bf16 numbers
    steps: usize,
}

/// Where the product is written: raw, because tasks write disjoint parts of the same rows.
#[derive(Clone, Copy)]
struct Place {
    data: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
}

// SAFETY: tasks write disjoint blocks, and the matrix is borrowed mutably as long as they run.
unsafe impl Send for Place {}
// SAFETY: as above; nothing is read through a shared `Place` that another task writes.
unsafe impl Sync for Place {}

/// `dst = a b` as `product` wants it.
///
/// # Safety
/// The machine has what the method needs: the tile unit, or AVX512-BF16.
pub(super) unsafe fn multiply(
    method: Method,
    dst: MatMut<'_>,
    a: &Mat<'_>,
    b: &Mat<'_>,
    product: Product<'_>,
) {
    let place = Place {
        data: dst.data.as_mut_ptr(),
        rows: dst.rows,
        cols: dst.cols,
        row_stride: dst.row_stride,
    };
    let (left, right) = (Lines::of(a, Side::Left), Lines::of(b, Side::Right));
    for inner in (0..a.cols).step_by(INNER) {
        let steps = INNER.min(a.cols - inner).div_ceil(STEP);
        let extent = Extent { inner, steps, parts: method.parts() };
        // SAFETY: the caller's promise.
        let left = unsafe { Panels::pack(&left, Side::Left, extent, product.threads) };
        // SAFETY: the same.
        let right = unsafe { Panels::pack(&right, Side::Right, extent, product.threads) };
        let write = if inner == 0 { product.write } else { Write::Add };
        let part = Part { method, place, left, right, write, scale: product.scale };
        let tasks =
            place.rows.div_ceil(PANEL * TASK_ROWS) * place.cols.div_ceil(PANEL * TASK_COLUMNS);
        for_each(product.threads, tasks, |task| part.run(task));
    }
}

/// Calls `work` for each of so many tasks.
fn for_each(threads: Threads, tasks: usize, work: impl Fn(usize) + Send + Sync) {
    match threads {
        Threads::One => (0..tasks).for_each(work),
        Threads::All => (0..tasks).into_par_iter().for_each(work),
    }
}

impl Panels {
    /// # Safety
    /// The machine has AVX512-BF16.
    unsafe fn pack(
        lines: &Lines<'_>,
        side: Side,
        Extent { inner, steps, parts }: Extent,
        threads: Threads,
    ) -> Self {
        let (len, count) = (panel_len(steps, parts), lines.count().div_ceil(PANEL));
        let mut memory = Buffer::take(len * count / 2);
        let words: &mut [u16] = bytemuck::cast_slice_mut(&mut memory);
        let together = if lines.are_contiguous() { 1 } else { count.div_ceil(2).min(TOGETHER) };
        let pack = |(group, out): (usize, &mut [u16])| {
            let from = (group * together * PANEL, inner);
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
            Threads::All => words.par_chunks_mut(together * len).enumerate().for_each(pack),
        }
        Self { memory, len, steps }
    }

    fn get(&self, panel: usize) -> &[u16] {
        &bytemuck::cast_slice(&self.memory)[panel * self.len..][..self.len]
    }
}

/// The part of a product that a block of inner numbers has.
struct Part<'a> {
    method: Method,
    place: Place,
    left: Panels,
    right: Panels,
    write: Write<'a>,
    scale: f32,
}

impl Part<'_> {
    fn run(&self, task: usize) {
        let (row_panels, column_panels) =
            (self.place.rows.div_ceil(PANEL), self.place.cols.div_ceil(PANEL));
        // Tasks that follow each other share columns, which are in the cache then.
        let tasks = row_panels.div_ceil(TASK_ROWS);
        let (rows, columns) = (task % tasks * TASK_ROWS, task / tasks * TASK_COLUMNS);
        // SAFETY: whoever chose this method knows that the unit is there.
        let unit = (self.method != Method::Dots).then(|| unsafe { Unit::open() });
        let mut block: Block = [0.0; PANEL * PANEL];
        for column in columns..column_panels.min(columns + TASK_COLUMNS) {
            for row in rows..row_panels.min(rows + TASK_ROWS) {
                self.multiply(unit.as_ref(), row, column, &mut block);
                // SAFETY: whoever chose a method knows that there is AVX-512.
                unsafe { self.store(row * PANEL, column * PANEL, &block) };
            }
        }
    }

    fn multiply(&self, unit: Option<&Unit>, row: usize, column: usize, block: &mut Block) {
        let (left, right, steps) = (self.left.get(row), self.right.get(column), self.left.steps);
        match unit {
            Some(unit) if self.method == Method::Tiles => unit.multiply(left, right, steps, block),
            Some(unit) => unit.multiply_split(left, right, steps, block),
            None => {
                let (left, right) = (bytemuck::cast_slice(left), bytemuck::cast_slice(right));
                // SAFETY: whoever chose this method knows that the instructions are there.
                unsafe { dots::multiply(left, right, steps, block) };
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512vl")]
    fn store(&self, row: usize, column: usize, block: &Block) {
        let Place { data, rows, cols, row_stride } = self.place;
        let (height, width) = (PANEL.min(rows - row), PANEL.min(cols - column));
        let bias = match self.write {
            Write::OverBias(bias) => Some(&bias[column..column + width]),
            Write::Over | Write::Add => None,
        };
        let how = Store { bias, scale: self.scale, add: self.write == Write::Add };
        // SAFETY: `row` and `column` lie inside the matrix, so this is a place in it.
        let corner = unsafe { data.add(row * row_stride + column) };
        for (i, sums) in block.chunks_exact(PANEL).take(height).enumerate() {
            // SAFETY: the rows and columns of the block lie inside the matrix, whose extent `MatMut`
            // proved; no other task writes them.
            let out = unsafe { std::slice::from_raw_parts_mut(corner.add(i * row_stride), width) };
            store_row(out, sums, how);
        }
    }
}

/// What happens to sums on their way to the matrix.
#[derive(Clone, Copy)]
struct Store<'a> {
    bias: Option<&'a [f32]>,
    scale: f32,
    add: bool,
}

/// `out = scale · sums`, plus the bias or what was there.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn store_row(out: &mut [f32], sums: &[f32], Store { bias, scale, add }: Store<'_>) {
    let sums = out.iter_mut().zip(sums);
    match bias {
        _ if add => sums.for_each(|(out, sum)| *out += scale * sum),
        None => sums.for_each(|(out, sum)| *out = scale * sum),
        Some(bias) => sums.zip(bias).for_each(|((out, sum), bias)| *out = scale * sum + bias),
    }
}
