//! A transformer block: two pre-norm residual branches.
//!
//! ```text
//! x ← x + s₁ γ₁ ⊙ proj(attention(qkv(norm1(x))))
//! x ← x + s₂ γ₂ ⊙ mlp(norm2(x))
//! ```
//!
//! γ is the optional layer scale, s the drop-path scale. The stream `x` is changed in place. A branch
//! gathers the sequences that drop path keeps, works on those alone, and adds its result to them. In the
//! last block it adds only to the rows that the caller wants. Saved are, for each kept row, the branch's
//! input, `qkv` and the hidden layer before GELU (the last two in the precision of the matmuls). Outputs
//! of norms, attention and GELU are recomputed. [`Recompute`] saves less and recomputes more.

use engine::ops::attention::{self, Attention};
use engine::ops::linear::{self, Linear};
use engine::ops::normed_linear::{self, NormedLinear};
use engine::ops::residual::{self, Scale};
use engine::ops::tokens::{gather, scatter_add};
use engine::{Layout, Param, ParamTable, Params, Role, Tensor};

use super::layers::Layers;
use super::mlp::{self, BlockMlp};
use super::shape::{Recompute, VitShape};

/// The parameters of a block.
#[derive(Debug, Clone)]
pub struct Block {
    qkv: NormedLinear,
    proj: Linear,
    gamma1: Option<Param>,
    mlp: BlockMlp,
    gamma2: Option<Param>,
    attention: Attention,
}

/// What backward needs.
#[must_use]
#[derive(Debug)]
pub(super) enum Saved {
    /// What its branches need. None for a branch that kept no sequence.
    Branches(Option<Box<SavedAttention>>, Option<Box<SavedMlp>>),
    /// The block's input `[rows, d]`, and the sequences that its branches keep.
    Input { stream: Tensor, attention: Kept, mlp: Kept },
}

/// The sequences that a branch keeps.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// All rows of these sequences. Attention reads them.
    pub(super) sequences: Layout,
    /// The rows that the branch changes: the first ones of each sequence.
    pub(super) outputs: Layout,
    /// One over the probability of being kept.
    pub(super) scale: f32,
}

/// What the backward pass of the attention branch needs.
#[must_use]
#[derive(Debug)]
pub(super) struct SavedAttention {
    kept: Kept,
    qkv: normed_linear::Saved, // [kept rows, d]
    attention: attention::Saved,
    y: Option<Tensor>, // [output rows, d], for the gradient of layer scale
}

/// What the backward pass of the MLP branch needs.
#[must_use]
#[derive(Debug)]
pub(super) struct SavedMlp {
    kept: Kept,
    mlp: mlp::Saved, // [output rows, d], and [output rows, mlp_hidden] unless it is computed again
    y: Option<Tensor>,
}

impl Block {
    /// A block whose parameters are named `{name}norm1.weight` and so on, in PyTorch's order.
    pub(super) fn new(shape: &VitShape, name: &str, table: &mut ParamTable) -> Self {
        let d = shape.embed_dim;
        let mut gamma = |branch: usize| {
            let name = format!("{name}gamma_{branch}");
            shape.layer_scale.map(|_| table.add(name, &[d], Role::LayerScale))
        };
        let (gamma1, gamma2) = (gamma(1), gamma(2));
        let mut layers = Layers { table, precision: shape.precision, norm_eps: shape.norm_eps };
        Self {
            qkv: NormedLinear {
                norm: layers.norm(&format!("{name}norm1"), d),
                linear: layers.linear(&format!("{name}attn.qkv"), d, 3 * d),
            },
            proj: layers.linear(&format!("{name}attn.proj"), d, d),
            mlp: BlockMlp::new(shape, name, &mut layers),
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
        let scale = Scale { drop_path: kept.scale, gamma: self.gamma1 };
        residual::add(params, stream, &kept.outputs, &y, scale);
        Some(SavedAttention { kept, qkv: saved, attention, y: self.gamma1.map(|_| y) })
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
        let (y, mlp) = self.mlp.forward(params, x, recompute == Recompute::None);
        let scale = Scale { drop_path: kept.scale, gamma: self.gamma2 };
        residual::add(params, stream, &kept.outputs, &y, scale);
        Some(SavedMlp { kept, mlp, y: self.gamma2.map(|_| y) })
    }

    /// Both branches without a backward pass to come, for the rows `outputs`: the first of each sequence.
    pub(super) fn infer(
        &self,
        params: &Params,
        stream: &mut Tensor,
        sequences: &Layout,
        outputs: &Layout,
    ) {
        let qkv = self.infer_qkv(params, stream);
        let out = attention::infer(&qkv, sequences, &outputs.compact(), self.attention);
        drop(qkv);
        let y = linear::infer(&self.proj, params, &out);
        residual::add(params, stream, outputs, &y, Scale { drop_path: 1.0, gamma: self.gamma1 });
        let y = if outputs.rows() == stream.rows() {
            self.mlp.infer(params, stream)
        } else {
            self.mlp.infer(params, &gather(stream, outputs))
        };
        residual::add(params, stream, outputs, &y, Scale { drop_path: 1.0, gamma: self.gamma2 });
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
        let dx = self.mlp.backward(params, mlp, &dy, grads);
        scatter_add(&dx, &kept.outputs, dstream);
    }
}

/// The gradient of a branch's output on the rows that it changes; adds to that of its layer scale.
fn branch_gradient(
    params: &Params,
    kept: &Kept,
    dstream: &Tensor,
    gamma: Option<Param>,
    y: Option<&Tensor>,
    grads: &mut Params,
) -> Tensor {
    if let (Some(gamma), Some(y)) = (gamma, y) {
        let dx = gather(dstream, &kept.outputs);
        residual::backward_gamma(gamma, &dx, y, kept.scale, grads);
    }
    let scale = Scale { drop_path: kept.scale, gamma };
    residual::backward(params, dstream, &kept.outputs, scale)
}
