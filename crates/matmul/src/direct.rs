//! The direct backend: small f32 matmuls on AVX-512, without packing.
//!
//! Attention over the tokens of a small crop multiplies matrices of a few dozen rows and columns. Packing
//! them would take a large part of the time. Here sums of 6 rows and 64 columns stay in 24 registers while
//! the operands are read where they lie:
//!
//! ```text
//! for each l < k:   sums[i, ..] += a[row + i, l] · b[l, column..column + 64]        i < 6
//! ```
//!
//! A row of `b` takes four registers. A transposed `b` is copied first, so that its rows are contiguous.
//! Every element of the destination is one sum in ascending order of `l`, whatever m and n are.
//!
//! It computes on the calling thread. Source of the blocking: Goto and van de Geijn, *Anatomy of
//! high-performance matrix multiplication*, ACM TOMS 34 (2008), without the packing.

use std::arch::x86_64::*;
use std::cell::RefCell;

use super::pack;
use super::{Mat, MatMut, Product, Write};

/// Rows of a block of sums.
const ROWS: usize = 6;
/// f32 values of a register.
const LANES: usize = 16;
/// Columns of a block of sums.
const COLUMNS: usize = 4 * LANES;

// `transpose` below uses the transpose of a packed tile, whose words have the size of an f32.
const _: () = assert!(2 * LANES * LANES == pack::TILE);

/// The matrices as raw pointers with strides.
struct Operands<'a> {
    a: *const f32,
    a_strides: (usize, usize), // of rows and columns
    b: *const f32,
    b_stride: usize, // of rows; columns are contiguous
    k: usize,
    dst: *mut f32,
    dst_stride: usize, // of rows
    product: Product<'a>,
}

/// `dst = a b` as `product` says, on the calling thread.
///
/// # Safety
/// The shapes match: `a` is `[m, k]`, `b` is `[k, n]`, `dst` is `[m, n]`, a bias is `[n]`.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn multiply(dst: MatMut<'_>, a: &Mat<'_>, b: &Mat<'_>, product: Product<'_>) {
    if b.col_stride == 1 {
        // SAFETY: the caller's promise; the rows of `b` are contiguous.
        return unsafe { multiply_by_rows(dst, a, (b.data.as_ptr(), b.row_stride), product) };
    }
    thread_local!(static COPY: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });
    COPY.with_borrow_mut(|copy| {
        let stride = copy_rows(b, copy);
        // SAFETY: the caller's promise; the copy has the rows and columns of `b`.
        unsafe { multiply_by_rows(dst, a, (copy.as_ptr(), stride), product) };
    });
}

/// The same for a `b` with contiguous rows, given as a pointer and a row stride.
///
/// # Safety
/// The shapes match.
#[target_feature(enable = "avx512f")]
unsafe fn multiply_by_rows(
    dst: MatMut<'_>,
    a: &Mat<'_>,
    (b, b_stride): (*const f32, usize),
    product: Product<'_>,
) {
    let operands = Operands {
        a: a.data.as_ptr(),
        a_strides: (a.row_stride, a.col_stride),
        b,
        b_stride,
        k: a.cols,
        dst: dst.data.as_mut_ptr(),
        dst_stride: dst.row_stride,
        product,
    };
    for column in (0..dst.cols).step_by(COLUMNS) {
        let width = (dst.cols - column).min(COLUMNS);
        for row in (0..dst.rows).step_by(ROWS) {
            let height = (dst.rows - row).min(ROWS);
            // SAFETY: the block lies inside `dst`. The shapes match, and `Mat` and `MatMut` checked that
            // the matrices lie inside their slices.
            unsafe { operands.multiply_block((row, height), (column, width)) };
        }
    }
}

/// Copies a transposed `b` so that its rows are contiguous. Rows are padded to whole registers. Returns
/// their stride.
#[target_feature(enable = "avx512f")]
fn copy_rows(b: &Mat<'_>, copy: &mut Vec<f32>) -> usize {
    let stride = b.cols.next_multiple_of(LANES);
    copy.resize(copy.len().max(b.rows * stride), 0.0);
    let mut tile = [0u16; 2 * LANES * LANES];
    for column in (0..b.cols).step_by(LANES) {
        for row in (0..b.rows).step_by(LANES) {
            let (height, width) = (LANES.min(b.rows - row), LANES.min(b.cols - column));
            let mask = u16::MAX >> (LANES - height);
            for (j, line) in tile.chunks_exact_mut(2 * LANES).take(width).enumerate() {
                let from = &b.data[(column + j) * b.col_stride + row..][..height];
                // SAFETY: the mask selects the `height` values of `from`; `line` has room for a register.
                unsafe {
                    let values = _mm512_maskz_loadu_ps(mask, from.as_ptr());
                    _mm512_storeu_ps(line.as_mut_ptr().cast(), values);
                }
            }
            pack::transpose(&mut tile);
            for (i, line) in tile.chunks_exact(2 * LANES).take(height).enumerate() {
                let to = &mut copy[(row + i) * stride + column..][..LANES];
                // SAFETY: both slices have the 64 bytes of a register.
                unsafe {
                    _mm512_storeu_ps(to.as_mut_ptr(), _mm512_loadu_ps(line.as_ptr().cast()));
                }
            }
        }
    }
    stride
}

