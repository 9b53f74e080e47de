//! Multi-head self-attention straight from the packed projections.
//!
//! ```text
//! P = softmax(Q Kᵀ / √e)        O = P V
//!
//! dV = Pᵀ dO        dP = dO Vᵀ        dS = P ⊙ (dP − rowsum(P ⊙ dP))
//! dQ = dS K / √e        dK = dSᵀ Q / √e
//! ```
//!
//! for each sequence and head, with `e = d / heads`. `qkv` is `[rows, 3 d]`, a row being
//! `[q | k | v]`, each split by head. Where only a sequence's first tokens are wanted, they alone are
//! queries: `P` has their rows, `O` is `[queries, d]`, and the gradient of other tokens' `q` is zero.
//! Saved are `qkv` and one log-sum-exp for each query and head, from which `P` and `O` are recomputed.

use rayon::prelude::*;

use super::tokens::Sequences;
use crate::matmul::{Mat, MatMut, Precision, Product, matmul};
use crate::pool::Buffer;
use crate::profile;
use crate::rows::OneByOne;
use crate::simd::{dot, exp, fetch, max, sum};
use crate::stored::Stored;
use crate::tensor::Tensor;
use dispatch::kernel;

/// What backward needs.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    qkv: Stored,      // [rows, 3 d]
    log_sums: Tensor, // [queries, heads]
    sequences: Sequences,
    queries: Sequences,
    attention: Attention,
}

/// Heads, and what the factors of their products are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Heads, which divide the width.
    pub heads: usize,
    /// Of the factors of its products where sequences are long, and of what is kept for backward; sums and
    /// softmax are f32 in any case.
    pub precision: Precision,
}

/// Tokens from which products may be of bf16.
const LONG: usize = 256;

/// The parts of a packed row, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Q,
    K,
    V,
}

/// One head of one sequence: where its parts lie in the sequence's rows.
#[derive(Clone, Copy)]
struct Head {
    tokens: usize,
    queries: usize, // the first ones of them
    width: usize,   // of a row of the output, d
    dim: usize,     // of the head, e
    index: usize,
    precision: Precision,
}

impl Head {
    /// The matrix of a part of the packed rows: `[queries, dim]` of q, `[tokens, dim]` of k and v.
    fn part<'a>(&self, rows: &'a [f32], part: Part) -> Mat<'a> {
        let (first, count) = self.place(part);
        Mat::strided(&rows[first..], count, self.dim, 3 * self.width)
    }

    fn part_mut<'a>(&self, rows: &'a mut [f32], part: Part) -> MatMut<'a> {
        let (first, count) = self.place(part);
        MatMut::strided(&mut rows[first..], count, self.dim, 3 * self.width)
    }

    /// Where a part starts in a packed row, and how many rows it has.
    fn place(&self, part: Part) -> (usize, usize) {
        let count = if part == Part::Q { self.queries } else { self.tokens };
        (part as usize * self.width + self.index * self.dim, count)
    }

    /// The head's columns of the output, `[queries, dim]`.
    fn columns<'a>(&self, rows: &'a [f32]) -> Mat<'a> {
        Mat::strided(&rows[self.index * self.dim..], self.queries, self.dim, self.width)
    }

    fn columns_mut<'a>(&self, rows: &'a mut [f32]) -> MatMut<'a> {
        MatMut::strided(&mut rows[self.index * self.dim..], self.queries, self.dim, self.width)
    }

    /// Asks for the next head's part of the packed rows that start with this sequence: it lies in pieces
    /// that the processor does not foresee. Behind the last head follows the next sequence, if it is there.
    fn fetch_next(&self, rows: &[f32]) {
        let row = 3 * self.width;
        let (rows, column) = match (self.index + 1) * self.dim {
            next if next < self.width => (rows, next),
            _ => (rows.get(self.tokens * row..).unwrap_or_default(), 0),
        };
        for row in rows.chunks_exact(row).take(self.tokens) {
            row.chunks_exact(self.width).for_each(|part| fetch(&part[column..][..self.dim]));
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.dim as f32).sqrt()
    }

    /// Rounded factors only where they pay: writing them as bf16 takes as long for few tokens as multiplying.
    fn product(&self) -> Product<'static> {
        let precision = if self.tokens < LONG { Precision::F32 } else { self.precision };
        Product::ONE.in_precision(precision)
    }
}

impl Attention {
    /// The width `d` of tokens that these packed projections belong to.
    fn check(self, qkv: &[usize], sequences: &Sequences, queries: &Sequences) -> usize {
        let [rows, width] = *qkv else { panic!("packed projections have rows and columns") };
        assert_eq!(width % 3, 0, "q, k and v have one width");
        assert_eq!(width / 3 % self.heads, 0, "heads divide the width");
        assert_eq!(rows, sequences.rows(), "rows of attention");
        let mut pairs = queries.spans().iter().zip(sequences.spans());
        let fit = queries.len() == sequences.len() && pairs.all(|(q, all)| q.1 <= all.1);
        assert!(fit, "queries are the first tokens of each sequence");
        width / 3
    }

