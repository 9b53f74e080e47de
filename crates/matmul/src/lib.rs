//! Matrix products: the only place that multiplies large matrices.
//!
//! A product runs on the fastest unit that the machine has, chosen by [`dispatch::level`], by its
//! extents, and by whether it is one of a parallel loop's, never by the number of threads, and by the
//! number of rows only inside a loop:
//!
//! | | f32 | bf16 |
//! | --- | --- | --- |
//! | tile unit (AMX) | `tiles`, factors in three parts | `tiles` |
//! | AVX512-BF16 | `gemm` | `dots` |
//! | AVX-512, small products of a loop | `direct` | as above |
//! | others, and thin products | `gemm` | `gemm`, of rounded factors |
//!
//! `gemm` 0.19.0 never splits the inner dimension among threads, so the number of threads does not
//! change a bit of the result (a sweep in the tests holds it to that; the version is pinned). One
//! row's bits may depend on how many rows its product has there; elsewhere they do not.

#[cfg(target_arch = "x86_64")]
mod direct;
#[cfg(target_arch = "x86_64")]
mod dots;
#[cfg(target_arch = "x86_64")]
mod pack;
#[cfg(target_arch = "x86_64")]
mod packed;
#[cfg(target_arch = "x86_64")]
mod panels;
#[cfg(target_arch = "x86_64")]
mod tiles;

use gemm::Parallelism;

use pool::Buffer;

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

impl MatMut<'_> {
    fn fill_rows(&mut self, row: &[f32]) {
        for i in 0..self.rows {
            self.data[i * self.row_stride..][..self.cols].copy_from_slice(row);
        }
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Write<'a> {
    /// They are replaced.
    Over,
    /// They are replaced, and these numbers added to every row.
    OverBias(&'a [f32]),
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

/// What the factors of a product are rounded to. Sums are f32 in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// 24 bits: not at all.
    #[default]
    F32,
    /// 8 bits, with the range of f32.
    Bf16,
}

/// How a product is computed and where it goes: `dst = scale · a b` and what `write` adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Product<'a> {
    /// What happens to the old contents.
    pub write: Write<'a>,
    /// Multiplies the product.
    pub scale: f32,
    /// Of the factors.
    pub precision: Precision,
    /// Who computes.
    pub threads: Threads,
}

impl<'a> Product<'a> {
    /// `dst = a b` in f32 on the calling thread.
    pub const ONE: Self =
        Self { write: Write::Over, scale: 1.0, precision: Precision::F32, threads: Threads::One };
    /// `dst = a b` in f32 on all threads.
    pub const ALL: Self = Self { threads: Threads::All, ..Self::ONE };

    /// The same with factors of this precision.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same, multiplied.
    pub fn times(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// The same, added to the old contents.
    pub fn added(self) -> Self {
        Self { write: Write::Add, ..self }
    }

    /// The same, with these numbers added to every row.
    pub fn with_bias(self, bias: &'a [f32]) -> Self {
        Self { write: Write::OverBias(bias), ..self }
    }
}

/// The product of `a` and `b`.
///
/// # Shapes
/// `a` is `[m, k]`, `b` is `[k, n]`, `dst` is `[m, n]`, a bias is `[n]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn matmul(dst: MatMut<'_>, a: Mat<'_>, b: Mat<'_>, product: Product<'_>) {
    check_shapes(&dst, &a, &b, &product);
    if dst.rows == 0 || dst.cols == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(method) = packed_method([dst.rows, a.cols, dst.cols], &product) {
        // SAFETY: `packed_method` chose what the machine has.
        return unsafe { packed::multiply(method, dst, &a, &b, product) };
    }
    #[cfg(target_arch = "x86_64")]
    if is_direct(a.cols, dst.cols, &product) {
        // SAFETY: `is_direct` found AVX-512, and the shapes fit.
        return unsafe { direct::multiply(dst, &a, &b, product) };
    }
    match product.precision {
        Precision::F32 => multiply_by_gemm(dst, &a, &b, product),
        Precision::Bf16 => {
            let (a, b) = (Rounded::of(&a), Rounded::of(&b));
            multiply_by_gemm(dst, &a.mat(), &b.mat(), product);
        }
    }
}

fn check_shapes(dst: &MatMut<'_>, a: &Mat<'_>, b: &Mat<'_>, product: &Product<'_>) {
    assert_eq!(a.cols, b.rows, "inner extents differ");
    assert_eq!((dst.rows, dst.cols), (a.rows, b.cols), "the destination has another shape");
    if let Write::OverBias(bias) = product.write {
        assert_eq!(bias.len(), dst.cols, "numbers of a bias");
    }
}

/// A product with so many rows or more, and more inner numbers than that, has the same bits inside a parallel
/// loop and outside.
pub const MANY: usize = 128;

