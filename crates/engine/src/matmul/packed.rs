//! Products of large matrices, block by block from packed panels ([`super::pack`]).
//!
//! ```text
//! for each block of 384 inner numbers
//!     write the right factor as panels                        in parallel over panels
//! for each task, 64 rows of the product                       in parallel
//!     for each block of 384 inner numbers
//!         write these rows of the left factor as panels
//!         multiply pairs of panels, and add or put the result where it belongs
//! ```
//!
//! so that a task's panels and its part of the product stay in the second cache. Where there are too few
//! rows for all threads, or the left factor is a transpose, as in gradients of weights, so that its rows
//! share the memory's, both factors are written in parallel, block by block, and tasks are 64 rows by 384
//! columns.
//!
//! Every number of the product is the same sum in the same order, whatever the extents and the number
//! of threads are: how many rows there are beside it does not change a row.

use std::ops::Range;

use rayon::prelude::*;

use super::pack::{self, Lines, PANEL, STEP, Side, panel_len};
use super::tiles::{Block, Unit};
use super::{Mat, MatMut, Product, Threads, Write, dots};
use crate::pool::Buffer;

/// Inner numbers of a block: a panel is 24 KiB, or 72 KiB in three parts.
const INNER: usize = 384;
/// Panels of rows of a task.
const TASK_ROWS: usize = 2;
/// Panels of columns of a task where there are tasks beside each other, which stay in the second cache
/// while its rows pass.
const TASK_COLUMNS: usize = 12;
/// Tasks of all columns that keep a thread as busy as the others.
const TASKS: usize = 4;
/// Panels that are packed together where their lines share the memory's rows, at most.
const TOGETHER: usize = 12;

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
    first: usize, // panel
    len: usize,   // of a panel, in bf16 numbers
}

/// Where the product is written: raw, because tasks write disjoint parts of the same rows.
#[derive(Clone, Copy)]
struct Place {
    data: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl Place {
    /// Panels of rows and of columns, of which the last may be partly filled.
    fn panels(&self) -> (usize, usize) {
        (self.rows.div_ceil(PANEL), self.cols.div_ceil(PANEL))
    }
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
    let all = Multiplication { method, left, right, place, product };
    let threads = if product.threads == Threads::All { rayon::current_num_threads() } else { 1 };
    let has_enough_rows = dst.rows >= TASKS * threads * TASK_ROWS * PANEL;
    if left.are_contiguous() && has_enough_rows { all.run_by_rows() } else { all.run_by_blocks() }
}

/// Two factors and where their product goes. Whoever makes one knows that the machine has what the
/// method needs.
struct Multiplication<'a> {
    method: Method,
    left: Lines<'a>,
    right: Lines<'a>,
    place: Place,
    product: Product<'a>,
}

impl Multiplication<'_> {
    /// All of the right factor first, then some rows after others.
    fn run_by_rows(&self) {
        let parts: Vec<_> = self.extents().map(|extent| self.part(extent)).collect();
        let (rows, columns) = self.place.panels();
        for_each(self.product.threads, rows.div_ceil(TASK_ROWS), |task| {
            let rows = task * TASK_ROWS..rows.min((task + 1) * TASK_ROWS);
            for part in &parts {
                let left = self.pack(Side::Left, rows.clone(), part.extent, Threads::One);
                part.run(&left, rows.clone(), 0..columns);
            }
        });
    }

    /// One block of the inner extent after the other.
    fn run_by_blocks(&self) {
        let (rows, columns) = self.place.panels();
        let down = rows.div_ceil(TASK_ROWS);
        for extent in self.extents() {
            let left = self.pack(Side::Left, 0..rows, extent, self.product.threads);
            let part = self.part(extent);
            for_each(self.product.threads, down * columns.div_ceil(TASK_COLUMNS), |task| {
                // Tasks that follow each other share columns, which are in the cache then.
                let (row, column) = (task % down * TASK_ROWS, task / down * TASK_COLUMNS);
                let columns = column..columns.min(column + TASK_COLUMNS);
                part.run(&left, row..rows.min(row + TASK_ROWS), columns);
            });
        }
    }

    fn extents(&self) -> impl Iterator<Item = Extent> {
        let (all, parts) = (self.left.inner(), self.method.parts());
        (0..all).step_by(INNER).map(move |inner| {
            let steps = INNER.min(all - inner).div_ceil(STEP);
            Extent { inner, steps, parts }
        })
    }

    fn part(&self, extent: Extent) -> Part<'_> {
        let columns = 0..self.place.panels().1;
        let right = self.pack(Side::Right, columns, extent, self.product.threads);
        Part { all: self, extent, right }
    }

    fn pack(&self, side: Side, panels: Range<usize>, extent: Extent, threads: Threads) -> Panels {
        let lines = if side == Side::Left { &self.left } else { &self.right };
        // SAFETY: every method needs AVX512-BF16, so the machine has it.
        unsafe { Panels::pack(lines, side, panels, extent, threads) }
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
        panels: Range<usize>,
        Extent { inner, steps, parts }: Extent,
        threads: Threads,
    ) -> Self {
        let (len, count) = (panel_len(steps, parts), panels.len());
        let mut memory = Buffer::take(len * count / 2);
        let words: &mut [u16] = bytemuck::cast_slice_mut(&mut memory);
        let together = if lines.are_contiguous() { 1 } else { count.div_ceil(2).min(TOGETHER) };
        let pack = |(group, out): (usize, &mut [u16])| {
            let from = ((panels.start + group * together) * PANEL, inner);
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
        Self { memory, first: panels.start, len }
    }

    fn get(&self, panel: usize) -> &[u16] {
        &bytemuck::cast_slice(&self.memory)[(panel - self.first) * self.len..][..self.len]
    }
}

/// The part of a product that a block of inner numbers has.
struct Part<'a> {
    all: &'a Multiplication<'a>,
    extent: Extent,
    right: Panels,
}

impl Part<'_> {
    fn run(&self, left: &Panels, rows: Range<usize>, columns: Range<usize>) {
        // SAFETY: whoever chose this method knows that the unit is there.
        let unit = (self.all.method != Method::Dots).then(|| unsafe { Unit::open() });
        let mut block: Block = [0.0; PANEL * PANEL];
        for column in columns {
            for row in rows.clone() {
                self.multiply(unit.as_ref(), left.get(row), self.right.get(column), &mut block);
                // SAFETY: whoever chose a method knows that there is AVX-512.
                unsafe { self.store(row * PANEL, column * PANEL, &block) };
            }
        }
    }

    fn multiply(&self, unit: Option<&Unit>, left: &[u16], right: &[u16], block: &mut Block) {
        let steps = self.extent.steps;
        match unit {
            Some(unit) if self.all.method == Method::Tiles => {
                unit.multiply(left, right, steps, block);
            }
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
        let Multiplication { place: Place { data, rows, cols, row_stride }, product, .. } =
            *self.all;
        let (height, width) = (PANEL.min(rows - row), PANEL.min(cols - column));
        // Later blocks of inner numbers are added to what the first one wrote.
        let write = if self.extent.inner == 0 { product.write } else { Write::Add };
        let bias = match write {
            Write::OverBias(bias) => Some(&bias[column..column + width]),
            Write::Over | Write::Add => None,
        };
        let how = Store { bias, scale: product.scale, add: write == Write::Add };
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
