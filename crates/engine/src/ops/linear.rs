//! `y = x Wᵀ + b`.
//!
//! ```text
//! dx = dy W        dW += dyᵀ x        db += Σ_rows dy
//! ```
//!
//! `x` is `[rows, in]`, `W` is `[out, in]` as in PyTorch, `b` is `[out]`, `y` is `[rows, out]`.

use rayon::prelude::*;

use crate::matmul::{
    Mat, MatMut, Precision, Prepared, Product, THREADS_AGREE_FROM, Threads, Write, matmul,
};
use crate::params::{Params, Range};
use crate::pool::Buffer;
use crate::profile;
use crate::rows::{OneByOne, add_column_sums, add_partials, add_rows};
use crate::tensor::Tensor;

/// Where weight and bias lie.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    /// `[output, input]`.
    pub weight: Range,
    /// `[output]`, directly behind the weight or anywhere later.
    pub bias: Range,
    /// Width of `x`.
    pub input: usize,
    /// Width of `y`.
    pub output: usize,
    /// What the factors of the three products are rounded to; results are f32 in any case.
    pub precision: Precision,
}

impl Linear {
    fn timer(&self, name: &'static str, rows: usize) -> profile::Timer {
        let Self { input, output, .. } = *self;
        let numbers = rows * (input + output) + input * output;
        profile::time(name, 2 * rows * input * output, numbers)
    }
}

/// What backward needs: the input. A layer that can recompute its input cheaply calls [`infer`] and,
/// in its own backward, the two halves [`backward_input`] and [`backward_params`].
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    /// `[rows, input]`.
    pub x: Tensor,
}

/// `y`, and `x` kept for backward.
pub fn forward(layer: &Linear, params: &Params, x: Tensor) -> (Tensor, Saved) {
    (infer(layer, params, &x), Saved { x })
}

/// `y` alone.
pub fn infer(layer: &Linear, params: &Params, x: &Tensor) -> Tensor {
    let _timer = layer.timer("linear", x.rows());
    let (rows, bias) = (x.rows(), params.get(layer.bias));
    assert_eq!(x.width(), layer.input, "width of the input of a linear layer");
    assert_eq!(bias.len(), layer.output, "bias of a linear layer");
    let mut y = Tensor::uninit(&[rows, layer.output]);
    let weight = Mat::new(params.get(layer.weight), layer.output, layer.input);
    let x = Mat::new(x, rows, layer.input);
    let to = MatMut::new(&mut y, rows, layer.output);
    let product = Product::ALL.in_precision(layer.precision);
    matmul(to, x, weight.t(), product.with_bias(bias));
    y
}

/// `dx`; adds to the gradients of weight and bias.
pub fn backward(
    layer: &Linear,
    params: &Params,
    saved: Saved,
    dy: &Tensor,
    grads: &mut Params,
) -> Tensor {
    backward_params(layer, &saved.x, dy, grads);
    backward_input(layer, params, dy)
}

/// The half of [`backward`] that needs no input: `dx`.
pub fn backward_input(layer: &Linear, params: &Params, dy: &Tensor) -> Tensor {
    let _timer = layer.timer("linear, gradient of input", dy.rows());
    let rows = dy.rows();
    assert_eq!(dy.width(), layer.output, "width of the gradient of a linear layer");
    let mut dx = Tensor::uninit(&[rows, layer.input]);
    let weight = Mat::new(params.get(layer.weight), layer.output, layer.input);
    let dy = Mat::new(dy, rows, layer.output);
    let product = Product::ALL.in_precision(layer.precision);
    matmul(MatMut::new(&mut dx, rows, layer.input), dy, weight, product);
    dx
}

/// The half of [`backward`] that needs the input: adds to the gradients of weight and bias.
pub fn backward_params(layer: &Linear, x: &Tensor, dy: &Tensor, grads: &mut Params) {
    let _timer = layer.timer("linear, gradients of weight and bias", dy.rows());
    let rows = dy.rows();
    assert_eq!(dy.width(), layer.output, "width of the gradient of a linear layer");
    assert_eq!(x.shape(), [rows, layer.input], "input of a linear layer");
    match layer.chunks(rows) {
        1 => add_gradients_at_once(layer, x, dy, grads),
        chunks => add_gradients_by_chunks(layer, x, dy, chunks, grads),
    }
}

/// Numbers of a weight whose gradient stays in a core's second cache while it is summed: 640 KiB.
const NARROW: usize = 160 << 10;
/// Least rows of a chunk.
const CHUNK: usize = 256;
/// Most chunks: each costs a partial gradient.
const CHUNKS: usize = 8;

