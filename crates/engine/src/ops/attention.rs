//! Multi-head self-attention straight from the packed projections.
//!
//! ```text
//! P = softmax(Q Kᵀ / √e)        O = P V
//!
//! dV = Pᵀ dO        dP = dO Vᵀ        dS = P ⊙ (dP − rowsum(dO ⊙ O))
//! dQ = dS K / √e        dK = dSᵀ Q / √e
//! ```
//!
//! for each sequence and head, with `e = d / heads`. `qkv` is `[rows, 3 d]`, a row being
//! `[q | k | v]`, each split by head; `O` is `[rows, d]`. Saved are `qkv`, `O` and one log-sum-exp for
//! each row and head, from which `P` is recomputed.

use rayon::prelude::*;

use super::tokens::Sequences;
use crate::matmul::{Mat, MatMut, Product, matmul};
use crate::pool::Buffer;
use crate::profile;
use crate::simd::{dot, exp, max, sum};
use crate::tensor::Tensor;
use dispatch::kernel;

/// What backward needs.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    qkv: Tensor,
    /// The output, `[rows, d]`: the next layer's input, which that layer need not save again.
    pub out: Tensor,
    log_sums: Tensor, // [rows, heads]
    sequences: Sequences,
    heads: usize,
}

/// One head of one sequence: where its parts lie in the sequence's rows.
#[derive(Clone, Copy)]
struct Head {
    tokens: usize,
    width: usize, // of a row of the output, d
    dim: usize,   // of the head, e
    index: usize,
}

impl Head {
    /// The `[tokens, dim]` matrix of part 0 = q, 1 = k, 2 = v of the packed rows.
    fn part<'a>(&self, rows: &'a [f32], part: usize) -> Mat<'a> {
        let first = part * self.width + self.index * self.dim;
        Mat::strided(&rows[first..], self.tokens, self.dim, 3 * self.width)
    }

    fn part_mut<'a>(&self, rows: &'a mut [f32], part: usize) -> MatMut<'a> {
        let first = part * self.width + self.index * self.dim;
        MatMut::strided(&mut rows[first..], self.tokens, self.dim, 3 * self.width)
    }

    /// The head's columns of the output.
    fn columns<'a>(&self, rows: &'a [f32]) -> Mat<'a> {
        Mat::strided(&rows[self.index * self.dim..], self.tokens, self.dim, self.width)
    }

    fn columns_mut<'a>(&self, rows: &'a mut [f32]) -> MatMut<'a> {
        MatMut::strided(&mut rows[self.index * self.dim..], self.tokens, self.dim, self.width)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.dim as f32).sqrt()
    }
}

fn heads(tokens: usize, width: usize, heads: usize) -> impl Iterator<Item = Head> {
    let dim = width / heads;
    (0..heads).map(move |index| Head { tokens, width, dim, index })
}

/// `O`, kept inside `Saved` as [`Saved::out`].
pub fn forward(qkv: Tensor, sequences: &Sequences, heads: usize) -> Saved {
    let (out, log_sums) = attend(&qkv, sequences, heads);
    Saved { qkv, out, log_sums, sequences: sequences.clone(), heads }
}

/// `O` alone.
pub fn infer(qkv: &Tensor, sequences: &Sequences, heads: usize) -> Tensor {
    attend(qkv, sequences, heads).0
}

fn attend(qkv: &Tensor, sequences: &Sequences, head_count: usize) -> (Tensor, Tensor) {
    let _timer = timer("attention", 2, qkv, sequences);
    let width = check(qkv, sequences, head_count);
    let rows = qkv.rows();
    let mut out = Tensor::uninit(&[rows, width]);
    let mut log_sums = Tensor::uninit(&[rows, head_count]);
    let outs = sequences.split_mut(&mut out, width);
    let sums = sequences.split_mut(&mut log_sums, head_count);
    outs.into_par_iter().zip(sums).zip(sequences.spans()).for_each(
        |((out, log_sums), &(first, tokens))| {
            let rows = &qkv[first * 3 * width..][..tokens * 3 * width];
            let mut probs = Buffer::take(tokens * tokens);
            for head in heads(tokens, width, head_count) {
                scores(&head, rows, &mut probs);
                softmax_rows(&mut probs, &head, head_count, log_sums);
                let p = Mat::new(&probs, tokens, tokens);
                let o = head.columns_mut(out);
                matmul(o, p, head.part(rows, 2), Product::ONE);
            }
        },
    );
    (out, log_sums)
}

/// Measures so many products of `[tokens, e]` and `[e, tokens]` for each head.
fn timer(name: &'static str, products: usize, qkv: &Tensor, on: &Sequences) -> profile::Timer {
    let width = qkv.width() / 3;
    let squares: usize = on.spans().iter().map(|(_, tokens)| tokens * tokens).sum();
    profile::time(name, 2 * products * squares * width, products * qkv.len() * 2 / 3)
}

