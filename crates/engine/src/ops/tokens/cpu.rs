//! Copies of rows on the CPU.

use rayon::prelude::*;

use crate::layout::{Layout, Span};
use crate::tensor::Tensor;

pub(super) fn gather(matrix: &Tensor, layout: &Layout) -> Tensor {
    let width = matrix.width();
    let (matrix, mut out) = (matrix.host(), Tensor::uninit(&[layout.rows(), width]));
    let pieces = layout.compact().split_mut(out.host_mut(), width);
    let pieces = pieces.into_par_iter().zip(layout.spans());
    pieces.with_max_len(1).for_each(|(piece, &Span { first, .. })| {
        piece.copy_from_slice(&matrix[first * width..][..piece.len()]);
    });
    out
}

pub(super) fn scatter_add(rows: &Tensor, layout: &Layout, matrix: &mut Tensor) {
    let (width, rows) = (matrix.width(), rows.host());
    let sources = layout.compact();
    let pieces = layout.split_mut(matrix.host_mut(), width);
    let pieces = pieces.into_par_iter().zip(sources.spans());
    pieces.with_max_len(1).for_each(|(piece, &Span { first, .. })| {
        let source = &rows[first * width..][..piece.len()];
        piece.iter_mut().zip(source).for_each(|(to, from)| *to += from);
    });
}

pub(super) fn concat(a: &Tensor, b: &Tensor) -> Tensor {
    let mut both = Tensor::uninit(&[a.rows() + b.rows(), a.width()]);
    let (first, second) = both.host_mut().split_at_mut(a.len());
    first.copy_from_slice(a.host());
    second.copy_from_slice(b.host());
    both
}

pub(super) fn split(x: &Tensor, rows: usize) -> (Tensor, Tensor) {
    let width = x.width();
    let (a, b) = x.host().split_at(rows * width);
    (Tensor::from_slice(&[rows, width], a), Tensor::from_slice(&[x.rows() - rows, width], b))
}