/// Least inner extent and number of columns for which it pays to split f32 factors. Inside a loop it
/// takes [`MANY`] rows, too.
#[cfg(target_arch = "x86_64")]
const MIN_SPLIT: (usize, usize) = (96, 128);

/// How to multiply packed panels, if that is worth it and the machine can.
#[cfg(target_arch = "x86_64")]
fn packed_method(
    [rows, inner, columns]: [usize; 3],
    product: &Product<'_>,
) -> Option<packed::Method> {
    let enough_rows = product.threads == Threads::All || rows >= MANY;
    method_of_factor(inner, columns, product.precision)
        .filter(|&method| method != packed::Method::SplitTiles || enough_rows)
}

/// The same for as many rows as one likes.
#[cfg(target_arch = "x86_64")]
fn method_of_factor(inner: usize, columns: usize, precision: Precision) -> Option<packed::Method> {
    use dispatch::Level;
    let splits = inner >= MIN_SPLIT.0 && columns >= MIN_SPLIT.1;
    match (dispatch::level(), precision) {
        _ if inner.min(columns) < 16 => None,
        (Level::Amx, Precision::Bf16) => Some(packed::Method::Tiles),
        (Level::Amx, Precision::F32) if splits => Some(packed::Method::SplitTiles),
        (Level::Avx512, Precision::Bf16) if is_x86_feature_detected!("avx512bf16") => {
            Some(packed::Method::Dots)
        }
        _ => None,
    }
}

/// Whether this machine has instructions for factors of this precision. Without them, factors are
/// rounded and then multiplied as f32, which takes longer than f32 alone.
pub fn is_native(precision: Precision) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let method = method_of_factor(MIN_SPLIT.0, MIN_SPLIT.1, precision);
        precision == Precision::F32 || method.is_some()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        precision == Precision::F32
    }
}

/// Whether a product is best multiplied without packing anything, and the machine can.
#[cfg(target_arch = "x86_64")]
fn is_direct(inner: usize, columns: usize, product: &Product<'_>) -> bool {
    use dispatch::Level;
    let there = matches!(dispatch::level(), Level::Avx512 | Level::Amx);
    let one = product.threads == Threads::One && product.precision == Precision::F32;
    there && one && inner <= MANY && columns <= MANY
}

/// A right factor `[k, n]` that is made ready once, for products with some rows at a time inside a
/// parallel loop.
pub struct Prepared<'a> {
    mat: Mat<'a>,
    precision: Precision,
    #[cfg(target_arch = "x86_64")]
    packed: Option<packed::Prepared>,
}

impl<'a> Prepared<'a> {
    /// Prepares `mat` on all threads.
    pub fn new(mat: Mat<'a>, precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        let packed = method_of_factor(mat.rows, mat.cols, precision).map(|method| {
            // SAFETY: `method_of_factor` chose what the machine has.
            unsafe { packed::Prepared::new(method, &mat) }
        });
        Self {
            mat,
            precision,
            #[cfg(target_arch = "x86_64")]
            packed,
        }
    }

    /// How many of so many rows to multiply at a time. Where factors are not packed, the product reads
    /// this one anew each time.
    pub fn block(&self, rows: usize) -> usize {
        #[cfg(target_arch = "x86_64")]
        if self.packed.is_some() {
            return packed::BLOCK;
        }
        (rows / 8).next_multiple_of(32).clamp(64, 512)
    }

    /// [`matmul`] of `a` and this factor on the calling thread, `threads` and `precision` of `product`
    /// aside. Rows have the same bits as in a product of all threads where factors are packed.
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

fn multiply_by_gemm(mut dst: MatMut<'_>, a: &Mat<'_>, b: &Mat<'_>, product: Product<'_>) {
    let parallelism = match product.threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    if let Write::OverBias(bias) = product.write {
        dst.fill_rows(bias);
    }
    let add = product.write != Write::Over;
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
            product.scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// A dense copy of a factor, rounded to bf16: for machines without instructions for it.
struct Rounded {
    numbers: Buffer,
    rows: usize,
    cols: usize,
}

impl Rounded {
    fn of(mat: &Mat<'_>) -> Self {
        let (rows, cols) = (mat.rows, mat.cols);
        let mut numbers = Buffer::take(rows * cols);
        for (i, row) in numbers.chunks_exact_mut(cols.max(1)).enumerate() {
            for (j, number) in row.iter_mut().enumerate() {
                let exact = mat.data[i * mat.row_stride + j * mat.col_stride];
                *number = half::bf16::from_f32(exact).to_f32();
            }
        }
        Self { numbers, rows, cols }
    }

    fn mat(&self) -> Mat<'_> {
        Mat::new(&self.numbers, self.rows, self.cols)
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