    fn heads(self, tokens: usize, queries: usize, width: usize) -> impl Iterator<Item = Head> {
        let (dim, precision) = (width / self.heads, self.precision);
        (0..self.heads).map(move |index| Head { tokens, queries, width, dim, index, precision })
    }
}

/// `O`, and what backward needs. `queries` says how many of each sequence's first tokens are wanted:
/// it is compact, as `O` is.
pub fn forward(
    qkv: Tensor,
    sequences: &Sequences,
    queries: &Sequences,
    attention: Attention,
) -> (Tensor, Saved) {
    let (out, log_sums) = attend(&qkv, sequences, queries, attention);
    let qkv = Stored::new(qkv, attention.precision);
    let (sequences, queries) = (sequences.clone(), queries.clone());
    (out, Saved { qkv, log_sums, sequences, queries, attention })
}

/// `O` alone.
pub fn infer(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: &Sequences,
    attention: Attention,
) -> Tensor {
    attend(qkv, sequences, queries, attention).0
}

fn attend(
    qkv: &Tensor,
    sequences: &Sequences,
    queries: &Sequences,
    attention: Attention,
) -> (Tensor, Tensor) {
    let width = attention.check(qkv.shape(), sequences, queries);
    let _timer = timer("attention", 2, width, sequences, queries);
    let head_count = attention.heads;
    let mut out = Tensor::uninit(&[queries.rows(), width]);
    let mut log_sums = Tensor::uninit(&[queries.rows(), head_count]);
    let outs = queries.split_mut(&mut out, width);
    let sums = queries.split_mut(&mut log_sums, head_count);
    outs.into_par_iter().zip(sums).zip(sequences.spans()).one_by_one().for_each(
        |((out, log_sums), &(first, tokens))| {
            let (rows, queries) =
                (&qkv[first * 3 * width..][..tokens * 3 * width], out.len() / width);
            let mut probs = Buffer::take(queries * tokens);
            for head in attention.heads(tokens, queries, width) {
                head.fetch_next(&qkv[first * 3 * width..]);
                scores(&head, rows, &mut probs);
                softmax_rows(&mut probs, &head, head_count, log_sums);
                average(&head, &probs, rows, out);
            }
        },
    );
    (out, log_sums)
}

/// Measures so many products of `[queries, e]` and `[e, tokens]` for each head.
fn timer(
    name: &'static str,
    products: usize,
    width: usize,
    sequences: &Sequences,
    queries: &Sequences,
) -> profile::Timer {
    let pairs = sequences.spans().iter().zip(queries.spans());
    let scores: usize = pairs.map(|(all, q)| all.1 * q.1).sum();
    let numbers = (sequences.rows() + queries.rows()) * width;
    profile::time(name, 2 * products * scores * width, products * numbers)
}

/// `Q Kᵀ / √e` into `out`, `[queries, tokens]`.
fn scores(head: &Head, rows: &[f32], out: &mut [f32]) {
    let out = MatMut::new(out, head.queries, head.tokens);
    let (q, k) = (head.part(rows, Part::Q), head.part(rows, Part::K));
    matmul(out, q, k.t(), head.product().times(head.scale()));
}

/// `P V` into the head's columns of `out`.
fn average(head: &Head, probs: &[f32], rows: &[f32], out: &mut [f32]) {
    let p = Mat::new(probs, head.queries, head.tokens);
    matmul(head.columns_mut(out), p, head.part(rows, Part::V), head.product());
}

/// Softmax in place; returns the log-sum-exp.
#[inline(always)]
fn softmax(row: &mut [f32]) -> f32 {
    let top = max(row);
    for x in row.iter_mut() {
        *x = exp(*x - top);
    }
    let total = sum(row);
    let scale = 1.0 / total;
    for x in row.iter_mut() {
        *x *= scale;
    }
    top + total.ln()
}

/// The attention weights of every sequence, `[heads, tokens, tokens]` each: for maps and tests.
pub fn probabilities(qkv: &Tensor, sequences: &Sequences, attention: Attention) -> Vec<Tensor> {
    let width = attention.check(qkv.shape(), sequences, sequences);
    let each = sequences.spans().iter().map(|&(first, tokens)| {
        let rows = &qkv[first * 3 * width..][..tokens * 3 * width];
        let mut probs = Tensor::uninit(&[attention.heads, tokens, tokens]);
        for head in attention.heads(tokens, tokens, width) {
            let probs = &mut probs[head.index * tokens * tokens..][..tokens * tokens];
            scores(&head, rows, probs);
            probs.chunks_exact_mut(tokens).for_each(|row| {
                softmax(row);
            });
        }
        probs
    });
    each.collect()
}

