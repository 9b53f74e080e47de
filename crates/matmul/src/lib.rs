//! Matrix multiplication (GEMM) of f32 and bf16 operands on the CPU, with the same bits for any number
//! of threads.
//!
//! ```text
//! dst = scale · A B   + 0, a bias or the old contents of dst
//! ```
//!
//! The operands are `A` `[m, k]` and `B` `[k, n]`; the destination is `[m, n]`. All three are f32 in
//! memory. With [`Precision::Bf16`] the operands are rounded to bf16 before they are multiplied. Sums are
//! f32 in any case.
//!
//! # Example
//!
//! ```
//! use matmul::{Mat, MatMut, Product, matmul};
//!
//! let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [2, 3], row-major
//! let weight = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0]; // [2, 3]
//! let bias = [0.5, -0.5];
//! let mut y = [0.0; 4]; // [2, 2]
//!
//! // y = x weightᵀ + bias, on all threads
//! matmul(
//!     MatMut::new(&mut y, 2, 2),
//!     Mat::new(&x, 2, 3),
//!     Mat::new(&weight, 2, 3).t(),
//!     Product::ALL.with_bias(&bias),
//! );
//! assert_eq!(y, [1.5, 4.5, 4.5, 10.5]);
//! ```
//!
//! # Backends
//!
//! [`matmul`] runs the first backend in this table whose conditions all hold. They depend on the CPU
//! ([`dispatch::level`]), on the precision, on k and n, and on [`Threads`]. m matters only for f32 on
//! AMX inside a parallel loop. The number of threads never matters.
//!
//! | backend | CPU | precision | k and n | with `Threads::All` | with `Threads::One` |
//! | --- | --- | --- | --- | --- | --- |
//! | AMX, bf16 | AMX | bf16 | k ≥ 16, n ≥ 16 | any m | any m |
//! | AMX, f32 in three bf16 parts | AMX | f32 | k ≥ 96, n ≥ 128 | any m | m ≥ 128 |
//! | AVX512-BF16 | AVX512-BF16, not AMX | bf16 | k ≥ 16, n ≥ 16 | any m | any m |
//! | direct: AVX-512 without packing | AVX-512 | f32 | k ≤ 128, n ≤ 128 | never | any m |
//! | the crate [`gemm_f32`] | any | f32, bf16 | any | any m | any m |
//!
//! The first three pack their operands into panels of bf16 and are called the packed backends below.
//! [`gemm_f32`] has no bf16 instructions: its operands are rounded first and then multiplied as f32, which
//! takes longer than f32 alone. [`is_native`] reports whether a precision avoids this.
//!
//! # What is bit-identical
//!
//! For the same operands, on the same CPU with the same [`dispatch::level`]:
//!
//! | change | bits of `dst` |
//! | --- | --- |
//! | number of threads in the pool | never change |
//! | `Threads::One` instead of `Threads::All` | the same for bf16; the same for f32 if m ≥ [`THREADS_AGREE_FROM`] and k > [`THREADS_AGREE_FROM`] |
//! | other rows of `A`, or more or fewer of them | a row keeps its bits in the packed and direct backends, as long as the backend is the same |
//! | strides, or a transposed view of the same values | the same in the packed and direct backends |
//! | [`Prepared::multiply`] instead of [`matmul`] with `Threads::All` | the same in the packed backends |
//!
//! `gemm_f32` promises none of this, so two statements rest on its pinned version 0.19.0. It never splits
//! the sum over k among threads, and a test compares its bits for 1, 2, 3 and 7 threads. Its blocking
//! may depend on m, so the bits of a row may change with the number of rows.
//!
//! Other CPUs and other levels run other backends, with other bits.
//!
//! # Accuracy
//!
//! * f32 with `gemm` and the direct backend: fused multiply-adds in f32.
//! * f32 on AMX: each operand is the sum of three bf16 parts, and six of the nine products of parts are
//!   added. What is left out is below 2⁻²²·⁹ |a b| for each product a b, and mostly far below. The root mean
//!   square error of `dst` is no larger than with `gemm` where magnitudes range over 2^±8. It is at most
//!   1.25 times as large over 2^±50, where one product is nearly the whole sum
//!   (`every_f32_backend_is_as_accurate_as_gemm`).
//! * bf16: operands are rounded to nearest, ties to even. A product of two bf16 values is exact in f32.
//! * AMX and AVX512-BF16 treat subnormal values as zero (Intel SDM, `TDPBF16PS`, `VDPBF16PS`).
//! * A NaN or an infinity in row i of `A` or column j of `B` leaves row i or column j of `dst` not finite.
//!   f32 on AMX may turn an infinity into NaN: its second part is ∞ − ∞.
//!
//! # Layouts
//!
//! [`Mat`] is a row-major view whose rows are any number of values apart, or the transpose of such a
//! view. [`MatMut`] is row-major; values between its rows are not written. Memory needs no alignment.
//! Views that do not fit their slice and shapes that do not match panic: they are a caller's mistake.
//!
//! # Threads and memory
//!
//! [`Threads::All`] uses the rayon pool of the calling thread. [`Threads::One`] computes on the calling
//! thread; use it for matmuls inside a parallel loop. Packed panels live in buffers of [`pool`], which
//! later calls reuse.
//!
//! # Unsafe code
//!
//! Everything that multiplies is unsafe code: intrinsics, assembly and the call of `gemm`. It rests on two
//! facts. [`Mat`] and [`MatMut`] check on construction that every element lies inside their slice. A
//! backend runs only if [`dispatch::level`] found its instructions on this CPU.

