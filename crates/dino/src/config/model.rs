//! The network: backbone and head.

use serde::{Deserialize, Serialize};

use super::Warning;
use super::check::Check;
use crate::error::Result;

/// Largest sizes: more than anybody trains, and small enough that no product of them overflows. What
/// fits into memory is another question (`memory.rs`).
const MAX_WIDTH: usize = 1 << 16;
const MAX_DEPTH: usize = 1000;
const MAX_PROTOTYPES: usize = 1 << 24;
/// Longest side of a crop or an image, in pixels.
pub(super) const MAX_SIDE: usize = 8192;

/// Section `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// `vit_tiny`, `vit_small`, `vit_base`, `vit_large`, or `custom` with the next three keys.
    pub arch: Arch,
    /// Width of the tokens; follows from `arch` unless that is `custom`.
    pub embed_dim: usize,
    /// Number of blocks; follows from `arch` unless that is `custom`.
    pub depth: usize,
    /// Attention heads of a block; follows from `arch` unless that is `custom`.
    pub heads: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of the MLP of a block as a multiple of `embed_dim`.
    pub mlp_ratio: f64,
    /// Drop-path rate of the last block of the student; rises from 0 in the first block.
    pub drop_path: f64,
    /// Standard deviation of the initial weights of linear layers, \[CLS\] and positions. The
    /// reference's 0.02 suits widths of several hundred; narrow networks start faster with more.
    pub init_std: f64,
    /// Initial value of layer scale; without it, blocks have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_scale: Option<f64>,
    /// Side, in pixels, of the image the position table is made for; by default that of global crops.
    pub image_size: usize,
    /// How positions are resampled for other sizes: `reference` (DINO's, which adds 0.1 to the
    /// number of patches), or `exact`.
    pub position_offset: PositionOffset,
    /// Width of the two hidden layers of the head.
    pub head_hidden_dim: usize,
    /// Width of the normalized vector at the end of the head.
    pub bottleneck_dim: usize,
    /// Number of prototypes, K.
    pub prototypes: usize,
    /// Number of prototypes for patches alone (iBOT without a shared head); none: the same ones.
    pub patch_prototypes: Option<usize>,
    /// What the factors of products in linear layers, and in attention of 256 tokens or more, are rounded to:
    /// `f32`, or `bf16`, which is faster on processors with AMX or AVX512-BF16. Weights, sums, norms, softmax
    /// and the objective are f32 in any case.
    pub precision: Precision,
}

/// What the factors of products in linear layers and attention are rounded to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits, which is no rounding.
    #[default]
    F32,
    /// 8 bits.
    Bf16,
}

impl Precision {
    /// As the engine spells it.
    pub fn of_products(self) -> engine::matmul::Precision {
        match self {
            Self::F32 => engine::matmul::Precision::F32,
            Self::Bf16 => engine::matmul::Precision::Bf16,
        }
    }

    /// What there is to say where this precision does not pay on this machine.
    pub fn warning(self) -> Option<Warning> {
        (!engine::matmul::is_native(self.of_products())).then(|| {
            "`model.precision` is bf16, which is slower than f32 on this processor: it has neither AMX \
             nor AVX512-BF16, so products round to bf16 and then multiply f32"
                .to_owned()
        })
    }
}

/// A size of vision transformer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// Width 192, 12 blocks, 3 heads.
    VitTiny,
    /// Width 384, 12 blocks, 6 heads.
    #[default]
    VitSmall,
    /// Width 768, 12 blocks, 12 heads.
    VitBase,
    /// Width 1024, 24 blocks, 16 heads.
    VitLarge,
    /// Width, blocks and heads as given.
    Custom,
}

impl Arch {
    /// `embed_dim`, `depth`, `heads`; `None` for [`Arch::Custom`].
    pub fn sizes(self) -> Option<(usize, usize, usize)> {
        match self {
            Self::VitTiny => Some((192, 12, 3)),
            Self::VitSmall => Some((384, 12, 6)),
            Self::VitBase => Some((768, 12, 12)),
            Self::VitLarge => Some((1024, 24, 16)),
            Self::Custom => None,
        }
    }
}

