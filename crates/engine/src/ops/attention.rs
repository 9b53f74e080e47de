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

mod cpu;

use matmul::Precision;

use crate::layout::Layout;
use crate::profile;
use crate::tensor::Tensor;

/// Heads, and the precision of their matmuls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Number of heads. It divides the width.
    pub heads: usize,
    /// What the operands of the matmuls of long sequences are rounded to, and the dtype of what is kept
    /// for backward. Sums and softmax are f32 in any case.
    pub precision: Precision,
}

impl Attention {
    /// The width `d` of the tokens.
    ///
    /// # Panics
    /// If shapes do not fit: a caller's mistake.
    fn check(self, qkv: &[usize], sequences: &Layout, queries: &Layout) -> usize {
        let [rows, width] = *qkv else { panic!("packed projections have rows and columns") };
        assert_eq!(width % 3, 0, "q, k and v have one width");
        assert_eq!(width / 3 % self.heads, 0, "heads divide the width");
        assert_eq!(rows, sequences.rows(), "rows of attention");
        let mut pairs = queries.spans().iter().zip(sequences.spans());
        let fit = queries.len() == sequences.len() && pairs.all(|(q, all)| q.rows <= all.rows);
        assert!(fit, "queries are the first tokens of each sequence");
        width / 3
    }
}

/// What backward needs.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    qkv: Tensor,      // [rows, 3 d], in the dtype of the matmuls
    log_sums: Tensor, // [queries, heads]
    sequences: Layout,
    queries: Layout,
    attention: Attention,
}

/// `O`, and what backward needs. `queries` are the first tokens of each sequence, compact as `O` is.
pub fn forward(
    qkv: Tensor,
    sequences: &Layout,
    queries: &Layout,
    attention: Attention,
) -> (Tensor, Saved) {
    let width = attention.check(qkv.shape(), sequences, queries);
    let _timer = timer("attention", 2, width, sequences, queries);
    let (out, log_sums) = cpu::attend(&qkv.on_host(), sequences, queries, attention);
    let (out, log_sums) = (out.to(&qkv.device()), log_sums.to(&qkv.device()));
    let qkv = super::cast::to(qkv, attention.precision.into());
    let (sequences, queries) = (sequences.clone(), queries.clone());
    (out, Saved { qkv, log_sums, sequences, queries, attention })
}

/// `O` alone.
pub fn infer(qkv: &Tensor, sequences: &Layout, queries: &Layout, attention: Attention) -> Tensor {
    let width = attention.check(qkv.shape(), sequences, queries);
    let _timer = timer("attention", 2, width, sequences, queries);
    cpu::attend(&qkv.on_host(), sequences, queries, attention).0.to(&qkv.device())
}

/// The attention weights of every sequence, `[heads, queries, tokens]` each, on the host: for maps and
/// tests.
pub fn probabilities(
    qkv: &Tensor,
    sequences: &Layout,
    queries: &Layout,
    attention: Attention,
) -> Vec<Tensor> {
    attention.check(qkv.shape(), sequences, queries);
    cpu::probabilities(&qkv.on_host(), sequences, queries, attention)
}

/// `dqkv`, `[rows, 3 d]`, and `O` again, for the gradients of the layer that follows.
pub fn backward(saved: Saved, dout: &Tensor) -> (Tensor, Tensor) {
    let (width, device) = (saved.qkv.width() / 3, dout.device());
    let _timer = timer("attention, backward", 6, width, &saved.sequences, &saved.queries);
    assert_eq!(dout.shape(), [saved.queries.rows(), width], "gradient of attention");
    let (qkv, log_sums) = (saved.qkv.into_host(), saved.log_sums.into_host());
    let (dqkv, out) = cpu::backward(Saved { qkv, log_sums, ..saved }, &dout.on_host());
    (dqkv.to(&device), out.to(&device))
}

/// Measures `matmuls` matmuls of `[queries, e]` and `[e, tokens]` for each head.
fn timer(
    name: &'static str,
    matmuls: usize,
    width: usize,
    sequences: &Layout,
    queries: &Layout,
) -> profile::Timer {
    let pairs = sequences.spans().iter().zip(queries.spans());
    let scores: usize = pairs.map(|(all, q)| all.rows * q.rows).sum();
    let values = (sequences.rows() + queries.rows()) * width;
    profile::time(name, 2 * matmuls * scores * width, matmuls * values)
}

#[cfg(test)]
mod tests;
