//! A transformer block: two pre-norm residual branches.
//!
//! ```text
//! x ← x + s₁ γ₁ ⊙ proj(attention(qkv(norm1(x))))
//! x ← x + s₂ γ₂ ⊙ fc2(gelu(fc1(norm2(x))))
//! ```
//!
//! γ is the optional layer scale, s the drop-path scale. The stream `x` is changed in place; a branch
//! gathers the sequences it keeps, works on those alone, and adds its result to them, in the last block
//! to the rows alone that are wanted. Saved are, per
//! kept row, the branch's input, `qkv` and the hidden layer before GELU (these two in the precision of
//! the products): outputs of norms, attention and GELU are recomputed. [`Recompute`] saves less and
//! computes more again.

use engine::matmul::Precision;
use engine::ops::attention::{self, Attention};
use engine::ops::layer_norm::LayerNorm;
use engine::ops::linear::{self, Linear};
use engine::ops::mlp::{self, Mlp};
use engine::ops::normed_linear::{self, NormedLinear};
use engine::ops::residual;
use engine::ops::tokens::{Sequences, gather, scatter_add};
use engine::{ParamTable, Params, Range, Tensor};

use super::vit::VitShape;
use crate::config;

/// Where the parameters of a block lie.
#[derive(Debug, Clone)]
pub struct Block {
    qkv: NormedLinear,
    proj: Linear,
    gamma1: Option<Range>,
    mlp: Mlp,
    gamma2: Option<Range>,
    attention: Attention,
}

/// What the backward pass computes again instead of keeping it. Results are the same in every bit.
///
/// With `d` the width of the tokens and an MLP four times as wide, in numbers for each token and block:
///
/// | | kept | computed again |
/// | --- | --- | --- |
/// | `None` | 9 d | norms, the attention's average, GELU |
/// | `Light` | 5 d | and the MLP's hidden layer, a tenth of a step's arithmetic |
/// | `Blocks` | d | the whole block, a quarter of a step's arithmetic |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Only what is cheaper to compute than to keep.
    #[default]
    None,
    /// Also the hidden layer of the MLP.
    Light,
    /// Everything between the inputs of two blocks.
    Blocks,
}

impl From<config::Recompute> for Recompute {
    fn from(setting: config::Recompute) -> Self {
        match setting {
            config::Recompute::None => Self::None,
            config::Recompute::Light => Self::Light,
            config::Recompute::Blocks => Self::Blocks,
        }
    }
}

/// What a block leaves for backward.
#[must_use]
#[derive(Debug)]
pub(super) enum Saved {
    /// What its branches need, where they kept any sequence.
    Branches(Option<Box<SavedAttention>>, Option<Box<SavedMlp>>),
    /// Its input `[rows, d]`, and what its branches keep.
    Input { stream: Tensor, attention: Kept, mlp: Kept },
}

/// The sequences that a branch keeps.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// All of their rows, which attention reads.
    pub(super) sequences: Sequences,
    /// The first rows of each, as many as are wanted: what the branch changes.
    pub(super) outputs: Sequences,
    pub(super) scale: f32,
}

/// What the attention branch leaves for backward.
#[must_use]
#[derive(Debug)]
pub(super) struct SavedAttention {
    kept: Kept,
    qkv: normed_linear::Saved, // [kept rows, d]
    attention: attention::Saved,
    y: Option<Tensor>, // [output rows, d], for the gradient of layer scale
}

/// What the MLP branch leaves for backward.
#[must_use]
#[derive(Debug)]
pub(super) struct SavedMlp {
    kept: Kept,
    mlp: mlp::Saved, // [output rows, d], and [output rows, mlp_hidden] unless it is computed again
    y: Option<Tensor>,
}

/// Adds the two tensors of a layer norm to the table.
pub(super) fn layer_norm(table: &mut ParamTable, name: &str, d: usize) -> LayerNorm {
    LayerNorm {
        weight: table.add(format!("{name}.weight"), &[d]),
        bias: table.add(format!("{name}.bias"), &[d]),
        eps: 1e-6,
    }
}

