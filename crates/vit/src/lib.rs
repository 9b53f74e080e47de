//! A vision transformer and a projection head that ends in prototypes.
//!
//! ```text
//! pixels ─▶ embedding ─▶ block × depth ─▶ norm ─▶ [CLS] and patches ─▶ head ─▶ unit vectors, Outputs
//!           patches, mask                         Tokens: which        MLP, normalization;
//!           token, positions                      are computed         prototypes wait for the objective
//! ```
//!
//! A [`Network`] is a description: names, shapes and roles of its parameters. The values lie in
//! [`engine::Params`], so the student, the teacher, gradients and moments share one description. Names are
//! those of the PyTorch implementations. Nothing here reads a value: the operations of [`engine::ops`] do, so
//! a network runs wherever its parameters lie.
//!
//! One forward and backward pass over two images:
//!
//! ```
//! use engine::Params;
//! use engine::ops::patch_embed::Images;
//! use vit::{Crops, DropPlan, HeadShape, Network, Patches, VitShape, init};
//!
//! let shape = VitShape {
//!     embed_dim: 16, depth: 2, heads: 2, mlp_hidden: 64, patch_size: 4, image_size: 16,
//!     ..VitShape::default()
//! };
//! let head = HeadShape {
//!     embed_dim: 16, hidden_dim: 32, bottleneck_dim: 8, prototypes: 64, ..HeadShape::default()
//! };
//! let network = Network::new(&shape, &head);
//! let params = init::draw(&network, 0, 0.02);
//!
//! let images = Images { count: 2, channels: 3, height: 16, width: 16 };
//! let pixels = vec![0.5; 2 * 3 * 16 * 16];
//! let crops = [Crops::new(&pixels, images)];
//! let (outputs, saved) = network.forward(&params, &crops, Patches::None, &DropPlan::keep_all());
//! assert_eq!(outputs.cls.shape(), [2, 8]);
//!
//! let mut grads = Params::zeros(network.table().clone());
//! network.backward(&params, saved, &outputs, &mut grads); // the gradient of ½ Σ y²
//! ```

mod backbone;
mod block;
pub mod drop_path;
pub mod embedding;
pub mod head;
pub mod init;
mod layers;
mod mlp;
mod prototypes;
mod pulse;
pub mod shape;

use std::sync::Arc;

use engine::ops::tokens::{concat, gather, scatter_add, split};
use engine::{Layout, ParamTable, Params, Tensor};
use pulse::GO_ON;

pub use backbone::{Saved as BackboneSaved, Tokens, Vit};
pub use drop_path::DropPlan;
pub use embedding::Crops;
pub use head::Head;
pub use prototypes::Prototypes;
pub use pulse::Pulse;
pub use shape::{HeadShape, MlpKind, Recompute, Resampling, VitShape};

/// Backbone and head under PyTorch's names `backbone.*` and `head.*`.
#[derive(Debug, Clone)]
pub struct Network {
    /// The vision transformer.
    pub backbone: Vit,
    /// MLP, bottleneck and prototypes.
    pub head: Head,
    table: Arc<ParamTable>,
}

/// Which patches of the first group reach the head, beside the \[CLS\] tokens of all crops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patches {
    /// None: DINO.
    None,
    /// Those that are masked: the student of iBOT.
    Masked,
    /// All of them: the teacher of iBOT.
    All,
}

/// What the network computes: unit bottleneck vectors, or their gradients.
#[derive(Debug)]
pub struct Outputs {
    /// Of the \[CLS\] tokens of all crops, `[crops, r]`, in the order of the groups.
    pub cls: Tensor,
    /// Of patches, `[patches, r]`, image after image.
    pub patches: Tensor,
}

impl Outputs {
    fn split(y: &Tensor, cls: usize) -> Self {
        let (cls, patches) = split(y, cls);
        Self { cls, patches }
    }
}

/// The rows of the backbone's tokens that reach the head.
#[derive(Debug)]
struct HeadRows {
    cls: Layout,
    patches: Layout,
}