mod backend;
mod mat;
mod portable;
mod prepared;
mod product;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
#[cfg(target_arch = "x86_64")]
mod direct;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(target_arch = "x86_64")]
mod packed;
#[cfg(target_arch = "x86_64")]
mod panels;

pub use backend::{THREADS_AGREE_FROM, is_native};
pub use mat::{Mat, MatMut};
pub use prepared::Prepared;
pub use product::{Precision, Product, Threads, Write};

use backend::Backend;

/// Multiplies `a` by `b` into `dst`, as `product` says.
///
/// The crate documentation describes backends, accuracy and which results are bit-identical.
///
/// # Shapes
/// `a` is `[m, k]`, `b` is `[k, n]`, `dst` is `[m, n]`, a bias is `[n]`. All may be 0; with k = 0 the
/// product of `a` and `b` is zero.
///
/// # Panics
/// If the shapes do not match.
pub fn matmul(dst: MatMut<'_>, a: Mat<'_>, b: Mat<'_>, product: Product<'_>) {
    check_shapes(&dst, &a, &b, &product);
    if dst.rows == 0 || dst.cols == 0 {
        return;
    }
    match Backend::choose([dst.rows, a.cols, dst.cols], &product) {
        #[cfg(target_arch = "x86_64")]
        Backend::Packed(microkernel) => {
            // SAFETY: `choose` returns only microkernels whose instructions the CPU has. `check_shapes`
            // matched the shapes.
            unsafe { packed::multiply(microkernel, dst, &a, &b, product) }
        }
        #[cfg(target_arch = "x86_64")]
        Backend::Direct => {
            // SAFETY: `choose` returns `Direct` only if the CPU has AVX-512. `check_shapes` matched the
            // shapes.
            unsafe { direct::multiply(dst, &a, &b, product) }
        }
        Backend::Gemm => portable::multiply(dst, &a, &b, product),
    }
}

fn check_shapes(dst: &MatMut<'_>, a: &Mat<'_>, b: &Mat<'_>, product: &Product<'_>) {
    assert_eq!(a.cols, b.rows, "k differs: columns of the left operand, rows of the right one");
    assert_eq!((dst.rows, dst.cols), (a.rows, b.cols), "the destination has the wrong shape");
    if let Write::OverBias(bias) = product.write {
        assert_eq!(bias.len(), dst.cols, "the bias needs one value per column");
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