fn check(qkv: &Tensor, sequences: &Sequences, head_count: usize) -> usize {
    let width = qkv.width() / 3;
    assert_eq!(width * 3, qkv.width(), "q, k and v have one width");
    assert_eq!(width % head_count, 0, "heads divide the width");
    assert_eq!(qkv.rows(), sequences.rows(), "rows of attention");
    width
}

/// `Q Kᵀ / √e` into `out`, `[tokens, tokens]`.
fn scores(head: &Head, rows: &[f32], out: &mut [f32]) {
    let out = MatMut::new(out, head.tokens, head.tokens);
    let (q, k) = (head.part(rows, 0), head.part(rows, 1));
    matmul(out, q, k.t(), Product::ONE.times(head.scale()));
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
pub fn probabilities(qkv: &Tensor, sequences: &Sequences, head_count: usize) -> Vec<Tensor> {
    let width = check(qkv, sequences, head_count);
    let each = sequences.spans().iter().map(|&(first, tokens)| {
        let rows = &qkv[first * 3 * width..][..tokens * 3 * width];
        let mut probs = Tensor::uninit(&[head_count, tokens, tokens]);
        for head in heads(tokens, width, head_count) {
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

/// `dqkv`, `[rows, 3 d]`.
pub fn backward(saved: Saved, dout: &Tensor) -> Tensor {
    let _timer = timer("attention, backward", 5, &saved.qkv, &saved.sequences);
    let (width, head_count) = (dout.width(), saved.heads);
    assert_eq!(dout.shape(), saved.out.shape(), "gradient of attention");
    let mut dqkv = Tensor::uninit(saved.qkv.shape());
    let pieces = saved.sequences.split_mut(&mut dqkv, 3 * width);
    pieces.into_par_iter().zip(saved.sequences.spans()).for_each(|(dqkv, &(first, tokens))| {
        let rows = first..first + tokens;
        let qkv = &saved.qkv[rows.start * 3 * width..rows.end * 3 * width];
        let out = &saved.out[rows.start * width..rows.end * width];
        let dout = &dout[rows.start * width..rows.end * width];
        let log_sums = &saved.log_sums[rows.start * head_count..rows.end * head_count];
        let mut scratch = Scratch::new(tokens);
        for head in heads(tokens, width, head_count) {
            scratch.probabilities(&head, qkv, log_sums, head_count);
            scratch.backward_head(&head, qkv, out, dout, dqkv);
        }
    });
    dqkv
}

/// `P` and `dS` of one head, `[tokens, tokens]`.
struct Scratch {
    probs: Buffer,
    dscores: Buffer,
}

impl Scratch {
    fn new(tokens: usize) -> Self {
        Self { probs: Buffer::take(tokens * tokens), dscores: Buffer::take(tokens * tokens) }
    }

    fn probabilities(&mut self, head: &Head, qkv: &[f32], log_sums: &[f32], head_count: usize) {
        scores(head, qkv, &mut self.probs);
        probability_rows(&mut self.probs, head, head_count, log_sums);
    }

    fn backward_head(
        &mut self,
        head: &Head,
        qkv: &[f32],
        out: &[f32],
        dout: &[f32],
        dqkv: &mut [f32],
    ) {
        let n = head.tokens;
        let (q, k, v) = (head.part(qkv, 0), head.part(qkv, 1), head.part(qkv, 2));
        let p = Mat::new(&self.probs, n, n);
        matmul(head.part_mut(dqkv, 2), p.t(), head.columns(dout), Product::ONE);
        let dp = MatMut::new(&mut self.dscores, n, n);
        matmul(dp, head.columns(dout), v.t(), Product::ONE);
        score_gradient_rows(&mut self.dscores, &self.probs, head, out, dout);
        let ds = Mat::new(&self.dscores, n, n);
        let scaled = Product::ONE.times(head.scale());
        matmul(head.part_mut(dqkv, 0), ds, k, scaled);
        matmul(head.part_mut(dqkv, 1), ds.t(), q, scaled);
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
    /// `dS = P ⊙ (dP − rowsum(dO ⊙ O))`, in place of `dP`.
    fn score_gradient_rows(
        dprobs: &mut [f32],
        probs: &[f32],
        head: &Head,
        out: &[f32],
        dout: &[f32],
    ) {
        let rows = dprobs.chunks_exact_mut(head.tokens).zip(probs.chunks_exact(head.tokens));
        for (i, (ds, p)) in rows.enumerate() {
            let columns = i * head.width + head.index * head.dim..;
            let along = dot(&dout[columns.clone()][..head.dim], &out[columns][..head.dim]);
            for (ds, p) in ds.iter_mut().zip(p) {
                *ds = p * (*ds - along);
            }
        }
    }
}
