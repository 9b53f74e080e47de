//! `Prepared` is a right operand that is packed once and multiplied many times.

use crate::mat::{Mat, MatMut};
use crate::product::{Precision, Product, Threads};
#[cfg(target_arch = "x86_64")]
use crate::{backend, packed};
use crate::{check_shapes, matmul};

/// A right operand `[k, n]`, packed once, for matmuls of some rows at a time inside a parallel loop.
///
/// Operations use it to keep rows in the L2 cache from one matmul to the next.
///
/// ```
/// use matmul::{Mat, MatMut, Precision, Prepared, Product};
///
/// let b = [1.0, 2.0, 3.0, 4.0]; // [2, 2]
/// let prepared = Prepared::new(Mat::new(&b, 2, 2), Precision::F32);
/// let mut row = [0.0; 2];
/// prepared.multiply(MatMut::new(&mut row, 1, 2), Mat::new(&[1.0, 1.0], 1, 2), Product::ONE);
/// assert_eq!(row, [4.0, 6.0]);
/// ```
pub struct Prepared<'a> {
    mat: Mat<'a>,
    precision: Precision,
    #[cfg(target_arch = "x86_64")]
    packed: Option<packed::Prepared>,
}

impl<'a> Prepared<'a> {
    /// Packs `mat` on all threads, if a packed backend multiplies it.
    pub fn new(mat: Mat<'a>, precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        let packed = backend::microkernel(mat.rows, mat.cols, precision).map(|microkernel| {
            // SAFETY: `microkernel` returns only what this CPU has instructions for.
            unsafe { packed::Prepared::new(microkernel, &mat) }
        });
        Self {
            mat,
            precision,
            #[cfg(target_arch = "x86_64")]
            packed,
        }
    }

    /// How many rows to pass to one [`Self::multiply`], out of `rows` in all.
    ///
    /// For a packed operand it is the number of rows whose panels fit the L2 cache. Otherwise every call
    /// reads the whole operand again, so it is larger.
    pub fn rows_per_call(&self, rows: usize) -> usize {
        #[cfg(target_arch = "x86_64")]
        if self.packed.is_some() {
            return packed::TASK_ROWS;
        }
        (rows / 8).next_multiple_of(32).clamp(64, 512)
    }

    /// [`matmul`] of `a` and this operand on the calling thread. The `threads` and `precision` of
    /// `product` are ignored.
    ///
    /// For a packed operand, rows have the same bits as in one [`matmul`] of all rows with
    /// [`Threads::All`].
    ///
    /// # Shapes
    /// `a` is `[m, k]`, `dst` is `[m, n]`.
    ///
    /// # Panics
    /// If the shapes do not match.
    pub fn multiply(&self, dst: MatMut<'_>, a: Mat<'_>, product: Product<'_>) {
        let product = Product { precision: self.precision, threads: Threads::One, ..product };
        check_shapes(&dst, &a, &self.mat, &product);
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &self.packed {
            return packed.multiply(dst, &a, product);
        }
        matmul(dst, a, self.mat, product);
    }
}