/// What is added to the number of patches when positions are resampled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionOffset {
    /// 0.1, as DINO does.
    #[default]
    Reference,
    /// 0.
    Exact,
}

impl PositionOffset {
    /// The number itself.
    pub fn value(self) -> f64 {
        match self {
            Self::Reference => 0.1,
            Self::Exact => 0.0,
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            arch: Arch::VitSmall,
            embed_dim: 384,
            depth: 12,
            heads: 6,
            patch_size: 16,
            mlp_ratio: 4.0,
            drop_path: 0.1,
            init_std: 0.02,
            layer_scale: None,
            image_size: 224,
            position_offset: PositionOffset::Reference,
            head_hidden_dim: 2048,
            bottleneck_dim: 256,
            prototypes: 65536,
            patch_prototypes: None,
            precision: Precision::F32,
        }
    }
}

impl Model {
    /// Width of the MLP of a block.
    pub fn mlp_dim(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    pub(super) fn check(&self, check: &Check<'_>) -> Result<()> {
        check.count("model.embed_dim", self.embed_dim, MAX_WIDTH)?;
        check.count("model.depth", self.depth, MAX_DEPTH)?;
        check.count("model.heads", self.heads, MAX_WIDTH)?;
        check.count("model.patch_size", self.patch_size, MAX_SIDE)?;
        self.check_arch(check)?;
        let divides = self.embed_dim.is_multiple_of(self.heads);
        let needed = format!("divide `model.embed_dim`, which is {}", self.embed_dim);
        check.require(divides, "model.heads", self.heads, needed)?;
        check.positive("model.mlp_ratio", self.mlp_ratio, [1e-3, 64.0])?;
        let needed = "leave the MLP at least one wide";
        check.require(self.mlp_dim() >= 1, "model.mlp_ratio", self.mlp_ratio, needed)?;
        check.below_one("model.drop_path", self.drop_path)?;
        check.positive("model.init_std", self.init_std, [1e-9, 100.0])?;
        if let Some(scale) = self.layer_scale {
            check.positive("model.layer_scale", scale, [1e-9, 1e6])?;
        }
        if let Some(count) = self.patch_prototypes {
            check.count("model.patch_prototypes", count, MAX_PROTOTYPES)?;
        }
        check.count("model.head_hidden_dim", self.head_hidden_dim, MAX_WIDTH)?;
        let dim = self.bottleneck_dim;
        check.require(dim >= 2, "model.bottleneck_dim", dim, "be 2 or more")?;
        check.count("model.bottleneck_dim", dim, MAX_WIDTH)?;
        check.count("model.prototypes", self.prototypes, MAX_PROTOTYPES)
    }

    /// After the crops, which decide this size unless it is given.
    pub(super) fn check_image_size(&self, check: &Check<'_>) -> Result<()> {
        check_multiple(check, "model.image_size", self.image_size, self.patch_size)
    }

    fn check_arch(&self, check: &Check<'_>) -> Result<()> {
        let Some((embed_dim, depth, heads)) = self.arch.sizes() else { return Ok(()) };
        let keys = [
            ("model.embed_dim", self.embed_dim, embed_dim),
            ("model.depth", self.depth, depth),
            ("model.heads", self.heads, heads),
        ];
        for (key, found, fixed) in keys {
            let needed = format!("be {fixed} unless `model.arch` is \"custom\"");
            check.require(found == fixed, key, found, needed)?;
        }
        Ok(())
    }
}

/// `size` is a multiple of the patch, and not 0.
pub(super) fn check_multiple(
    check: &Check<'_>,
    key: &str,
    size: usize,
    patch_size: usize,
) -> Result<()> {
    let holds = size > 0 && size.is_multiple_of(patch_size);
    let needed = format!("be a multiple of `model.patch_size`, which is {patch_size}");
    check.require(holds, key, size, needed)?;
    check.count(key, size, MAX_SIDE)
}
