//! A residual branch joins the stream: drop path, layer scale, addition, on the kept sequences only.
//!
//! ```text
//! x_kept += s · γ ⊙ y        dy = s · γ ⊙ dx_kept        dγ += s · Σ dx_kept ⊙ y
//! ```
//!
//! `x` is the stream `[rows, d]`, `y` the branch's output on the kept sequences `[kept rows, d]`,
//! γ the optional layer scale `[d]`, `s` one over the probability of being kept. Dropped sequences
//! are not touched: their branch was never computed.
//!
//! Source: stochastic depth, Huang et al., arXiv:1603.09382, per sample; layer scale, Touvron et
//! al., arXiv:2103.17239.

use rayon::prelude::*;

use super::tokens::Sequences;
use crate::profile;
use crate::rows::{OneByOne, add_column_sums};
use crate::tensor::Tensor;
use dispatch::kernel;

/// Adds the branch to the kept sequences of the stream.
pub fn add(stream: &mut Tensor, kept: &Sequences, y: &Tensor, scale: f32, gamma: Option<&[f32]>) {
    let _timer = profile::time("residual", 0, 3 * y.len());
    let d = stream.width();
    assert_eq!(y.shape(), [kept.rows(), d], "output of a residual branch");
    assert!(gamma.is_none_or(|gamma| gamma.len() == d), "width of a layer scale");
    let sources = kept.compact();
    let pieces = kept.split_mut(stream, d);
    pieces.into_par_iter().zip(sources.spans()).one_by_one().for_each(|(piece, &(first, _))| {
        let y = &y[first * d..][..piece.len()];
        match gamma {
            None => add_scaled(piece, y, scale),
            Some(gamma) => add_layer_scaled(piece, y, scale, gamma),
        }
    });
}

/// `dy` on the kept sequences: `[kept.rows(), d]`.
pub fn backward(dstream: &Tensor, kept: &Sequences, scale: f32, gamma: Option<&[f32]>) -> Tensor {
    let _timer = profile::time("residual, backward", 0, 2 * kept.rows() * dstream.width());
    let d = dstream.width();
    assert!(gamma.is_none_or(|gamma| gamma.len() == d), "width of a layer scale");
    let mut dy = Tensor::uninit(&[kept.rows(), d]);
    let pieces = kept.compact().split_mut(&mut dy, d);
    pieces.into_par_iter().zip(kept.spans()).one_by_one().for_each(|(piece, &(first, _))| {
        let dx = &dstream[first * d..][..piece.len()];
        match gamma {
            None => write_scaled(piece, dx, scale),
            Some(gamma) => write_layer_scaled(piece, dx, scale, gamma),
        }
    });
    dy
}

/// Adds to the gradient of the layer scale; `dx_kept` are the kept rows of the stream's gradient.
pub fn backward_gamma(dx_kept: &Tensor, y: &Tensor, scale: f32, dgamma: &mut [f32]) {
    let d = y.width();
    assert_eq!(dx_kept.shape(), y.shape(), "gradient and output of a residual branch");
    assert_eq!(dgamma.len(), d, "gradient of a layer scale");
    add_column_sums(
        dgamma,
        y.rows(),
        #[inline(always)]
        |range, sums| {
            let rows = range.start * d..range.end * d;
            add_products(&dx_kept[rows.clone()], &y[rows], scale, sums);
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

#[cfg(test)]
mod tests;