/// What backward needs.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    backbone: backbone::Saved,
    picked: Option<(HeadRows, usize)>, // and the number of all rows; none if all are [CLS] tokens
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

    /// Unit bottleneck vectors of the \[CLS\] tokens and of these patches.
    pub fn forward(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        patches: Patches,
        plan: &DropPlan,
    ) -> (Outputs, Saved) {
        let passed = self.forward_with(params, crops, patches, plan, GO_ON);
        passed.expect("`GO_ON` ends no pass")
    }

    /// As [`forward`](Self::forward); `None` if `pulse` ends the pass.
    pub fn forward_with(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        patches: Patches,
        plan: &DropPlan,
        pulse: Pulse<'_>,
    ) -> Option<(Outputs, Saved)> {
        let (features, backbone) =
            self.backbone.forward_with(params, crops, tokens(patches), plan, pulse)?;
        let picked = self.pick(crops, patches).map(|rows| (rows, features.rows()));
        let x = match &picked {
            Some((rows, _)) => {
                concat(&gather(&features, &rows.cls), &gather(&features, &rows.patches))
            }
            None => features,
        };
        let (y, head) = self.head.forward(params, x);
        let cls = picked.as_ref().map_or(y.rows(), |(rows, _)| rows.cls.len());
        Some((Outputs::split(&y, cls), Saved { backbone, picked, head }))
    }

    /// The same without a backward pass to come, and without drop path.
    pub fn infer(&self, params: &Params, crops: &[Crops<'_>], patches: Patches) -> Outputs {
        self.infer_with(params, crops, patches, GO_ON).expect("`GO_ON` ends no pass")
    }

    /// As [`infer`](Self::infer); `None` if `pulse` ends the pass.
    pub fn infer_with(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        patches: Patches,
        pulse: Pulse<'_>,
    ) -> Option<Outputs> {
        let features = self.backbone.infer_with(params, crops, tokens(patches), pulse)?;
        Some(self.infer_head(params, &features, crops, patches))
    }

    /// The same from the tokens that the backbone gives for these patches: [`Tokens::Cls`] for none of them,
    /// else [`Tokens::AllOfFirst`].
    pub fn infer_head(
        &self,
        params: &Params,
        features: &Tensor,
        crops: &[Crops<'_>],
        patches: Patches,
    ) -> Outputs {
        match self.pick(crops, patches) {
            None => Outputs::split(&self.head.infer(params, features), features.rows()),
            Some(rows) => {
                let x = concat(&gather(features, &rows.cls), &gather(features, &rows.patches));
                Outputs::split(&self.head.infer(params, &x), rows.cls.len())
            }
        }
    }

    /// Adds to the gradients of all parameters but the prototypes; `dy` is that of what
    /// [`forward`](Self::forward) gave.
    pub fn backward(&self, params: &Params, saved: Saved, dy: &Outputs, grads: &mut Params) {
        let passed = self.backward_with(params, saved, dy, grads, GO_ON);
        passed.expect("`GO_ON` ends no pass");
    }

    /// As [`backward`](Self::backward); `None`, and a part of the gradients, if `pulse` ends the pass.
    pub fn backward_with(
        &self,
        params: &Params,
        saved: Saved,
        dy: &Outputs,
        grads: &mut Params,
        pulse: Pulse<'_>,
    ) -> Option<()> {
        let dy = concat(&dy.cls, &dy.patches);
        let dx = self.head.backward(params, saved.head, dy, grads);
        let dfeatures = match saved.picked {
            None => dx,
            Some((rows, all)) => {
                let parts = Outputs::split(&dx, rows.cls.len());
                let mut dfeatures = Tensor::zeros(&[all, dx.width()]).to(&dx.device());
                scatter_add(&parts.cls, &rows.cls, &mut dfeatures);
                scatter_add(&parts.patches, &rows.patches, &mut dfeatures);
                dfeatures
            }
        };
        self.backbone.backward_with(params, saved.backbone, dfeatures, grads, pulse)?;
        Some(())
    }

    /// Which rows of the backbone's tokens reach the head; nothing if all of them do.
    fn pick(&self, crops: &[Crops<'_>], patches: Patches) -> Option<HeadRows> {
        let first = crops.first().filter(|_| patches != Patches::None)?;
        let shape = self.backbone.shape();
        let (tokens, patches_of_image) =
            (shape.tokens(&first.images), shape.patches(&first.images));
        let whole = first.images.count * tokens;
        let others: usize = crops[1..].iter().map(|crops| crops.images.count).sum();
        let cls = (0..whole).step_by(tokens).chain(whole..whole + others);
        let wanted = |patch: &usize| match patches {
            Patches::Masked => first.mask.is_some_and(|mask| mask[*patch]),
            Patches::None | Patches::All => true,
        };
        let row = |patch: usize| {
            let (image, patch) = (patch / patches_of_image, patch % patches_of_image);
            (image + 1) * tokens - patches_of_image + patch
        };
        let patches = (0..first.images.count * patches_of_image).filter(wanted).map(row);
        Some(HeadRows { cls: Layout::of_rows(cls), patches: Layout::of_rows(patches) })
    }
}

/// The tokens that the backbone has to finish.
fn tokens(patches: Patches) -> Tokens {
    if patches == Patches::None { Tokens::Cls } else { Tokens::AllOfFirst }
}
