//! The sizes of a network.

use engine::matmul::Precision;
use engine::ops::patch_embed::Images;
pub use engine::ops::positions::Resampling;

/// Sizes of a vision transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct VitShape {
    /// Channels of the images.
    pub channels: usize,
    /// Width of the tokens.
    pub embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the MLPs: of the values between their linear layers.
    pub mlp_hidden: usize,
    /// What stands between the linear layers of the MLPs.
    pub mlp: MlpKind,
    /// ε of the layer norms: 1e-6 in DINO, iBOT and DINOv2.
    pub norm_eps: f64,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Side of the image that the position table is made for, in pixels.
    pub image_size: usize,
    /// How positions are resampled for images of another size.
    pub resampling: Resampling,
    /// Initial value of layer scale (`gamma_1`, `gamma_2`), if there is one.
    pub layer_scale: Option<f64>,
    /// Learned tokens between \[CLS\] and the patches (`register_tokens`), without positions.
    pub registers: usize,
    /// Whether there is a vector that stands for masked patches (`masked_embed`).
    pub masked: bool,
    /// Of the matmuls of its linear layers.
    pub precision: Precision,
    /// What the backward pass recomputes.
    pub recompute: Recompute,
}

/// DINO's ViT-S/16 for images of 224 pixels.
impl Default for VitShape {
    fn default() -> Self {
        Self {
            channels: 3,
            embed_dim: 384,
            depth: 12,
            heads: 6,
            mlp_hidden: 4 * 384,
            mlp: MlpKind::Gelu,
            norm_eps: 1e-6,
            patch_size: 16,
            image_size: 224,
            resampling: Resampling::DINO,
            layer_scale: None,
            registers: 0,
            masked: false,
            precision: Precision::F32,
            recompute: Recompute::None,
        }
    }
}

impl VitShape {
    /// Patches of an image.
    pub fn patches(&self, images: &Images) -> usize {
        let (gh, gw) = images.grid(self.patch_size);
        gh * gw
    }

    /// Tokens of an image: \[CLS\], the registers and the patches, in this order.
    pub fn tokens(&self, images: &Images) -> usize {
        1 + self.registers + self.patches(images)
    }
}

/// What stands between the two linear layers of a block's MLP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MlpKind {
    /// GELU in its exact form, as in DINO.
    #[default]
    Gelu,
    /// GELU in its tanh form.
    GeluTanh,
    /// SwiGLU, as in DINOv2's largest network: the first layer is twice as wide.
    SwiGlu,
}

/// Sizes of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadShape {
    /// Width of the features.
    pub embed_dim: usize,
    /// Width of the hidden layers.
    pub hidden_dim: usize,
    /// Width of the normalized vector.
    pub bottleneck_dim: usize,
    /// Number of prototypes.
    pub prototypes: usize,
    /// Number of prototypes for patches alone; none if they share those of the \[CLS\] tokens.
    pub patch_prototypes: Option<usize>,
    /// Of the matmuls of the MLP. Those with the prototypes are f32.
    pub precision: Precision,
}

/// DINO's head for ViT-S/16.
impl Default for HeadShape {
    fn default() -> Self {
        Self {
            embed_dim: 384,
            hidden_dim: 2048,
            bottleneck_dim: 256,
            prototypes: 65_536,
            patch_prototypes: None,
            precision: Precision::F32,
        }
    }
}

/// What the backward pass recomputes instead of keeping it. Results are the same in every bit.
///
/// With `d` the width of the tokens and an MLP four times as wide, in values for each token and block:
///
/// | | kept | recomputed |
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
