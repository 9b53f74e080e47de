//! The packed backends: matmuls of large matrices, block by block from packed panels
//! ([`super::panels`]). A microkernel multiplies one panel of each operand to a `[32, 32]` block of sums.
//!
//! With enough rows for all threads, each task packs its own rows of the left operand:
//!
//! ```text
//! for each block of 384 along k
//!     pack the right operand                                    in parallel over panels
//! for each task: 64 rows of the destination                     in parallel
//!     for each block of 384 along k
//!         pack these rows of the left operand
//!         multiply pairs of panels and write the sums to the destination
//! ```
//!
//! A task's panels and its rows of the destination stay in the L2 cache.
//!
//! Two cases need another order: too few rows for all threads, and a transposed left operand, whose rows
//! share cache lines. Both operands are then packed in parallel, one block of k at a time, each while the
//! block before is multiplied. A task is 32 rows by 384 columns of the destination.
//!
//! A single thread, for a matmul inside a parallel loop, packs the smaller operand whole and the larger
//! one a few panels at a time, so that both stay in its L2 cache.
//!
//! All three orders give the same bits. An element of the destination is the sum of its blocks of k in
//! ascending order, whatever m, n and the number of threads are.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ops::Range;

use rayon::prelude::*;

use super::amx::Amx;
use super::pack::{Lines, Operand, PANEL, Sums};
use super::panels::{KBlock, Panels};
use super::{Mat, MatMut, Product, Threads, Write, avx512_bf16};

/// Panels of rows of a task that computes whole rows.
const TASK_ROW_PANELS: usize = 2;
/// Rows of a task that computes whole rows.
pub(super) const TASK_ROWS: usize = TASK_ROW_PANELS * PANEL;
/// Most panels of columns of a task that computes part of a row. They stay in the L2 cache while the
/// tasks of all rows use them.
const TASK_COLUMN_PANELS: usize = 12;
/// Panels of the larger operand that a single thread packs at a time.
const ONE_THREAD_PANELS: usize = 4;
/// Least number of tasks per thread for tasks of whole rows. With fewer, threads would wait for the last
/// task.
const MIN_TASKS_PER_THREAD: usize = 4;

/// The code that multiplies a pair of panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Microkernel {
    /// AMX, operands rounded to bf16.
    AmxBf16,
    /// AMX, f32 operands in three bf16 parts.
    AmxSplitF32,
    /// `vdpbf16ps` of AVX512-BF16, operands rounded to bf16.
    Avx512Bf16,
}

impl Microkernel {
    /// Parts that a value is split into.
    fn parts(self) -> usize {
        if self == Self::AmxSplitF32 { 3 } else { 1 }
    }
}

/// Packs panels of one operand for a microkernel.
#[derive(Clone, Copy)]
struct Packer<'a> {
    microkernel: Microkernel,
    operand: Operand,
    lines: Lines<'a>,
}

impl<'a> Packer<'a> {
    /// # Safety
    /// The CPU has the instructions of the microkernel, and AVX-512 F, BW and VL.
    unsafe fn new(microkernel: Microkernel, operand: Operand, mat: &Mat<'a>) -> Self {
        Self { microkernel, operand, lines: Lines::new(mat, operand) }
    }

    fn k_blocks(&self) -> impl Iterator<Item = KBlock> {
        KBlock::all(self.lines.k(), self.microkernel.parts())
    }

    fn pack(&self, panels: Range<usize>, k_block: KBlock, threads: Threads) -> Panels {
        // SAFETY: the caller of `new` promised the instructions of the microkernel. Every microkernel
        // needs AVX512-BF16.
        unsafe { Panels::pack(&self.lines, self.operand, panels, k_block, threads) }
    }
}

/// A packed right operand, for matmuls of some rows at a time.
pub(super) struct Prepared {
    microkernel: Microkernel,
    blocks: Vec<(KBlock, Panels)>,
}

impl Prepared {
    /// Packs all panels of `b` on all threads.
    ///
    /// # Safety
    /// The CPU has the instructions of the microkernel, and AVX-512 F, BW and VL.
    pub(super) unsafe fn new(microkernel: Microkernel, b: &Mat<'_>) -> Self {
        // SAFETY: the caller's promise.
        let right = unsafe { Packer::new(microkernel, Operand::Right, b) };
        let columns = 0..b.cols.div_ceil(PANEL);
        let blocks = right.k_blocks().map(|k| (k, right.pack(columns.clone(), k, Threads::All)));
        Self { microkernel, blocks: blocks.collect() }
    }

    /// `dst = a b` as `product` says, on the calling thread.
    pub(super) fn multiply(&self, dst: MatMut<'_>, a: &Mat<'_>, product: Product<'_>) {
        // SAFETY: the caller of `new` promised the instructions of this microkernel.
        let left = unsafe { Packer::new(self.microkernel, Operand::Left, a) };
        // SAFETY: as above.
        let output = unsafe { Output::new(self.microkernel, dst, product) };
        let rows = output.destination.panels().0;
        for first in (0..rows).step_by(TASK_ROW_PANELS) {
            self.multiply_rows(&left, &output, first..rows.min(first + TASK_ROW_PANELS));
        }
    }

