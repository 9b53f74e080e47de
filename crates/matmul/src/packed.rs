//! Products of large matrices, block by block from packed panels ([`super::panels`]).
//!
//! Where there are rows enough for all threads, their panels are written by the tasks that use them:
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
//! rows for all threads, or the left factor is a transpose, whose rows share the memory's, both factors
//! are written in parallel, block by block, each while the one before is multiplied, and tasks are 32
//! rows by 384 columns. One thread alone, for a product inside a parallel loop, writes all panels of the
//! smaller factor and some of the other at a time, so that both stay in its second cache.
//!
//! Every number of the product is the same sum in the same order, whatever the extents, the way and the
//! number of threads are: how many rows there are beside it does not change a row.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ops::Range;

use rayon::prelude::*;

use super::pack::{Lines, PANEL, Side};
use super::panels::{Extent, Panels};
use super::tiles::{Block, Unit};
use super::{Mat, MatMut, Product, Threads, Write, dots};

/// Panels of rows of a task.
const TASK_ROWS: usize = 2;
/// Panels of columns of a task where there are tasks beside each other, which stay in the second cache
/// while its rows pass.
const TASK_COLUMNS: usize = 12;
/// Panels that one thread alone writes at a time of the larger factor.
const ALONE: usize = 4;
/// Tasks of all columns that keep a thread as busy as the others.
const TASKS: usize = 4;

/// Rows of a task.
pub(super) const BLOCK: usize = TASK_ROWS * PANEL;

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

/// A factor that is written as panels. Whoever makes one knows that the machine has what the method
/// needs.
#[derive(Clone, Copy)]
struct Factor<'a> {
    method: Method,
    side: Side,
    lines: Lines<'a>,
}

impl<'a> Factor<'a> {
    fn new(method: Method, side: Side, mat: &Mat<'a>) -> Self {
        Self { method, side, lines: Lines::of(mat, side) }
    }

    fn extents(&self) -> impl Iterator<Item = Extent> {
        Extent::blocks(self.lines.inner(), self.method.parts())
    }

    fn pack(&self, panels: Range<usize>, extent: Extent, threads: Threads) -> Panels {
        // SAFETY: every method needs AVX512-BF16, so the machine has it.
        unsafe { Panels::pack(&self.lines, self.side, panels, extent, threads) }
    }
}

/// A right factor as panels, for products with some rows at a time.
pub(super) struct Prepared {
    method: Method,
    blocks: Vec<(Extent, Panels)>,
}

impl Prepared {
    /// Writes the panels of `b` on all threads.
    ///
    /// # Safety
    /// The machine has what the method needs: the tile unit, or AVX512-BF16.
    pub(super) unsafe fn new(method: Method, b: &Mat<'_>) -> Self {
        let right = Factor::new(method, Side::Right, b);
        let columns = 0..b.cols.div_ceil(PANEL);
        let blocks = right.extents().map(|at| (at, right.pack(columns.clone(), at, Threads::All)));
        Self { method, blocks: blocks.collect() }
    }

    /// `dst = a b` as `product` wants it, on the calling thread.
    pub(super) fn multiply(&self, dst: MatMut<'_>, a: &Mat<'_>, product: Product<'_>) {
        let left = Factor::new(self.method, Side::Left, a);
        let output = Output::new(self.method, dst, product);
        let rows = output.place.panels().0;
        for first in (0..rows).step_by(TASK_ROWS) {
            self.multiply_rows(&left, &output, first..rows.min(first + TASK_ROWS));
        }
    }

    /// The same for some panels of rows.
    fn multiply_rows(&self, left: &Factor<'_>, output: &Output<'_>, rows: Range<usize>) {
        for (extent, right) in &self.blocks {
            let left = left.pack(rows.clone(), *extent, Threads::One);
            output.write(*extent, (&left, rows.clone()), (right, right.range()));
        }
    }
}

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
    let (left, right) = (Factor::new(method, Side::Left, a), Factor::new(method, Side::Right, b));
    let enough_rows = TASKS * rayon::current_num_threads() * BLOCK;
    let output = Output::new(method, dst, product);
    if product.threads == Threads::One {
        multiply_alone(&left, &right, &output);
    } else if left.lines.are_contiguous() && output.place.rows >= enough_rows {
        // SAFETY: the caller's promise.
        let right = unsafe { Prepared::new(method, b) };
        let rows = output.place.panels().0;
        (0..rows.div_ceil(TASK_ROWS)).into_par_iter().with_max_len(1).for_each(|task| {
            let rows = task * TASK_ROWS..rows.min((task + 1) * TASK_ROWS);
            right.multiply_rows(&left, &output, rows);
        });
    } else {
        multiply_by_blocks(&left, &right, &output);
    }
}