/// Calls `sum` with the rows and registers of a block as constants.
macro_rules! with_constants {
    ($operands:ident, $rows:expr, $registers:expr, $row:expr, $column:expr, [$($r:literal)+]) => {
        match ($rows, $registers) {
            $(
                ($r, 1) => $operands.sum::<$r, 1>($row, $column),
                ($r, 2) => $operands.sum::<$r, 2>($row, $column),
                ($r, 3) => $operands.sum::<$r, 3>($row, $column),
                ($r, 4) => $operands.sum::<$r, 4>($row, $column),
            )+
            _ => unreachable!("a block has up to six rows and four registers of columns"),
        }
    };
}

impl Operands<'_> {
    /// Computes a block of the destination: up to 6 rows and 64 columns.
    ///
    /// # Safety
    /// The block lies inside the matrices.
    #[target_feature(enable = "avx512f")]
    unsafe fn multiply_block(
        &self,
        (row, height): (usize, usize),
        (column, width): (usize, usize),
    ) {
        let registers = width.div_ceil(LANES);
        let mask = u16::MAX >> (registers * LANES - width);
        // SAFETY: the caller's promise; the mask selects the columns of the last register.
        unsafe {
            with_constants!(self, height, registers, row, (column, mask), [1 2 3 4 5 6]);
        }
    }

    /// Computes `R` rows and `V` registers of columns. `mask` selects the columns of the last register.
    ///
    /// # Safety
    /// The rows and the selected columns lie inside the matrices.
    #[target_feature(enable = "avx512f")]
    unsafe fn sum<const R: usize, const V: usize>(&self, row: usize, (column, mask): (usize, u16)) {
        let (a_row, a_column) = self.a_strides;
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        // SAFETY: the caller's promise; `l` is below k, and only selected columns are read.
        unsafe {
            let (a, b) = (self.a.add(row * a_row), self.b.add(column));
            for l in 0..self.k {
                let b = load::<V>(b.add(l * self.b_stride), mask);
                let a = a.add(l * a_column);
                for (i, sums) in sums.iter_mut().enumerate() {
                    let a = _mm512_set1_ps(*a.add(i * a_row));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = _mm512_fmadd_ps(a, b, *sum);
                    }
                }
            }
            for (i, sums) in sums.into_iter().enumerate() {
                self.store(row + i, (column, mask), sums);
            }
        }
    }

    /// Writes one row of sums.
    ///
    /// # Safety
    /// As for [`sum`](Self::sum).
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store<const V: usize>(
        &self,
        row: usize,
        (column, mask): (usize, u16),
        sums: [__m512; V],
    ) {
        let scale = _mm512_set1_ps(self.product.scale);
        // SAFETY: the caller's promise; a bias has one value per column.
        unsafe {
            let out = self.dst.add(row * self.dst_stride + column);
            let added = match self.product.write {
                Write::Over => [_mm512_setzero_ps(); V],
                Write::OverBias(bias) => load::<V>(bias.as_ptr().add(column), mask),
                Write::Add => load::<V>(out, mask),
            };
            for (j, (sum, added)) in sums.into_iter().zip(added).enumerate() {
                let mask = if j + 1 == V { mask } else { u16::MAX };
                _mm512_mask_storeu_ps(out.add(j * LANES), mask, _mm512_fmadd_ps(scale, sum, added));
            }
        }
    }
}

/// Loads `V` registers. Of the last one only the values selected by `mask` are read.
///
/// # Safety
/// All values that are read are valid: `V - 1` registers and the selected values of the last one.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load<const V: usize>(from: *const f32, mask: u16) -> [__m512; V] {
    let mut registers = [_mm512_setzero_ps(); V];
    for (j, register) in registers.iter_mut().enumerate() {
        let mask = if j + 1 == V { mask } else { u16::MAX };
        // SAFETY: the caller's promise.
        *register = unsafe { _mm512_maskz_loadu_ps(mask, from.add(j * LANES)) };
    }
    registers
}
