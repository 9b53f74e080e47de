//! Linear layers on the CPU.

use matmul::{Mat, MatMut, Prepared, Product, THREADS_AGREE_FROM, Threads, Write, matmul};
use pool::Buffer;
use rayon::prelude::*;

use super::Linear;
use crate::params::Params;
use crate::rows::{Part, add_column_sums, add_partials, add_rows};
use crate::tensor::Tensor;

pub(super) fn infer(layer: &Linear, params: &Params, x: &Tensor) -> Tensor {
    let rows = x.rows();
    let mut y = Tensor::uninit(&[rows, layer.output]);
    let x = Mat::new(x.host(), rows, layer.input);
    let to = MatMut::new(y.host_mut(), rows, layer.output);
    let product = Product::ALL.in_precision(layer.precision);
    let bias = params.view(layer.bias).host();
    matmul(to, x, layer.weight(params).t(), product.with_bias(bias));
    y
}

pub(super) fn backward_input(layer: &Linear, params: &Params, dy: &Tensor) -> Tensor {
    let rows = dy.rows();
    let mut dx = Tensor::uninit(&[rows, layer.input]);
    let dy = Mat::new(dy.host(), rows, layer.output);
    let product = Product::ALL.in_precision(layer.precision);
    let to = MatMut::new(dx.host_mut(), rows, layer.input);
    matmul(to, dy, layer.weight(params), product);
    dx
}

pub(super) fn backward_params(layer: &Linear, x: &Tensor, dy: &Tensor, grads: &mut Params) {
    match layer.chunks(dy.rows()) {
        1 => add_gradients_at_once(layer, x.host(), dy.host(), grads),
        chunks => add_gradients_by_chunks(layer, x.host(), dy.host(), chunks, grads),
    }
}

/// Values of a weight whose gradient stays in the L2 cache while it is summed: 640 KiB.
const NARROW: usize = 160 << 10;
/// Least rows of a chunk. The last chunk then has more than [`THREADS_AGREE_FROM`] rows.
const CHUNK: usize = 256;
/// Most chunks: each costs a partial gradient.
const CHUNKS: usize = 8;

// Chunks are equal but for the last one, which has less than `CHUNKS` rows fewer. All have more than
// `THREADS_AGREE_FROM`, so that `Threads` may depend on the number of threads.
const _: () = assert!(CHUNK - CHUNKS > THREADS_AGREE_FROM);

impl Linear {
    fn weight<'a>(&self, params: &'a Params) -> Mat<'a> {
        Mat::new(params.view(self.weight).host(), self.output, self.input)
    }

    /// Number of chunks of rows that are summed apart. It never depends on the number of threads.
    pub(super) fn chunks(&self, rows: usize) -> usize {
        let narrow = self.output * self.input <= NARROW && self.output >= THREADS_AGREE_FROM;
        if narrow { (rows / CHUNK).clamp(1, CHUNKS) } else { 1 }
    }
}

/// One matmul of all rows, on all threads.
fn add_gradients_at_once(layer: &Linear, x: &[f32], dy: &[f32], grads: &mut Params) {
    let (input, output) = (layer.input, layer.output);
    let rows = dy.len() / output;
    let mut dweight = grads.view_mut(layer.weight);
    let dweight = MatMut::new(dweight.host_mut(), output, input);
    let product = Product::ALL.in_precision(layer.precision).added();
    matmul(dweight, Mat::new(dy, rows, output).t(), Mat::new(x, rows, input), product);
    add_column_sums(
        grads.view_mut(layer.bias).host_mut(),
        rows,
        #[inline(always)]
        |range, sums| {
            add_rows(sums, &dy[range.start * output..range.end * output]);
        },
    );
}

/// A matmul for each chunk of rows, on a thread of its own and from its own cache. Adds the results in
/// the order of the chunks.
fn add_gradients_by_chunks(
    layer: &Linear,
    x: &[f32],
    dy: &[f32],
    chunks: usize,
    grads: &mut Params,
) {
    let (input, output) = (layer.input, layer.output);
    let rows = dy.len() / output;
    let chunk = rows.div_ceil(chunks);
    // With fewer chunks than threads, all threads share the matmul of a chunk.
    let one_each = rayon::current_num_threads() <= chunks;
    let threads = if one_each { Threads::One } else { Threads::All };
    let product = Product { threads, precision: layer.precision, ..Product::ONE };
    let width = output * input + output;
    let mut partial = Buffer::take(rows.div_ceil(chunk) * width);
    let pieces = x.par_chunks(chunk * input).zip(dy.par_chunks(chunk * output));
    pieces.zip(partial.par_chunks_mut(width)).with_max_len(1).for_each(|((x, dy), partial)| {
        let rows = dy.len() / output;
        let (dweight, dbias) = partial.split_at_mut(output * input);
        let (x, dy_matrix) = (Mat::new(x, rows, input), Mat::new(dy, rows, output));
        matmul(MatMut::new(dweight, output, input), dy_matrix.t(), x, product);
        dbias.fill(0.0);
        add_rows(dbias, dy);
    });
    let part = |first| Part { stride: width, first };
    add_partials(grads.view_mut(layer.weight).host_mut(), &partial, part(0));
    add_partials(grads.view_mut(layer.bias).host_mut(), &partial, part(output * input));
}

/// One of a layer's matmuls for some rows at a time, on the calling thread, with the weight packed once.
/// Operations use it to keep rows in the cache from one matmul to the next.
pub(in crate::ops) struct RowLinear<'a> {
    weight: Prepared<'a>,
    bias: Option<&'a [f32]>,
    input: usize,  // width of a row before the matmul
    output: usize, // and after it
}

impl<'a> RowLinear<'a> {
    /// `y = x Wᵀ + b`.
    pub(in crate::ops) fn forward(layer: &Linear, params: &'a Params) -> Self {
        Self {
            weight: Prepared::new(layer.weight(params).t(), layer.precision),
            bias: Some(params.view(layer.bias).host()),
            input: layer.input,
            output: layer.output,
        }
    }

    /// `dx = dy W`.
    pub(in crate::ops) fn backward(layer: &Linear, params: &'a Params) -> Self {
        Self {
            weight: Prepared::new(layer.weight(params), layer.precision),
            bias: None,
            input: layer.output,
            output: layer.input,
        }
    }

    /// The result for all rows of `from`.
    pub(in crate::ops) fn rows(&self, from: &[f32], to: &mut [f32]) {
        let rows = from.len() / self.input;
        let write = self.bias.map_or(Write::Over, Write::OverBias);
        let product = Product { write, ..Product::ONE };
        let (to, from) = (MatMut::new(to, rows, self.output), Mat::new(from, rows, self.input));
        self.weight.multiply(to, from, product);
    }

    /// How many of `rows` rows a task should take.
    pub(in crate::ops) fn block(&self, rows: usize) -> usize {
        self.weight.rows_per_call(rows)
    }
}
