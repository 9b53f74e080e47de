//! The MLP branch of a block, with GELU or SwiGLU, and the norm in front of it.
//!
//! ```text
//! GELU      y = fc2(gelu(fc1(norm(x))))
//! SwiGLU    y = w3(silu(a) ⊙ b),   [a | b] = w12(norm(x))
//! ```
//!
//! Names are those of DINO and of DINOv2's `SwiGLUFFN`.

use engine::ops::linear::{self, Linear};
use engine::ops::mlp::{self, Mlp};
use engine::ops::normed_linear::{self, NormedLinear};
use engine::ops::{gelu, swiglu};
use engine::{Dtype, Params, Tensor};

use super::layers::Layers;
use super::shape::{MlpKind, VitShape};

/// The layers.
#[derive(Debug, Clone)]
pub(super) enum BlockMlp {
    Gelu(Mlp),
    SwiGlu { first: NormedLinear, second: Linear },
}

/// What backward needs.
#[must_use]
#[derive(Debug)]
pub(super) enum Saved {
    Gelu(mlp::Saved),
    SwiGlu {
        first: normed_linear::Saved,
        gate: swiglu::Saved,
    },
    /// The input alone: the rest is computed again.
    Input(Tensor),
}

impl BlockMlp {
    /// Layers whose parameters are named `{name}norm2.weight`, `{name}mlp.fc1.weight` and so on.
    pub(super) fn new(shape: &VitShape, name: &str, layers: &mut Layers<'_>) -> Self {
        let (d, hidden) = (shape.embed_dim, shape.mlp_hidden);
        let (wide, names) = match shape.mlp {
            MlpKind::Gelu | MlpKind::GeluTanh => (hidden, ["fc1", "fc2"]),
            MlpKind::SwiGlu => (2 * hidden, ["w12", "w3"]),
        };
        let norm = layers.norm(&format!("{name}norm2"), d);
        let linear = layers.linear(&format!("{name}mlp.{}", names[0]), d, wide);
        let first = NormedLinear { norm, linear };
        let second = layers.linear(&format!("{name}mlp.{}", names[1]), hidden, d);
        match shape.mlp {
            MlpKind::Gelu => Self::Gelu(Mlp { first, gelu: gelu::Form::Exact, second }),
            MlpKind::GeluTanh => Self::Gelu(Mlp { first, gelu: gelu::Form::Tanh, second }),
            MlpKind::SwiGlu => Self::SwiGlu { first, second },
        }
    }

    /// `y`, and what backward needs: with the hidden layer or without it. All are `[rows, d]`.
    pub(super) fn forward(&self, params: &Params, x: Tensor, keep_hidden: bool) -> (Tensor, Saved) {
        match self {
            Self::Gelu(mlp) => {
                let (y, saved) = mlp::forward(mlp, params, x, keep_hidden);
                (y, Saved::Gelu(saved))
            }
            Self::SwiGlu { .. } if !keep_hidden => (self.infer(params, &x), Saved::Input(x)),
            Self::SwiGlu { first, second } => {
                let (hidden, first) = normed_linear::forward(first, params, x);
                let dtype: Dtype = second.precision.into();
                let (gated, gate) = swiglu::forward(hidden, dtype);
                (linear::infer(second, params, &gated), Saved::SwiGlu { first, gate })
            }
        }
    }

    /// `y` alone.
    pub(super) fn infer(&self, params: &Params, x: &Tensor) -> Tensor {
        match self {
            Self::Gelu(mlp) => mlp::infer(mlp, params, x),
            Self::SwiGlu { first, second } => {
                let gated = swiglu::infer(&normed_linear::infer(first, params, x));
                linear::infer(second, params, &gated)
            }
        }
    }

    /// `dx`; adds to the gradients of all layers.
    pub(super) fn backward(
        &self,
        params: &Params,
        saved: Saved,
        dy: &Tensor,
        grads: &mut Params,
    ) -> Tensor {
        match (self, saved) {
            (Self::Gelu(mlp), Saved::Gelu(saved)) => mlp::backward(mlp, params, saved, dy, grads),
            (Self::SwiGlu { first, second }, Saved::SwiGlu { first: saved, gate }) => {
                let dgated = linear::backward_input(second, params, dy);
                let (gated, dhidden) = swiglu::recompute_and_backward(gate, &dgated);
                linear::backward_params(second, &gated, dy, grads);
                normed_linear::backward(first, params, saved, &dhidden, grads)
            }
            (_, Saved::Input(x)) => {
                let (_, saved) = self.forward(params, x, true);
                self.backward(params, saved, dy, grads)
            }
            _ => unreachable!("an MLP gets back what it saved"),
        }
    }
}
