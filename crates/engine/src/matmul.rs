//! Matrix products: the only place that calls `gemm`.
//!
//! `gemm` 0.19.0 never splits the inner dimension among threads, so the number of threads does not
//! change a bit of the result (a sweep in the tests holds it to that; the version is pinned). One
//! row's bits may depend on how many rows the product has.

use gemm::Parallelism;

/// A matrix seen through strides: rows, columns and where they lie in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// A dense row-major matrix.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A matrix whose rows lie `row_stride` apart: some columns of a wider one.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check_extent(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transpose, without a copy.
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// A matrix to write to.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// A dense row-major matrix.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A matrix whose rows lie `row_stride` apart.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check_extent(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride }
    }
}

fn check_extent(len: usize, rows: usize, cols: usize, row_stride: usize) {
    assert!(
        cols <= row_stride || rows <= 1,
        "rows of {cols} numbers overlap at {row_stride} apart"
    );
    let needed = if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row_stride + cols };
    assert!(needed <= len, "a [{rows}, {cols}] matrix needs {needed} numbers, found {len}");
}

/// What happens to the old contents of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// They are replaced.
    Over,
    /// The product is added to them.
    Add,
}

/// Who computes a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread: for products inside a parallel loop.
    One,
    /// All threads of the pool.
    All,
}

/// `dst = scale · a b`, or `dst += scale · a b`.
///
/// # Shapes
/// `a` is `[m, k]`, `b` is `[k, n]`, `dst` is `[m, n]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul(dst: MatMut<'_>, write: Write, scale: f32, a: Mat<'_>, b: Mat<'_>, threads: Threads) {
    assert_eq!(a.cols, b.rows, "inner extents differ");
    assert_eq!((dst.rows, dst.cols), (a.rows, b.cols), "the destination has another shape");
    if dst.rows == 0 || dst.cols == 0 {
        return;
    }
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    let add = write == Write::Add;
    // SAFETY: `check_extent` proved for all three matrices that the last element of the last row lies
    // inside its slice, and strides are not negative; `dst` is borrowed mutably and its rows do not
    // overlap; with `read_dst` false the old contents are not read.
    unsafe {
        gemm::gemm(
            dst.rows,
            dst.cols,
            a.cols,
            dst.data.as_mut_ptr(),
            1,
            dst.row_stride as isize,
            add,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            if add { 1.0 } else { 0.0 },
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests;
