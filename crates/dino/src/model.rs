//! The network: a vision transformer and a projection head that ends in prototypes.
//!
//! A [`Network`] is a description: names, shapes and places of its parameters. The numbers lie in
//! [`engine::Params`], so the student, the teacher, gradients and moments share one description.

pub mod block;
pub mod drop_path;
pub mod head;
pub mod init;
pub mod vit;

use std::sync::Arc;

use engine::{ParamTable, Params, Tensor};

pub use drop_path::DropPlan;
pub use head::{Head, HeadShape};
pub use vit::{Crops, Tokens, Vit, VitShape};

/// Backbone and head under PyTorch's names `backbone.*` and `head.*`.
#[derive(Debug, Clone)]
pub struct Network {
    /// The vision transformer.
    pub backbone: Vit,
    /// MLP, bottleneck and prototypes.
    pub head: Head,
    table: Arc<ParamTable>,
}

/// What a forward pass leaves for its backward pass.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    backbone: vit::Saved,
    head: head::Saved,
}

impl Network {
    /// A network of these shapes.
    pub fn new(vit: &VitShape, head: &HeadShape) -> Self {
        let mut table = ParamTable::default();
        let backbone = Vit::new(vit, "backbone.", &mut table);
        let head = Head::new(head, "head.", &mut table);
        Self { backbone, head, table: Arc::new(table) }
    }

    /// Names, shapes and places of all parameters.
    pub fn table(&self) -> &Arc<ParamTable> {
        &self.table
    }

    /// Unit bottleneck vectors of all crops, `[crops, bottleneck_dim]`, in the order of the groups.
    pub fn forward(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        plan: &DropPlan,
    ) -> (Tensor, Saved) {
        let (features, backbone) = self.backbone.forward(params, crops, Tokens::Cls, plan);
        let (y, head) = self.head.forward(params, features);
        (y, Saved { backbone, head })
    }

    /// The same without a backward pass to come, and without drop path.
    pub fn infer(&self, params: &Params, crops: &[Crops<'_>]) -> Tensor {
        let features = self.backbone.infer(params, crops, Tokens::Cls);
        self.head.infer(params, &features)
    }

    /// Adds to the gradients of all parameters but the prototypes; `dy` is that of [`forward`](Self::forward).
    pub fn backward(&self, params: &Params, saved: Saved, dy: Tensor, grads: &mut Params) {
        let dfeatures = self.head.backward(params, saved.head, dy, grads);
        self.backbone.backward(params, saved.backbone, dfeatures, grads);
    }
}

impl crate::config::Config {
    /// Sizes of backbone and head.
    pub fn shapes(&self) -> (VitShape, HeadShape) {
        let model = &self.model;
        let vit = VitShape {
            channels: self.data.channels,
            embed_dim: model.embed_dim,
            depth: model.depth,
            heads: model.heads,
            mlp_hidden: model.mlp_dim(),
            patch_size: model.patch_size,
            image_size: model.image_size,
            position_offset: model.position_offset.value(),
            layer_scale: model.layer_scale,
        };
        let head = HeadShape {
            embed_dim: model.embed_dim,
            hidden_dim: model.head_hidden_dim,
            bottleneck_dim: model.bottleneck_dim,
            prototypes: model.prototypes,
        };
        (vit, head)
    }
}
