//! The sizes of a network.

use engine::matmul::Precision;

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
    /// Width of the MLPs.
    pub mlp_hidden: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Side of the image that the position table is made for, in pixels.
    pub image_size: usize,
    /// Added to the number of patches when positions are resampled: 0.1 (the reference's), or 0.
    pub position_offset: f64,
    /// Initial value of layer scale (`gamma_1`, `gamma_2`), if there is one.
    pub layer_scale: Option<f64>,
    /// Whether there is a vector that stands for masked patches (`masked_embed`).
    pub masked: bool,
    /// Of the matmuls of its linear layers.
    pub precision: Precision,
    /// What the backward pass recomputes.
    pub recompute: Recompute,
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