    /// Computes the rows of these panels of the left operand.
    fn multiply_rows(&self, left: &Packer<'_>, output: &Output<'_>, rows: Range<usize>) {
        for (k_block, right) in &self.blocks {
            let left = left.pack(rows.clone(), *k_block, Threads::One);
            output.write(*k_block, (&left, rows.clone()), (right, right.range()));
        }
    }
}

/// `dst = a b` as `product` says.
///
/// # Safety
/// The CPU has the instructions of the microkernel, and AVX-512 F, BW and VL.
pub(super) unsafe fn multiply(
    microkernel: Microkernel,
    dst: MatMut<'_>,
    a: &Mat<'_>,
    b: &Mat<'_>,
    product: Product<'_>,
) {
    // SAFETY: the caller's promise.
    let left = unsafe { Packer::new(microkernel, Operand::Left, a) };
    // SAFETY: the caller's promise.
    let right = unsafe { Packer::new(microkernel, Operand::Right, b) };
    let enough_rows = MIN_TASKS_PER_THREAD * rayon::current_num_threads() * TASK_ROWS;
    // SAFETY: the caller's promise.
    let output = unsafe { Output::new(microkernel, dst, product) };
    if product.threads == Threads::One {
        multiply_on_one_thread(&left, &right, &output);
    } else if left.lines.are_contiguous() && output.destination.rows >= enough_rows {
        // SAFETY: the caller's promise.
        let right = unsafe { Prepared::new(microkernel, b) };
        let rows = output.destination.panels().0;
        (0..rows.div_ceil(TASK_ROW_PANELS)).into_par_iter().with_max_len(1).for_each(|task| {
            let rows = task * TASK_ROW_PANELS..rows.min((task + 1) * TASK_ROW_PANELS);
            right.multiply_rows(&left, &output, rows);
        });
    } else {
        multiply_by_k_blocks(&left, &right, &output);
    }
}

/// Multiplies one block of k after the other on all threads. Threads without a task pack the next block.
fn multiply_by_k_blocks(left: &Packer<'_>, right: &Packer<'_>, output: &Output<'_>) {
    let (rows, columns) = output.destination.panels();
    let pack = |k_block| {
        let left = || left.pack(0..rows, k_block, Threads::All);
        let right = || right.pack(0..columns, k_block, Threads::All);
        (k_block, rayon::join(left, right))
    };
    let multiply = |(k_block, (left, right)): (KBlock, (Panels, Panels))| {
        let tasks = rows * columns.div_ceil(TASK_COLUMN_PANELS);
        (0..tasks).into_par_iter().with_max_len(1).for_each(|task| {
            // Consecutive tasks have the same columns, whose panels are in the cache then.
            let (row, column) = (task % rows, task / rows * TASK_COLUMN_PANELS);
            let columns = column..columns.min(column + TASK_COLUMN_PANELS);
            output.write(k_block, (&left, row..row + 1), (&right, columns));
        });
    };
    let mut k_blocks = left.k_blocks();
    let mut packed = k_blocks.next().map(pack);
    while let Some(block) = packed {
        let next = k_blocks.next();
        ((), packed) = rayon::join(|| multiply(block), || next.map(pack));
    }
}

/// Multiplies one block of k after the other on the calling thread: all panels of the smaller operand, and
/// a few panels of the larger one at a time.
fn multiply_on_one_thread(left: &Packer<'_>, right: &Packer<'_>, output: &Output<'_>) {
    let (rows, columns) = output.destination.panels();
    let group = |first: usize, all: usize| first..all.min(first + ONE_THREAD_PANELS);
    for k_block in left.k_blocks() {
        if rows <= columns {
            let left = left.pack(0..rows, k_block, Threads::One);
            for first in (0..columns).step_by(ONE_THREAD_PANELS) {
                let right = right.pack(group(first, columns), k_block, Threads::One);
                output.write(k_block, (&left, 0..rows), (&right, right.range()));
            }
        } else {
            let right = right.pack(0..columns, k_block, Threads::One);
            for first in (0..rows).step_by(ONE_THREAD_PANELS) {
                let left = left.pack(group(first, rows), k_block, Threads::One);
                output.write(k_block, (&left, left.range()), (&right, 0..columns));
            }
        }
    }
}

