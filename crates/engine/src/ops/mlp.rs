//! A norm and the MLP of a transformer block.
//!
//! ```text
//! n = norm(x)        h = n W₁ᵀ + b₁        a = gelu(h)        y = a W₂ᵀ + b₂
//!
//! da = dy W₂         dh = gelu'(h) ⊙ da    dn = dh W₁         dx = norm'(x, dn)
//! dW₁ += dhᵀ n       dW₂ += dyᵀ a
//! ```
//!
//! `x` and `y` are `[rows, d]`, `h` is `[rows, hidden]`. Some rows at a time go through all of a line, so
//! that nothing between `x` and `y`, and between `dy` and `dx`, comes from memory. Saved are `x` and, unless
//! it is to be computed again, `h` in the precision of the products; `n` and `a` are computed again.
//! What each part computes stands in [`layer_norm`], [`linear`] and [`gelu`](super::gelu).

use rayon::prelude::*;

use super::gelu::{activate, activate_and_differentiate};
use super::layer_norm;
use super::linear::{self, Linear};
use super::normed_linear::{self, NormedLinear};
use crate::params::Params;
use crate::pool::Buffer;
use crate::profile;
use crate::rows::OneByOne;
use crate::stored::{PieceMut, Stored};
use crate::tensor::Tensor;

/// The layers.
#[derive(Debug, Clone, Copy)]
pub struct Mlp {
    /// The norm and `W₁`, `b₁`.
    pub first: NormedLinear,
    /// `W₂`, `b₂`.
    pub second: Linear,
}

/// What backward needs beside the gradient.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    first: normed_linear::Saved,
    hidden: Option<Stored>, // `h`, `[rows, hidden]`
}

/// The way through the layers, for some rows at a time.
struct Forward<'a> {
    norm: layer_norm::Ready<'a>,
    first: linear::Ready<'a>,
    second: linear::Ready<'a>,
}

/// Numbers of some rows on their way.
struct Scratch {
    normed: Buffer,
    hidden: Buffer,
    activated: Buffer,
}

impl Forward<'_> {
    /// From `x` to `y`; statistics of the norm, and what is to be kept of `h`, on the way.
    fn rows(
        &self,
        x: &[f32],
        (stats, hidden): (&mut [f32], Option<PieceMut<'_>>),
        y: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (wide, d) = self.second.widths();
        let rows = x.len() / d;
        let normed = &mut scratch.normed[..rows * d];
        let activated = &mut scratch.activated[..rows * wide];
        self.norm.rows(x, stats, normed);
        let mut compute = |hidden: &mut [f32]| {
            self.first.rows(normed, hidden);
            activate(hidden, activated);
        };
        let not_kept = &mut scratch.hidden[..rows * wide];
        match hidden {
            Some(piece) => piece.fill(not_kept, compute),
            None => compute(not_kept),
        }
        self.second.rows(activated, y);
    }
}

/// The way back.
struct Backward<'a> {
    norm: layer_norm::Ready<'a>,
    norm_back: layer_norm::BackwardReady<'a>,
    /// For `h` where it was not kept.
    again: Option<linear::Ready<'a>>,
    first: linear::Ready<'a>,
    second: linear::Ready<'a>,
}

impl Mlp {
    fn timer(&self, name: &'static str, rows: usize) -> profile::Timer {
        let (d, hidden) = (self.second.output, self.second.input);
        profile::time(name, 4 * rows * d * hidden, rows * (2 * d + hidden) + 2 * d * hidden)
    }

    fn scratch(&self, rows: usize) -> Scratch {
        let (d, hidden) = (self.second.output, self.second.input);
        Scratch {
            normed: Buffer::take(rows * d),
            hidden: Buffer::take(rows * hidden),
            activated: Buffer::take(rows * hidden),
        }
    }
}

/// `y`, and what backward needs: with `h` or without it.
pub fn forward(mlp: &Mlp, params: &Params, x: Tensor, keep_hidden: bool) -> (Tensor, Saved) {
    let shape = [x.rows(), mlp.second.input];
    let mut hidden = keep_hidden.then(|| Stored::uninit(&shape, mlp.second.precision));
    let (y, norm) = compute(mlp, params, &x, hidden.as_mut());
    (y, Saved { first: normed_linear::Saved { x, norm }, hidden })
}

/// `y` alone.
pub fn infer(mlp: &Mlp, params: &Params, x: &Tensor) -> Tensor {
    compute(mlp, params, x, None).0
}

