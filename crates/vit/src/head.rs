//! The projection head: a three-layer MLP, a bottleneck on the unit sphere, prototypes.
//!
//! ```text
//! z = W₃ gelu(W₂ gelu(W₁ x + b₁) + b₂) + b₃        y = z / ‖z‖        lₖ = gₖ ⟨vₖ, y⟩ / ‖vₖ‖
//! ```
//!
//! Names are PyTorch's: `mlp.0`, `mlp.2`, `mlp.4`, `last_layer.weight_g` `[k, 1]`,
//! `last_layer.weight_v` `[k, r]`, and `last_layer2` if patches have prototypes of their own, as in
//! iBOT without a shared head. The prototypes are multiplied inside the objective, tile by tile;
//! [`Head::logits`] is for inspection and tests.

use engine::ops::gelu::Form;
use engine::ops::linear::{self, Linear};
use engine::ops::{gelu, l2_normalize, mixture_cross_entropy};
use engine::{ParamTable, Params, Tensor};

use super::layers::Layers;
pub use super::prototypes::Prototypes;
use super::shape::HeadShape;

/// A projection head.
#[derive(Debug, Clone)]
pub struct Head {
    shape: HeadShape,
    mlp: [Linear; 3],
    /// For \[CLS\] tokens.
    pub prototypes: Prototypes,
    /// For patches; the same ones unless [`HeadShape::patch_prototypes`] says otherwise.
    pub patch_prototypes: Prototypes,
}

/// What backward needs.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    x: Tensor,
    hidden: [gelu::Saved; 2],
    unit: l2_normalize::Saved,
}

impl Head {
    /// A head whose parameters are named `{prefix}mlp.0.weight` and so on, in PyTorch's order.
    pub fn new(shape: &HeadShape, prefix: &str, table: &mut ParamTable) -> Self {
        let (d, hidden) = (shape.embed_dim, shape.hidden_dim);
        let r = shape.bottleneck_dim;
        // The head has no norms.
        let mut layers = Layers { table, precision: shape.precision, norm_eps: 0.0 };
        let mlp = [
            layers.linear(&format!("{prefix}mlp.0"), d, hidden),
            layers.linear(&format!("{prefix}mlp.2"), hidden, hidden),
            layers.linear(&format!("{prefix}mlp.4"), hidden, r),
        ];
        let prototypes =
            Prototypes::new(table, &format!("{prefix}last_layer"), shape.prototypes, r);
        let patch_prototypes = shape.patch_prototypes.map_or(prototypes, |count| {
            Prototypes::new(table, &format!("{prefix}last_layer2"), count, r)
        });
        Self { shape: shape.clone(), mlp, prototypes, patch_prototypes }
    }

    /// The sizes.
    pub fn shape(&self) -> &HeadShape {
        &self.shape
    }

    /// `y`, `[rows, r]`, of features `[rows, d]`.
    pub fn forward(&self, params: &Params, x: Tensor) -> (Tensor, Saved) {
        let dtype = self.shape.precision.into();
        let (a1, hidden1) =
            gelu::forward(linear::infer(&self.mlp[0], params, &x), Form::Exact, dtype);
        let (a2, hidden2) =
            gelu::forward(linear::infer(&self.mlp[1], params, &a1), Form::Exact, dtype);
        let (y, unit) = l2_normalize::forward(linear::infer(&self.mlp[2], params, &a2));
        (y, Saved { x, hidden: [hidden1, hidden2], unit })
    }

    /// `y` alone.
    pub fn infer(&self, params: &Params, x: &Tensor) -> Tensor {
        let a1 = gelu::infer(&linear::infer(&self.mlp[0], params, x), Form::Exact);
        let a2 = gelu::infer(&linear::infer(&self.mlp[1], params, &a1), Form::Exact);
        l2_normalize::infer(linear::infer(&self.mlp[2], params, &a2))
    }

    /// The gradient of the features; adds to those of the MLP.
    pub fn backward(
        &self,
        params: &Params,
        saved: Saved,
        dy: Tensor,
        grads: &mut Params,
    ) -> Tensor {
        let Saved { x, hidden: [hidden1, hidden2], unit } = saved;
        let dz = l2_normalize::backward(unit, dy);
        let mut dhidden2 = linear::backward_input(&self.mlp[2], params, &dz);
        let a2 = gelu::recompute_and_backward(hidden2, &mut dhidden2);
        linear::backward_params(&self.mlp[2], &a2, &dz, grads);
        let mut dhidden1 = linear::backward_input(&self.mlp[1], params, &dhidden2);
        let a1 = gelu::recompute_and_backward(hidden1, &mut dhidden1);
        linear::backward_params(&self.mlp[1], &a1, &dhidden2, grads);
        linear::backward_params(&self.mlp[0], &x, &dhidden1, grads);
        linear::backward_input(&self.mlp[0], params, &dhidden1)
    }

    /// Raw scores `l` of unit vectors `y`, `[rows, k]`: the whole matrix, so for small ones only.
    pub fn logits(&self, params: &Params, prototypes: Prototypes, y: &Tensor) -> Tensor {
        mixture_cross_entropy::scores(y, params.view(prototypes.g), params.view(prototypes.v))
    }
}
