//! Attention on the CPU: sequences in parallel, head by head.

use matmul::{Mat, MatMut, Precision, Product, matmul};
use pool::Buffer;
use rayon::prelude::*;

use super::{Attention, Saved};
use crate::layout::{Layout, Span};
use crate::ops::cast;
use crate::simd::{dot, exp, max, prefetch, sum};
use crate::tensor::Tensor;
use dispatch::kernel;

/// Tokens from which matmuls may be in bf16.
pub(super) const LONG: usize = 256;

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
    /// A part of the packed rows as a matrix: `[queries, dim]` of q, `[tokens, dim]` of k and v.
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

    /// Prefetches the next head's part of the packed rows that start with this sequence: it lies in
    /// pieces that the hardware prefetcher does not find. Behind the last head that is the first head of
    /// the next sequence, if there is one.
    fn fetch_next(&self, rows: &[f32]) {
        let row = 3 * self.width;
        let (rows, column) = match (self.index + 1) * self.dim {
            next if next < self.width => (rows, next),
            _ => (rows.get(self.tokens * row..).unwrap_or_default(), 0),
        };
        for row in rows.chunks_exact(row).take(self.tokens) {
            row.chunks_exact(self.width).for_each(|part| prefetch(&part[column..][..self.dim]));
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.dim as f32).sqrt()
    }

    /// Rounds operands only in long sequences: in short ones rounding takes as long as the matmul.
    fn product(&self) -> Product<'static> {
        let precision = if self.tokens < LONG { Precision::F32 } else { self.precision };
        Product::ONE.in_precision(precision)
    }
}

impl Attention {
    fn heads(self, tokens: usize, queries: usize, width: usize) -> impl Iterator<Item = Head> {
        let (dim, precision) = (width / self.heads, self.precision);
        (0..self.heads).map(move |index| Head { tokens, queries, width, dim, index, precision })
    }
}

/// `O` and the log-sum-exps.
pub(super) fn attend(
    qkv: &Tensor,
    sequences: &Layout,
    queries: &Layout,
    attention: Attention,
) -> (Tensor, Tensor) {
    let (qkv, width, head_count) = (qkv.host(), qkv.width() / 3, attention.heads);
    let mut out = Tensor::uninit(&[queries.rows(), width]);
    let mut log_sums = Tensor::uninit(&[queries.rows(), head_count]);
    let outs = queries.split_mut(out.host_mut(), width);
    let sums = queries.split_mut(log_sums.host_mut(), head_count);
    let each = outs.into_par_iter().zip(sums).zip(sequences.spans());
    each.with_max_len(1).for_each(|((out, log_sums), span)| {
        let qkv = &qkv[span.first * 3 * width..];
        let (rows, queries) = (&qkv[..span.rows * 3 * width], out.len() / width);
        let mut probs = Buffer::take(queries * span.rows);
        for head in attention.heads(span.rows, queries, width) {
            head.fetch_next(qkv);
            scores(&head, rows, &mut probs);
            softmax_rows(&mut probs, &head, head_count, log_sums);
            average(&head, &probs, rows, out);
        }
    });
    (out, log_sums)
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

pub(super) fn probabilities(
    qkv: &Tensor,
    sequences: &Layout,
    queries: &Layout,
    attention: Attention,
) -> Vec<Tensor> {
    let (qkv, width) = (qkv.host(), qkv.width() / 3);
    let spans = sequences.spans().iter().zip(queries.spans());
    let each = spans.map(|(&Span { first, rows: tokens }, queries)| {
        let rows = &qkv[first * 3 * width..][..tokens * 3 * width];
        let mut all = Tensor::uninit(&[attention.heads, queries.rows, tokens]);
        let heads = all.host_mut().chunks_exact_mut((queries.rows * tokens).max(1));
        for (head, probs) in attention.heads(tokens, queries.rows, width).zip(heads) {
            scores(&head, rows, probs);
            probs.chunks_exact_mut(tokens).for_each(|row| {
                softmax(row);
            });
        }
        all
    });
    each.collect()
}

pub(super) fn backward(saved: Saved, dout: &Tensor) -> (Tensor, Tensor) {
    let Saved { qkv, log_sums, sequences, queries, attention } = saved;
    let (width, head_count) = (dout.width(), attention.heads);
    let (mut dqkv, mut out) = (Tensor::uninit(qkv.shape()), Tensor::uninit(dout.shape()));
    let (log_sums, dout) = (log_sums.host(), dout.host());
    let pieces = sequences.split_mut(dqkv.host_mut(), 3 * width);
    let pieces = pieces.into_par_iter().zip(queries.split_mut(out.host_mut(), width));
    let spans = sequences.spans().par_iter().zip(queries.spans());
    pieces.zip(spans).with_max_len(1).for_each(|((dqkv, out), (sequence, queries))| {
        let values = |span: &Span, width| span.first * width..(span.first + span.rows) * width;
        let qkv = &cast::cpu::read(&qkv, values(sequence, 3 * width));
        let dout = &dout[values(queries, width)];
        let log_sums = &log_sums[values(queries, head_count)];
        let mut scratch = Scratch::new(queries.rows * sequence.rows);
        for head in attention.heads(sequence.rows, queries.rows, width) {
            head.fetch_next(qkv);
            scratch.probabilities(&head, qkv, log_sums, head_count);
            average(&head, &scratch.probs, qkv, out);
            scratch.backward_head(&head, qkv, dout, dqkv);
        }
        for row in dqkv.chunks_exact_mut(3 * width).skip(queries.rows) {
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