/// The matrix that is written. It holds a raw pointer because tasks write disjoint blocks of the same rows.
#[derive(Clone, Copy)]
struct Destination {
    data: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl Destination {
    /// Panels of rows and panels of columns. The last of each may be partly filled.
    fn panels(&self) -> (usize, usize) {
        (self.rows.div_ceil(PANEL), self.cols.div_ceil(PANEL))
    }

    /// Prefetches a block into the L1 cache. It arrives while the block's panels are multiplied.
    #[inline]
    fn prefetch(&self, (row, column): (usize, usize)) {
        for i in row..self.rows.min(row + PANEL) {
            let line = self.data.wrapping_add(i * self.row_stride + column);
            for half in [line, line.wrapping_add(PANEL / 2)] {
                // SAFETY: a prefetch is a hint and never faults, whatever the address is.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(half.cast()) };
            }
        }
    }
}

// SAFETY: the pointer comes from a `MatMut` that stays borrowed while tasks run, and f32 may be written
// from any thread.
unsafe impl Send for Destination {}
// SAFETY: tasks that share a `Destination` access disjoint blocks: `multiply_rows` and
// `multiply_by_k_blocks` give each block to one task at a time.
unsafe impl Sync for Destination {}

/// Writes sums to the destination as the `Product` says.
struct Output<'a> {
    microkernel: Microkernel,
    destination: Destination,
    product: Product<'a>,
}

impl<'a> Output<'a> {
    /// # Safety
    /// The CPU has the instructions of the microkernel, and AVX-512 F and VL.
    unsafe fn new(microkernel: Microkernel, dst: MatMut<'a>, product: Product<'a>) -> Self {
        let MatMut { data, rows, cols, row_stride } = dst;
        let destination = Destination { data: data.as_mut_ptr(), rows, cols, row_stride };
        Self { microkernel, destination, product }
    }

    /// Multiplies these panels of rows and columns over one block of k, and writes or adds the sums.
    fn write(
        &self,
        k_block: KBlock,
        (left, rows): (&Panels, Range<usize>),
        (right, columns): (&Panels, Range<usize>),
    ) {
        let needs_amx = self.microkernel != Microkernel::Avx512Bf16;
        // SAFETY: the caller of `new` promised the instructions of this microkernel.
        let amx = needs_amx.then(|| unsafe { Amx::configure() });
        let mut sums: Sums = [0.0; PANEL * PANEL];
        for column in columns {
            for row in rows.clone() {
                let corner = (row * PANEL, column * PANEL);
                self.destination.prefetch(corner);
                let panels = (left.get(row), right.get(column));
                self.multiply(amx.as_ref(), panels, k_block.steps, &mut sums);
                // The first block of k does what the product says. Later ones are added to it.
                let write = if k_block.start == 0 { self.product.write } else { Write::Add };
                // SAFETY: the caller of `new` promised AVX-512.
                unsafe { self.store(corner, &sums, write) };
            }
        }
    }

    /// `sums = left · right` for a pair of panels.
    #[inline]
    fn multiply(
        &self,
        amx: Option<&Amx>,
        (left, right): (&[u16], &[u16]),
        steps: usize,
        sums: &mut Sums,
    ) {
        match amx {
            Some(amx) if self.microkernel == Microkernel::AmxBf16 => {
                amx.multiply(left, right, steps, sums);
            }
            Some(amx) => amx.multiply_split(left, right, steps, sums),
            None => {
                let (left, right) = (bytemuck::cast_slice(left), bytemuck::cast_slice(right));
                // SAFETY: the caller of `new` promised the instructions of this microkernel.
                unsafe { avx512_bf16::multiply(left, right, steps, sums) };
            }
        }
    }

    /// Writes the part of a block of sums that lies inside the destination.
    #[target_feature(enable = "avx512f,avx512vl")]
    fn store(&self, (row, column): (usize, usize), sums: &Sums, write: Write<'_>) {
        let Destination { data, rows, cols, row_stride } = self.destination;
        let (height, width) = (PANEL.min(rows - row), PANEL.min(cols - column));
        let bias = match write {
            Write::OverBias(bias) => Some(&bias[column..column + width]),
            Write::Over | Write::Add => None,
        };
        let epilogue = Epilogue { bias, scale: self.product.scale, add: write == Write::Add };
        // SAFETY: `row` and `column` lie inside the matrix, so this element does, too.
        let corner = unsafe { data.add(row * row_stride + column) };
        for (i, sums) in sums.chunks_exact(PANEL).take(height).enumerate() {
            // SAFETY: these rows and columns lie inside the matrix, and `MatMut` checked that the matrix
            // lies inside its slice. No other task accesses this block.
            let out = unsafe { std::slice::from_raw_parts_mut(corner.add(i * row_stride), width) };
            store_row(out, sums, epilogue);
        }
    }
}

/// What is done to sums before they are written.
#[derive(Clone, Copy)]
struct Epilogue<'a> {
    bias: Option<&'a [f32]>,
    scale: f32,
    add: bool,
}

/// `out = scale · sums`, plus the bias or the old contents.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn store_row(out: &mut [f32], sums: &[f32], Epilogue { bias, scale, add }: Epilogue<'_>) {
    let sums = out.iter_mut().zip(sums);
    match bias {
        _ if add => sums.for_each(|(out, sum)| *out += scale * sum),
        None => sums.for_each(|(out, sum)| *out = scale * sum),
        Some(bias) => sums.zip(bias).for_each(|((out, sum), bias)| *out = scale * sum + bias),
    }
}