/// `dqkv`, `[rows, 3 d]`, and `O` once more, for the gradients of the layer that follows.
pub fn backward(saved: Saved, dout: &Tensor) -> (Tensor, Tensor) {
    let Saved { qkv, log_sums, sequences, queries, attention } = saved;
    let (width, head_count) = (dout.width(), attention.heads);
    let _timer = timer("attention, backward", 6, width, &sequences, &queries);
    assert_eq!(dout.shape(), [queries.rows(), qkv.width() / 3], "gradient of attention");
    let mut dqkv = Tensor::uninit(qkv.shape());
    let mut out = Tensor::uninit(dout.shape());
    let pieces = sequences.split_mut(&mut dqkv, 3 * width);
    let pieces = pieces.into_par_iter().zip(queries.split_mut(&mut out, width));
    let spans = sequences.spans().iter().zip(queries.spans());
    let pieces = pieces.zip(spans.collect::<Vec<_>>()).one_by_one();
    pieces.for_each(|(piece, spans)| {
        let ((dqkv, out), (&(first, tokens), &(first_query, queries))) = (piece, spans);
        let qkv = &qkv.read(first * 3 * width..(first + tokens) * 3 * width);
        let dout = &dout[first_query * width..][..queries * width];
        let log_sums = &log_sums[first_query * head_count..][..queries * head_count];
        let mut scratch = Scratch::new(queries * tokens);
        for head in attention.heads(tokens, queries, width) {
            head.fetch_next(qkv);
            scratch.probabilities(&head, qkv, log_sums, head_count);
            average(&head, &scratch.probs, qkv, out);
            scratch.backward_head(&head, qkv, dout, dqkv);
        }
        for row in dqkv.chunks_exact_mut(3 * width).skip(queries) {
            row[..width].fill(0.0);
        }
    });
    (dqkv, out)
}

/// `P` and `dS` of one head, `[queries, tokens]`.
struct Scratch {
    probs: Buffer,
    dscores: Buffer,
}

impl Scratch {
    fn new(scores: usize) -> Self {
        Self { probs: Buffer::take(scores), dscores: Buffer::take(scores) }
    }

    fn probabilities(&mut self, head: &Head, qkv: &[f32], log_sums: &[f32], head_count: usize) {
        scores(head, qkv, &mut self.probs);
        probability_rows(&mut self.probs, head, head_count, log_sums);
    }

    fn backward_head(&mut self, head: &Head, qkv: &[f32], dout: &[f32], dqkv: &mut [f32]) {
        let (m, n) = (head.queries, head.tokens);
        let [q, k, v] = [Part::Q, Part::K, Part::V].map(|part| head.part(qkv, part));
        let p = Mat::new(&self.probs, m, n);
        matmul(head.part_mut(dqkv, Part::V), p.t(), head.columns(dout), head.product());
        let dp = MatMut::new(&mut self.dscores, m, n);
        matmul(dp, head.columns(dout), v.t(), head.product());
        score_gradient_rows(&mut self.dscores, &self.probs, n);
        let ds = Mat::new(&self.dscores, m, n);
        let scaled = head.product().times(head.scale());
        matmul(head.part_mut(dqkv, Part::Q), ds, k, scaled);
        matmul(head.part_mut(dqkv, Part::K), ds.t(), q, scaled);
    }
}

#[cfg(test)]
mod tests;

kernel! {
    /// Scores to probabilities, row by row, and their log-sum-exps.
    fn softmax_rows(scores: &mut [f32], head: &Head, head_count: usize, log_sums: &mut [f32]) {
        for (i, row) in scores.chunks_exact_mut(head.tokens).enumerate() {
            log_sums[i * head_count + head.index] = softmax(row);
        }
    }
}

kernel! {
    /// Scores to probabilities where the log-sum-exps are known.
    fn probability_rows(scores: &mut [f32], head: &Head, head_count: usize, log_sums: &[f32]) {
        for (i, row) in scores.chunks_exact_mut(head.tokens).enumerate() {
            let log_sum = log_sums[i * head_count + head.index];
            for p in row {
                *p = exp(*p - log_sum);
            }
        }
    }
}

kernel! {
    /// `dS = P ⊙ (dP − rowsum(P ⊙ dP))`, in place of `dP`.
    fn score_gradient_rows(dprobs: &mut [f32], probs: &[f32], tokens: usize) {
        let rows = dprobs.chunks_exact_mut(tokens).zip(probs.chunks_exact(tokens));
        for (ds, p) in rows {
            let along = dot(ds, p);
            for (ds, p) in ds.iter_mut().zip(p) {
                *ds = p * (*ds - along);
            }
        }
    }
}