/// Adds the two tensors of a linear layer to the table.
pub(super) fn linear(
    table: &mut ParamTable,
    name: &str,
    (input, output): (usize, usize),
    precision: Precision,
) -> Linear {
    Linear {
        precision,
        weight: table.add(format!("{name}.weight"), &[output, input]),
        bias: table.add(format!("{name}.bias"), &[output]),
        input,
        output,
    }
}

impl Block {
    /// A block whose parameters are named `{name}norm1.weight` and so on, in PyTorch's order.
    pub(super) fn new(shape: &VitShape, name: &str, table: &mut ParamTable) -> Self {
        let (d, hidden) = (shape.embed_dim, shape.mlp_hidden);
        let scaled = shape.layer_scale.is_some();
        let gamma1 = scaled.then(|| table.add(format!("{name}gamma_1"), &[d]));
        let gamma2 = scaled.then(|| table.add(format!("{name}gamma_2"), &[d]));
        Self {
            qkv: NormedLinear {
                norm: layer_norm(table, &format!("{name}norm1"), d),
                linear: linear(table, &format!("{name}attn.qkv"), (d, 3 * d), shape.precision),
            },
            proj: linear(table, &format!("{name}attn.proj"), (d, d), shape.precision),
            mlp: Mlp {
                first: NormedLinear {
                    norm: layer_norm(table, &format!("{name}norm2"), d),
                    linear: linear(table, &format!("{name}mlp.fc1"), (d, hidden), shape.precision),
                },
                second: linear(table, &format!("{name}mlp.fc2"), (hidden, d), shape.precision),
            },
            gamma1,
            gamma2,
            attention: Attention { heads: shape.heads, precision: shape.precision },
        }
    }

    /// Both branches, on the sequences that they keep.
    pub(super) fn forward(
        &self,
        params: &Params,
        stream: &mut Tensor,
        (attention, mlp): (Kept, Kept),
        recompute: Recompute,
    ) -> Saved {
        if recompute == Recompute::Blocks {
            let input = stream.clone();
            drop(self.forward_attention(params, stream, attention.clone()));
            drop(self.forward_mlp(params, stream, mlp.clone(), Recompute::Light));
            return Saved::Input { stream: input, attention, mlp };
        }
        let attention = self.forward_attention(params, stream, attention).map(Box::new);
        let mlp = self.forward_mlp(params, stream, mlp, recompute).map(Box::new);
        Saved::Branches(attention, mlp)
    }

    /// The attention branch; `None` where every sequence is dropped.
    fn forward_attention(
        &self,
        params: &Params,
        stream: &mut Tensor,
        kept: Kept,
    ) -> Option<SavedAttention> {
        if kept.sequences.is_empty() {
            return None;
        }
        let x = gather(stream, &kept.sequences);
        let (qkv, saved) = normed_linear::forward(&self.qkv, params, x);
        let (sequences, queries) = (kept.sequences.compact(), kept.outputs.compact());
        let (out, attention) = attention::forward(qkv, &sequences, &queries, self.attention);
        let y = linear::infer(&self.proj, params, &out);
        drop(out);
        let gamma = self.gamma1.map(|range| params.get(range));
        residual::add(stream, &kept.outputs, &y, kept.scale, gamma);
        Some(SavedAttention { kept, qkv: saved, attention, y: gamma.map(|_| y) })
    }

    /// The MLP branch; `None` where every sequence is dropped.
    fn forward_mlp(
        &self,
        params: &Params,
        stream: &mut Tensor,
        kept: Kept,
        recompute: Recompute,
    ) -> Option<SavedMlp> {
        if kept.sequences.is_empty() {
            return None;
        }
        let x = gather(stream, &kept.outputs);
        let (y, mlp) = mlp::forward(&self.mlp, params, x, recompute == Recompute::None);
        let gamma = self.gamma2.map(|range| params.get(range));
        residual::add(stream, &kept.outputs, &y, kept.scale, gamma);
        Some(SavedMlp { kept, mlp, y: gamma.map(|_| y) })
    }

