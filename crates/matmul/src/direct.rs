//! Small products, straight from where the factors lie.
//!
//! A product of a few dozen rows and columns, as attention has for the tokens of a small crop, is over before
//! its factors are packed. So sums of 6 rows and 64 columns stay in 24 registers, and for each inner
//! number
//!
//! ```text
//! sums[i, ..] += a[row + i, l] · b[l, column..column + 64]            i < 6
//! ```
//!
//! with the row of `b` in four registers, read where it lies. A transposed `b` is copied first, because
//! its rows do. Each number of the product is one sum in the order of `l`, whatever is beside it.
//!
//! For one thread, on AVX-512. Source of the blocking: Goto and van de Geijn (2008), without the packing.

use std::arch::x86_64::*;
use std::cell::RefCell;

use super::pack;
use super::{Mat, MatMut, Product, Write};

/// Rows of a block.
const ROWS: usize = 6;
/// Numbers of a register.
const LANES: usize = 16;

/// Where everything lies.
struct Places<'a> {
    a: *const f32,
    a_strides: (usize, usize), // of rows and columns
    b: *const f32,
    b_stride: usize, // of rows
    inner: usize,
    dst: *mut f32,
    dst_stride: usize,
    product: Product<'a>,
}

/// `dst = a b` as `product` wants it, on the calling thread.
///
/// # Safety
/// The shapes fit.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn multiply(dst: MatMut<'_>, a: &Mat<'_>, b: &Mat<'_>, product: Product<'_>) {
    if b.col_stride == 1 {
        // SAFETY: the shapes fit.
        return unsafe { multiply_by(dst, a, (b.data.as_ptr(), b.row_stride), product) };
    }
    thread_local!(static COPY: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) });
    COPY.with_borrow_mut(|copy| {
        transpose(b, copy);
        // SAFETY: the shapes fit, and the copy has as many rows and columns as `b`.
        unsafe { multiply_by(dst, a, (copy.as_ptr(), b.cols.next_multiple_of(LANES)), product) };
    });
}

/// The same where rows of `b` lie so far apart.
///
/// # Safety
/// As above.
#[target_feature(enable = "avx512f")]
unsafe fn multiply_by(
    dst: MatMut<'_>,
    a: &Mat<'_>,
    (b, b_stride): (*const f32, usize),
    product: Product<'_>,
) {
    let places = Places {
        a: a.data.as_ptr(),
        a_strides: (a.row_stride, a.col_stride),
        b,
        b_stride,
        inner: a.cols,
        dst: dst.data.as_mut_ptr(),
        dst_stride: dst.row_stride,
        product,
    };
    for column in (0..dst.cols).step_by(4 * LANES) {
        let width = (dst.cols - column).min(4 * LANES);
        for row in (0..dst.rows).step_by(ROWS) {
            let height = (dst.rows - row).min(ROWS);
            // SAFETY: the block lies in the matrices, whose extents `Mat` and `MatMut` proved.
            unsafe { places.multiply_block((row, height), (column, width)) };
        }
    }
}

/// Copies the rows of a transpose, dense but for their ends, which are filled to whole registers.
#[target_feature(enable = "avx512f")]
fn transpose(b: &Mat<'_>, copy: &mut Vec<f32>) {
    let stride = b.cols.next_multiple_of(LANES);
    copy.resize(copy.len().max(b.rows * stride), 0.0);
    let mut tile = [0u16; 2 * LANES * LANES];
    for column in (0..b.cols).step_by(LANES) {
        for row in (0..b.rows).step_by(LANES) {
            let (height, width) = (LANES.min(b.rows - row), LANES.min(b.cols - column));
            let mask = u16::MAX >> (LANES - height);
            for (j, line) in tile.chunks_exact_mut(2 * LANES).take(width).enumerate() {
                let from = &b.data[(column + j) * b.col_stride + row..][..height];
                // SAFETY: the numbers of the mask are there, and room for all.
                unsafe {
                    let numbers = _mm512_maskz_loadu_ps(mask, from.as_ptr());
                    _mm512_storeu_ps(line.as_mut_ptr().cast(), numbers);
                }
            }
            pack::transpose(&mut tile);
            for (i, line) in tile.chunks_exact(2 * LANES).take(height).enumerate() {
                let to = &mut copy[(row + i) * stride + column..][..LANES];
                // SAFETY: both have 64 bytes.
                unsafe {
                    _mm512_storeu_ps(to.as_mut_ptr(), _mm512_loadu_ps(line.as_ptr().cast()));
                }
            }
        }
    }
}

/// Calls a function with a block's rows and registers as constants.
macro_rules! with_constants {
    ($places:ident, $rows:expr, $registers:expr, $row:expr, $column:expr, [$($r:literal)+]) => {
        match ($rows, $registers) {
            $(
                ($r, 1) => $places.sum::<$r, 1>($row, $column),
                ($r, 2) => $places.sum::<$r, 2>($row, $column),
                ($r, 3) => $places.sum::<$r, 3>($row, $column),
                ($r, 4) => $places.sum::<$r, 4>($row, $column),
            )+
            _ => unreachable!("a block has up to six rows and four registers of columns"),
        }
    };
}

impl Places<'_> {
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
        // SAFETY: the caller's promise.
        unsafe {
            with_constants!(self, height, registers, row, (column, mask), [1 2 3 4 5 6]);
        }
    }

    /// Computes `R` rows and `V` registers of columns, of the last of which `mask` tells the numbers.
    ///
    /// # Safety
    /// They lie inside the matrices.
    #[target_feature(enable = "avx512f")]
    unsafe fn sum<const R: usize, const V: usize>(&self, row: usize, (column, mask): (usize, u16)) {
        let (a_row, a_column) = self.a_strides;
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        // SAFETY: the caller's promise; of the last register only the numbers of the mask are read.
        unsafe {
            let (a, b) = (self.a.add(row * a_row), self.b.add(column));
            for l in 0..self.inner {
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
        // SAFETY: the caller's promise; a bias has as many numbers as there are columns.
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

/// `V` registers, of the last of which only the numbers of the mask are read.
///
/// # Safety
/// So many numbers are there.
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
