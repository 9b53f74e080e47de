//! The backend that runs on every CPU: the crate `gemm-f32`, with operands rounded first for bf16.

use gemm_common::Parallelism;
use gemm_f32::gemm::f32::get_gemm_fn;
use pool::Buffer;

use crate::mat::{Mat, MatMut};
use crate::product::{Precision, Product, Threads, Write};

/// `dst = a b` as `product` says.
pub(crate) fn multiply(dst: MatMut<'_>, a: &Mat<'_>, b: &Mat<'_>, product: Product<'_>) {
    match product.precision {
        Precision::F32 => multiply_f32(dst, a, b, product),
        Precision::Bf16 => {
            let (a, b) = (Rounded::new(a), Rounded::new(b));
            multiply_f32(dst, &a.mat(), &b.mat(), product);
        }
    }
}

/// `dst = a b` as `product` says, in f32 whatever its precision is.
pub(crate) fn multiply_f32(mut dst: MatMut<'_>, a: &Mat<'_>, b: &Mat<'_>, product: Product<'_>) {
    let parallelism = match product.threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    if let Write::OverBias(bias) = product.write {
        dst.fill_rows(bias);
    }
    let add = product.write != Write::Over;
    // The kernels write columns. A row-major `dst` is therefore computed as dstᵀ = bᵀ aᵀ.
    let (strides, a_strides, b_strides) =
        ((1, dst.row_stride), (a.col_stride, a.row_stride), (b.col_stride, b.row_stride));
    let swap = |(first, second)| (second, first);
    let ((m, n), (dst_cs, dst_rs), (left, left_strides), (right, right_strides)) =
        if dst.row_stride > 1 {
            let sides = ((b.data, swap(b_strides)), (a.data, swap(a_strides)));
            ((dst.cols, dst.rows), swap(strides), sides.0, sides.1)
        } else {
            ((dst.rows, dst.cols), strides, (a.data, a_strides), (b.data, b_strides))
        };
    // SAFETY: `Mat` and `MatMut` checked that every element lies inside its slice, and the strides are
    // not negative. The caller matched the shapes. `dst` is borrowed mutably and its rows do not
    // overlap. With `read_dst` false the old contents are not read.
    unsafe {
        get_gemm_fn()(
            m,
            n,
            a.cols,
            dst.data.as_mut_ptr(),
            dst_cs as isize,
            dst_rs as isize,
            add,
            left.as_ptr(),
            left_strides.0 as isize,
            left_strides.1 as isize,
            right.as_ptr(),
            right_strides.0 as isize,
            right_strides.1 as isize,
            if add { 1.0 } else { 0.0 },
            product.scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// A row-major copy of an operand without gaps, rounded to bf16 and stored as f32.
pub(crate) struct Rounded {
    values: Buffer,
    rows: usize,
    cols: usize,
}

impl Rounded {
    pub(crate) fn new(mat: &Mat<'_>) -> Self {
        let (rows, cols) = (mat.rows, mat.cols);
        let mut values = Buffer::take(rows * cols);
        for (i, row) in values.chunks_exact_mut(cols.max(1)).enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                let exact = mat.data[i * mat.row_stride + j * mat.col_stride];
                *value = half::bf16::from_f32(exact).to_f32();
            }
        }
        Self { values, rows, cols }
    }

    pub(crate) fn mat(&self) -> Mat<'_> {
        Mat::new(&self.values, self.rows, self.cols)
    }
}
