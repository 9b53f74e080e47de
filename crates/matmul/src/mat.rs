//! `Mat` and `MatMut` are views of matrices in slices: a shape and strides.
//!
//! Their constructors prove what the unsafe code of this crate relies on: every element of the matrix
//! lies inside its slice.

/// A read-only matrix: a shape and strides over a slice.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<'a> Mat<'a> {
    /// A row-major matrix without gaps.
    ///
    /// # Panics
    /// If `data` has fewer than `rows · cols` values.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `row_stride` values apart, for example some columns of a
    /// wider matrix.
    ///
    /// # Panics
    /// If rows overlap, or if the last row ends beyond `data`.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check_fits(data.len(), rows, cols, row_stride);
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

/// A matrix to write to: row-major, with a row stride.
#[derive(Debug)]
pub struct MatMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// A row-major matrix without gaps.
    ///
    /// # Panics
    /// If `data` has fewer than `rows · cols` values.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `row_stride` values apart. Values between the rows are never
    /// written.
    ///
    /// # Panics
    /// If rows overlap, or if the last row ends beyond `data`.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        check_fits(data.len(), rows, cols, row_stride);
        Self { data, rows, cols, row_stride }
    }
}

impl MatMut<'_> {
    /// Writes `row`, `[cols]`, to every row.
    pub(crate) fn fill_rows(&mut self, row: &[f32]) {
        for i in 0..self.rows {
            self.data[i * self.row_stride..][..self.cols].copy_from_slice(row);
        }
    }
}

fn check_fits(len: usize, rows: usize, cols: usize, row_stride: usize) {
    assert!(
        cols <= row_stride || rows <= 1,
        "rows of {cols} values overlap with a row stride of {row_stride}"
    );
    let needed = if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row_stride + cols };
    assert!(needed <= len, "a [{rows}, {cols}] matrix needs {needed} values, found {len}");
}
