//! Rows of the token matrix, copied and added by sequence.
//!
//! ```text
//! gather        out = x[layout]              scatter_add   x[layout] += rows, the transpose of gather
//! concat        out = [a; b]                 split         a, b = x[..n], x[n..]
//! ```
//!
//! All matrices are `[rows, width]`.

mod cpu;

use crate::layout::Layout;
use crate::profile;
use crate::tensor::Tensor;

/// The rows of the sequences, moved together: `[layout.rows(), width]`.
pub fn gather(matrix: &Tensor, layout: &Layout) -> Tensor {
    let _timer = profile::time("gather rows", 0, 2 * layout.rows() * matrix.width());
    cpu::gather(&matrix.on_host(), layout).to(&matrix.device())
}

/// Adds `rows` to the rows that [`gather`] took: its transpose, and so its backward.
pub fn scatter_add(rows: &Tensor, layout: &Layout, matrix: &mut Tensor) {
    let _timer = profile::time("scatter rows", 0, 3 * rows.len());
    assert_eq!(rows.shape(), [layout.rows(), matrix.width()], "rows to scatter");
    matrix.on_host_mut(|matrix| cpu::scatter_add(&rows.on_host(), layout, matrix));
}

/// The rows of `a`, then those of `b`.
pub fn concat(a: &Tensor, b: &Tensor) -> Tensor {
    assert_eq!(a.width(), b.width(), "widths of rows to concatenate");
    cpu::concat(&a.on_host(), &b.on_host()).to(&a.device())
}

/// The first `rows` rows, and the others: the transpose of [`concat()`], and so its backward.
pub fn split(x: &Tensor, rows: usize) -> (Tensor, Tensor) {
    assert!(rows <= x.rows(), "rows to split off");
    let (a, b) = cpu::split(&x.on_host(), rows);
    (a.to(&x.device()), b.to(&x.device()))
}

#[cfg(test)]
mod tests;