    /// Both branches without a backward pass to come, for the rows `outputs`: the first of each sequence.
    pub(super) fn infer(
        &self,
        params: &Params,
        stream: &mut Tensor,
        sequences: &Sequences,
        outputs: &Sequences,
    ) {
        let qkv = self.infer_qkv(params, stream);
        let out = attention::infer(&qkv, sequences, &outputs.compact(), self.attention);
        drop(qkv);
        let y = linear::infer(&self.proj, params, &out);
        residual::add(stream, outputs, &y, 1.0, self.gamma1.map(|range| params.get(range)));
        let y = if outputs.rows() == stream.rows() {
            mlp::infer(&self.mlp, params, stream)
        } else {
            mlp::infer(&self.mlp, params, &gather(stream, outputs))
        };
        residual::add(stream, outputs, &y, 1.0, self.gamma2.map(|range| params.get(range)));
    }

    /// The packed projections that attention starts from, `[rows, 3 d]`.
    pub(super) fn infer_qkv(&self, params: &Params, stream: &Tensor) -> Tensor {
        normed_linear::infer(&self.qkv, params, stream)
    }

    /// Heads and precision of its attention.
    pub(super) fn attention(&self) -> Attention {
        self.attention
    }

    /// Turns the gradient of the block's output into that of its input; adds to those of its parameters.
    pub(super) fn backward(
        &self,
        params: &Params,
        saved: Saved,
        dstream: &mut Tensor,
        grads: &mut Params,
    ) {
        match saved {
            Saved::Input { mut stream, attention, mlp } => {
                let kept = (attention, mlp);
                let saved = self.forward(params, &mut stream, kept, Recompute::None);
                drop(stream);
                self.backward(params, saved, dstream, grads);
            }
            Saved::Branches(attention, mlp) => {
                if let Some(saved) = mlp {
                    self.backward_mlp(params, *saved, dstream, grads);
                }
                if let Some(saved) = attention {
                    self.backward_attention(params, *saved, dstream, grads);
                }
            }
        }
    }

    /// Adds the branch's part to the gradient of the stream, and to those of its parameters.
    fn backward_attention(
        &self,
        params: &Params,
        saved: SavedAttention,
        dstream: &mut Tensor,
        grads: &mut Params,
    ) {
        let SavedAttention { kept, qkv, attention, y } = saved;
        let dy = branch_gradient(params, &kept, dstream, self.gamma1, y.as_ref(), grads);
        let dout = linear::backward_input(&self.proj, params, &dy);
        let (dqkv, out) = attention::backward(attention, &dout);
        drop(dout);
        linear::backward_params(&self.proj, &out, &dy, grads);
        drop((out, dy));
        let dx = normed_linear::backward(&self.qkv, params, qkv, &dqkv, grads);
        scatter_add(&dx, &kept.sequences, dstream);
    }

    /// As [`backward_attention`](Self::backward_attention), of the other branch.
    fn backward_mlp(
        &self,
        params: &Params,
        saved: SavedMlp,
        dstream: &mut Tensor,
        grads: &mut Params,
    ) {
        let SavedMlp { kept, mlp, y } = saved;
        let dy = branch_gradient(params, &kept, dstream, self.gamma2, y.as_ref(), grads);
        let dx = mlp::backward(&self.mlp, params, mlp, &dy, grads);
        scatter_add(&dx, &kept.outputs, dstream);
    }
}

/// The gradient of a branch's output on the rows that it changes; adds to that of its layer scale.
fn branch_gradient(
    params: &Params,
    kept: &Kept,
    dstream: &Tensor,
    gamma: Option<Range>,
    y: Option<&Tensor>,
    grads: &mut Params,
) -> Tensor {
    if let (Some(gamma), Some(y)) = (gamma, y) {
        let dx = gather(dstream, &kept.outputs);
        residual::backward_gamma(&dx, y, kept.scale, grads.get_mut(gamma));
    }
    let gamma = gamma.map(|range| params.get(range));
    residual::backward(dstream, &kept.outputs, kept.scale, gamma)
}