// Chunks are equal but for the last one, which has less than `CHUNKS` rows fewer. All have more than
// `THREADS_AGREE_FROM`, so that `Threads` may depend on the number of threads.
const _: () = assert!(CHUNK - CHUNKS > THREADS_AGREE_FROM);

impl Linear {
    /// Pieces of so many rows whose gradients are summed apart; never dependent on the number of threads.
    fn chunks(&self, rows: usize) -> usize {
        let narrow = self.output * self.input <= NARROW && self.output >= THREADS_AGREE_FROM;
        if narrow { (rows / CHUNK).clamp(1, CHUNKS) } else { 1 }
    }
}

/// One product of all rows, on all threads.
fn add_gradients_at_once(layer: &Linear, x: &Tensor, dy: &Tensor, grads: &mut Params) {
    let (rows, output) = (dy.rows(), layer.output);
    let dweight = MatMut::new(grads.get_mut(layer.weight), output, layer.input);
    let product = Product::ALL.in_precision(layer.precision);
    let dy_matrix = Mat::new(dy, rows, output);
    matmul(dweight, dy_matrix.t(), Mat::new(x, rows, layer.input), product.added());
    add_column_sums(
        grads.get_mut(layer.bias),
        rows,
        #[inline(always)]
        |range, sums| {
            add_rows(sums, &dy[range.start * output..range.end * output]);
        },
    );
}

/// A product for each chunk of rows, on a thread of its own and from its own cache; their sum in the
/// order of the chunks.
fn add_gradients_by_chunks(
    layer: &Linear,
    x: &Tensor,
    dy: &Tensor,
    chunks: usize,
    grads: &mut Params,
) {
    let (input, output) = (layer.input, layer.output);
    let chunk = dy.rows().div_ceil(chunks);
    let alone = rayon::current_num_threads() <= chunks;
    let threads = if alone { Threads::One } else { Threads::All };
    let product = Product { threads, precision: layer.precision, ..Product::ONE };
    let width = output * input + output;
    let mut partial = Buffer::take(dy.rows().div_ceil(chunk) * width);
    let pieces = x.par_chunks(chunk * input).zip(dy.par_chunks(chunk * output));
    pieces.zip(partial.par_chunks_mut(width)).one_by_one().for_each(|((x, dy), partial)| {
        let rows = dy.len() / output;
        let (dweight, dbias) = partial.split_at_mut(output * input);
        let (x, dy_matrix) = (Mat::new(x, rows, input), Mat::new(dy, rows, output));
        matmul(MatMut::new(dweight, output, input), dy_matrix.t(), x, product);
        dbias.fill(0.0);
        add_rows(dbias, dy);
    });
    add_partials(grads.get_mut(layer.weight), &partial, (width, 0));
    add_partials(grads.get_mut(layer.bias), &partial, (width, output * input));
}

/// One of a layer's two products, ready for some rows at a time on the calling thread: for operations
/// that keep rows in the cache from one product to the next.
pub(super) struct Ready<'a> {
    factor: Prepared<'a>,
    bias: Option<&'a [f32]>,
    widths: (usize, usize), // of rows before and after
}

impl Linear {
    /// `y = x Wᵀ + b`.
    pub(super) fn ready<'a>(&self, params: &'a Params) -> Ready<'a> {
        let weight = Mat::new(params.get(self.weight), self.output, self.input);
        Ready {
            factor: Prepared::new(weight.t(), self.precision),
            bias: Some(params.get(self.bias)),
            widths: (self.input, self.output),
        }
    }

    /// `dx = dy W`.
    pub(super) fn ready_backward<'a>(&self, params: &'a Params) -> Ready<'a> {
        let weight = Mat::new(params.get(self.weight), self.output, self.input);
        Ready {
            factor: Prepared::new(weight, self.precision),
            bias: None,
            widths: (self.output, self.input),
        }
    }
}

impl Ready<'_> {
    /// The product for as many rows as there are.
    pub(super) fn rows(&self, from: &[f32], to: &mut [f32]) {
        let (before, after) = self.widths;
        let rows = from.len() / before;
        let write = self.bias.map_or(Write::Over, Write::OverBias);
        let product = Product { write, ..Product::ONE };
        self.factor.multiply(MatMut::new(to, rows, after), Mat::new(from, rows, before), product);
    }

    /// The widths of rows before the product and after it.
    pub(super) fn widths(&self) -> (usize, usize) {
        self.widths
    }

    /// How many of so many rows to give to a thread at a time.
    pub(super) fn block(&self, rows: usize) -> usize {
        self.factor.rows_per_call(rows)
    }
}

#[cfg(test)]
mod tests;