fn compute(
    mlp: &Mlp,
    params: &Params,
    x: &Tensor,
    hidden: Option<&mut Stored>,
) -> (Tensor, layer_norm::Saved) {
    let (rows, d, wide) = (x.rows(), mlp.second.output, mlp.second.input);
    let _timer = mlp.timer("mlp", rows);
    assert_eq!(x.width(), d, "width of the input of an MLP");
    let (mut y, mut norm) = (Tensor::uninit(&[rows, d]), layer_norm::Saved::uninit(rows));
    let forward = Forward {
        norm: mlp.first.norm.ready(params),
        first: mlp.first.linear.ready(params),
        second: mlp.second.ready(params),
    };
    let block = forward.first.block(rows);
    let hidden: Vec<Option<PieceMut<'_>>> = match hidden {
        Some(hidden) => hidden.pieces_mut(block * wide).into_iter().map(Some).collect(),
        None => (0..rows.div_ceil(block)).map(|_| None).collect(),
    };
    let on_the_way = norm.stats.par_chunks_mut(block * 2).zip(hidden);
    let pieces = x.par_chunks(block * d).zip(on_the_way).zip(y.par_chunks_mut(block * d));
    pieces.one_by_one().for_each(|((x, on_the_way), y)| {
        forward.rows(x, on_the_way, y, &mut mlp.scratch(block));
    });
    (y, norm)
}

/// `dx`; adds to the gradients of all layers.
pub fn backward(
    mlp: &Mlp,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    let Through { normed, activated, dhidden, dx } =
        backward_through(mlp, params, saved, dy, grads);
    linear::backward_params(&mlp.second, &activated, dy, grads);
    drop(activated);
    linear::backward_params(&mlp.first.linear, &normed, &dhidden, grads);
    dx
}

/// What the way back through the layers leaves: factors of the gradients of weights, and `dx`.
struct Through {
    normed: Tensor,
    activated: Tensor,
    dhidden: Tensor,
    dx: Tensor,
}

/// From `dy` to `dx`, in the place of `x`; adds to the gradients of the norm.
fn backward_through(
    mlp: &Mlp,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Through {
    let Saved { first: normed_linear::Saved { mut x, norm }, hidden } = saved;
    let (rows, d, wide) = (x.rows(), mlp.second.output, mlp.second.input);
    let _timer = mlp.timer("mlp, backward", rows);
    assert_eq!(dy.shape(), x.shape(), "gradient of an MLP");
    let back = Backward {
        norm: mlp.first.norm.ready(params),
        norm_back: mlp.first.norm.backward_ready(params),
        again: hidden.is_none().then(|| mlp.first.linear.ready(params)),
        first: mlp.first.linear.ready_backward(params),
        second: mlp.second.ready_backward(params),
    };
    let unpacked = hidden.map(Stored::unpack);
    let (mut activated, rounded) =
        unpacked.unwrap_or_else(|| (Tensor::uninit(&[rows, wide]), None));
    let (mut normed, mut dhidden) = (Tensor::uninit(x.shape()), Tensor::uninit(&[rows, wide]));
    let block = back.first.block(rows);
    let mut partial = Buffer::take(rows.div_ceil(block) * 2 * d);

    let inputs = norm.stats.par_chunks(block * 2).zip(dy.par_chunks(block * d));
    let hiddens = activated.par_chunks_mut(block * wide).zip(dhidden.par_chunks_mut(block * wide));
    let norms = normed.par_chunks_mut(block * d).zip(partial.par_chunks_mut(2 * d));
    let pieces = x.par_chunks_mut(block * d).zip(inputs).zip(hiddens).zip(norms);
    pieces.enumerate().one_by_one().for_each(|(at, piece)| {
        let (((x, (stats, dy)), (activated, dhidden)), (normed, partial)) = piece;
        let mut dnormed = Buffer::take(x.len());
        back.norm.apply(x, stats, normed);
        if let Some(first) = &back.again {
            first.rows(normed, activated);
        } else if let Some(rounded) = &rounded {
            rounded.widen(at * block * wide, activated);
        }
        back.second.rows(dy, dhidden);
        activate_and_differentiate(activated, dhidden);
        back.first.rows(dhidden, &mut dnormed);
        back.norm_back.rows(x, stats, &mut dnormed, partial);
        x.copy_from_slice(&dnormed);
    });
    back.norm_back.add(&partial, grads);
    Through { normed, activated, dhidden, dx: x }
}

#[cfg(test)]
mod tests;