/// One block of the inner extent after the other, on all threads; a thread that has nothing to multiply
/// writes panels of the next one.
fn multiply_by_blocks(left: &Factor<'_>, right: &Factor<'_>, output: &Output<'_>) {
    let (rows, columns) = output.place.panels();
    let pack = |extent| {
        let left = || left.pack(0..rows, extent, Threads::All);
        let right = || right.pack(0..columns, extent, Threads::All);
        (extent, rayon::join(left, right))
    };
    let multiply = |(extent, (left, right)): (Extent, (Panels, Panels))| {
        let tasks = rows * columns.div_ceil(TASK_COLUMNS);
        (0..tasks).into_par_iter().with_max_len(1).for_each(|task| {
            // Tasks that follow each other share columns, which are in the cache then.
            let (row, column) = (task % rows, task / rows * TASK_COLUMNS);
            let columns = column..columns.min(column + TASK_COLUMNS);
            output.write(extent, (&left, row..row + 1), (&right, columns));
        });
    };
    let mut extents = left.extents();
    let mut panels = extents.next().map(pack);
    while let Some(block) = panels {
        let next = extents.next();
        ((), panels) = rayon::join(|| multiply(block), || next.map(pack));
    }
}

/// One block of the inner extent after the other, on the calling thread: all panels of the smaller
/// factor, and of the other a few at a time.
fn multiply_alone(left: &Factor<'_>, right: &Factor<'_>, output: &Output<'_>) {
    let (rows, columns) = output.place.panels();
    let some = |first: usize, all: usize| first..all.min(first + ALONE);
    for extent in left.extents() {
        if rows <= columns {
            let left = left.pack(0..rows, extent, Threads::One);
            for columns in (0..columns).step_by(ALONE).map(|first| some(first, columns)) {
                let right = right.pack(columns, extent, Threads::One);
                output.write(extent, (&left, 0..rows), (&right, right.range()));
            }
        } else {
            let right = right.pack(0..columns, extent, Threads::One);
            for rows in (0..rows).step_by(ALONE).map(|first| some(first, rows)) {
                let left = left.pack(rows, extent, Threads::One);
                output.write(extent, (&left, left.range()), (&right, 0..columns));
            }
        }
    }
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

    /// Asks for the memory of a block, which comes while its panels are multiplied.
    #[inline]
    fn fetch(&self, (row, column): (usize, usize)) {
        for i in row..self.rows.min(row + PANEL) {
            let line = self.data.wrapping_add(i * self.row_stride + column);
            for half in [line, line.wrapping_add(PANEL / 2)] {
                // SAFETY: fetching reads nothing and never faults, whatever the address is.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(half.cast()) };
            }
        }
    }
}

// SAFETY: tasks write disjoint blocks, and the matrix is borrowed mutably as long as they run.
unsafe impl Send for Place {}
// SAFETY: as above; nothing is read through a shared `Place` that another task writes.
unsafe impl Sync for Place {}

/// A product's destination.
struct Output<'a> {
    method: Method,
    place: Place,
    product: Product<'a>,
}

impl<'a> Output<'a> {
    fn new(method: Method, dst: MatMut<'a>, product: Product<'a>) -> Self {
        let MatMut { data, rows, cols, row_stride } = dst;
        Self { method, place: Place { data: data.as_mut_ptr(), rows, cols, row_stride }, product }
    }

    /// Adds what a block of the inner extent has to these rows and columns, or puts it there.
    fn write(
        &self,
        extent: Extent,
        (left, rows): (&Panels, Range<usize>),
        (right, columns): (&Panels, Range<usize>),
    ) {
        // SAFETY: whoever chose this method knows that the unit is there.
        let unit = (self.method != Method::Dots).then(|| unsafe { Unit::open() });
        let mut block: Block = [0.0; PANEL * PANEL];
        for column in columns {
            for row in rows.clone() {
                let corner = (row * PANEL, column * PANEL);
                self.place.fetch(corner);
                let panels = (left.get(row), right.get(column));
                self.multiply(unit.as_ref(), panels, extent.steps, &mut block);
                // Later blocks of inner numbers are added to what the first one wrote.
                let write = if extent.inner == 0 { self.product.write } else { Write::Add };
                // SAFETY: whoever chose a method knows that there is AVX-512.
                unsafe { self.store(corner, &block, write) };
            }
        }
    }

    #[inline]
    fn multiply(
        &self,
        unit: Option<&Unit>,
        (left, right): (&[u16], &[u16]),
        steps: usize,
        block: &mut Block,
    ) {
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
    fn store(&self, (row, column): (usize, usize), block: &Block, write: Write<'_>) {
        let Place { data, rows, cols, row_stride } = self.place;
        let (height, width) = (PANEL.min(rows - row), PANEL.min(cols - column));
        let bias = match write {
            Write::OverBias(bias) => Some(&bias[column..column + width]),
            Write::Over | Write::Add => None,
        };
        let how = Store { bias, scale: self.product.scale, add: write == Write::Add };
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
