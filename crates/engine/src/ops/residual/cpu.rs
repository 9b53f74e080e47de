//! Residual addition on the CPU.

use rayon::prelude::*;

use super::Scale;
use crate::layout::{Layout, Span};
use crate::params::Params;
use crate::rows::add_column_sums;
use crate::tensor::Tensor;
use dispatch::kernel;

pub(super) fn add(params: &Params, stream: &mut Tensor, kept: &Layout, y: &Tensor, scale: Scale) {
    let (d, y) = (stream.width(), y.host());
    let (factor, gamma) = (scale.drop_path, scale.gamma.map(|gamma| params.view(gamma).host()));
    let sources = kept.compact();
    let pieces = kept.split_mut(stream.host_mut(), d).into_par_iter().zip(sources.spans());
    pieces.with_max_len(1).for_each(|(piece, &Span { first, .. })| {
        let y = &y[first * d..][..piece.len()];
        match gamma {
            None => add_scaled(piece, y, factor),
            Some(gamma) => add_layer_scaled(piece, y, factor, gamma),
        }
    });
}

pub(super) fn backward(params: &Params, dstream: &Tensor, kept: &Layout, scale: Scale) -> Tensor {
    let (d, dstream) = (dstream.width(), dstream.host());
    let (factor, gamma) = (scale.drop_path, scale.gamma.map(|gamma| params.view(gamma).host()));
    let mut dy = Tensor::uninit(&[kept.rows(), d]);
    let pieces = kept.compact().split_mut(dy.host_mut(), d).into_par_iter().zip(kept.spans());
    pieces.with_max_len(1).for_each(|(piece, &Span { first, .. })| {
        let dx = &dstream[first * d..][..piece.len()];
        match gamma {
            None => write_scaled(piece, dx, factor),
            Some(gamma) => write_layer_scaled(piece, dx, factor, gamma),
        }
    });
    dy
}

pub(super) fn backward_gamma(dx_kept: &Tensor, y: &Tensor, drop_path: f32, dgamma: &mut [f32]) {
    let (d, rows) = (y.width(), y.rows());
    let (dx_kept, y) = (dx_kept.host(), y.host());
    add_column_sums(
        dgamma,
        rows,
        #[inline(always)]
        |range, sums| {
            let values = range.start * d..range.end * d;
            add_products(&dx_kept[values.clone()], &y[values], drop_path, sums);
        },
    );
}

kernel! {
    /// `to += scale · from`.
    fn add_scaled(to: &mut [f32], from: &[f32], scale: f32) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to += scale * from);
    }
}

kernel! {
    /// `to = scale · from`.
    fn write_scaled(to: &mut [f32], from: &[f32], scale: f32) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = scale * from);
    }
}

kernel! {
    /// `to = scale · γ ⊙ from`, row by row.
    fn write_layer_scaled(to: &mut [f32], from: &[f32], scale: f32, gamma: &[f32]) {
        let d = gamma.len();
        for (to, from) in to.chunks_exact_mut(d).zip(from.chunks_exact(d)) {
            for j in 0..d {
                to[j] = scale * gamma[j] * from[j];
            }
        }
    }
}

kernel! {
    /// `to += scale · γ ⊙ from`, row by row.
    fn add_layer_scaled(to: &mut [f32], from: &[f32], scale: f32, gamma: &[f32]) {
        let d = gamma.len();
        for (to, from) in to.chunks_exact_mut(d).zip(from.chunks_exact(d)) {
            for j in 0..d {
                to[j] += scale * gamma[j] * from[j];
            }
        }
    }
}

kernel! {
    /// `sums += scale · Σ_rows a ⊙ b`.
    fn add_products(a: &[f32], b: &[f32], scale: f32, sums: &mut [f32]) {
        let d = sums.len();
        for (a, b) in a.chunks_exact(d).zip(b.chunks_exact(d)) {
            for j in 0..d {
                sums[j] += scale * a[j] * b[j];
            }
        }
    }
}
