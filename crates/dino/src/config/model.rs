//! `[model]`: backbone and head.

use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_SIDE};
use super::error::Result;

/// Largest sizes: more than anybody trains, and small enough that no product of them overflows. Whether
/// they fit into memory is another question (`memory.rs`).
const MAX_WIDTH: usize = 1 << 16;
const MAX_DEPTH: usize = 1000;
const MAX_PROTOTYPES: usize = 1 << 24;
const MAX_REGISTERS: u64 = 1024;

/// The network: a vision transformer (the backbone) and a head that ends in prototypes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Size of the backbone: `vit_tiny`, `vit_small`, `vit_base`, `vit_large`, or `custom`, which takes
    /// the next three keys. Start with `vit_small` for photographs of 224 pixels and with `custom` and a
    /// few narrow blocks for small images or a CPU.
    pub arch: Arch,
    /// Width of the tokens. Follows from `model.arch` unless that is `custom`; `model.heads` must
    /// divide it.
    pub embed_dim: Option<usize>,
    /// Number of blocks. Follows from `model.arch` unless that is `custom`.
    pub depth: Option<usize>,
    /// Attention heads of a block. Follows from `model.arch` unless that is `custom`; 64 values for each
    /// head (`embed_dim / heads`) are usual.
    pub heads: Option<usize>,
    /// Side of the square patches, in pixels. Smaller patches give better features and cost more time
    /// and memory: half the side is four times as many tokens. All crop sizes must be multiples of it.
    /// 16 suits 224 pixels, 4 or 8 suit images of 32 to 64.
    pub patch_size: usize,
    /// Width of the hidden layer of a block's MLP, as a multiple of the width of the tokens.
    pub mlp_ratio: f64,
    /// Drop-path rate of the student's last block; it rises linearly from 0 in the first block. The rate
    /// is the probability that a residual branch is left out for a crop. 0.1 regularizes large models
    /// and saves time; take 0 for small networks and short runs.
    pub drop_path: f64,
    /// Standard deviation of the initial weights of linear layers, \[CLS\] token and positions. The
    /// reference's 0.02 suits widths of several hundred. Narrow networks rest at the start with it; there
    /// take about 1/√width.
    pub init_std: f64,
    /// Initial factor of layer scale, which multiplies the output of every residual branch; `none` builds
    /// blocks without it, as DINO and iBOT do. Deep networks train more steadily with about 1e-5 to 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_scale: Option<f64>,
    /// Side of the image whose patches the position table is made for, in pixels. Positions are resampled
    /// for crops of other sizes. Follows from `data.global_size`; set it only to compare with a network
    /// that was made for another size.
    pub image_size: Option<usize>,
    /// How positions are resampled for crops of other sizes: `reference` adds 0.1 to the number of
    /// patches before it computes the scale, as DINO does; `exact` does not. Keep `reference` for results
    /// that are compared with DINO's or iBOT's.
    pub position_offset: PositionOffset,
    /// Whether the resampling of positions smooths them where a crop has fewer patches than the position
    /// table. DINO, iBOT and DINOv2 do not; timm and DINOv2 with registers do. Set it only for weights
    /// that were trained so.
    pub position_antialias: bool,
    /// Number of register tokens: learned tokens without a position between \[CLS\] and the patches, where
    /// large networks keep what belongs to no patch. They make attention maps of large networks cleaner;
    /// 4 is usual, and small networks do without.
    pub registers: usize,
    /// What stands between the two linear layers of a block's MLP: `gelu`, `gelu_tanh` or `swiglu`. DINO,
    /// iBOT and most released weights have `gelu`; DINOv2's ViT-g has `swiglu`, whose first layer is
    /// twice as wide. Set another only for weights that were trained so.
    pub mlp: MlpKind,
    /// Added to the variance in layer norms. DINO, iBOT and DINOv2 have 1e-6; some vision transformers of
    /// Hugging Face 1e-12. Set it only for weights that were trained so.
    pub norm_eps: f64,
    /// Width of the two hidden layers of the head. It costs time for every crop and nothing afterwards,
    /// because features are taken before the head.
    pub head_hidden_dim: usize,
    /// Width of the normalized vector at the end of the head, which is compared with the prototypes. At
    /// least 2; 256 is usual, and small data sets do with 64.
    pub bottleneck_dim: usize,
    /// Number of prototypes, K. Large and varied data sets want many (65536 for ImageNet), small ones do
    /// with a few hundred; prototypes that nobody uses only cost time. The loss of a run that has learned
    /// nothing is ln K.
    pub prototypes: usize,
    /// Number of prototypes that only patches are compared with (iBOT without a shared head); `none`
    /// takes those of the \[CLS\] tokens, as iBOT recommends. Used by the methods that mask.
    pub patch_prototypes: Option<usize>,
    /// What the operands of matmuls in linear layers, and in attention of 256 tokens or more, are rounded
    /// to: `f32`, or `bf16`. Weights, sums, norms, softmax and the objective stay f32. bf16 saves memory
    /// and is faster on CPUs with AMX or AVX512-BF16, and slower elsewhere.
    pub precision: Precision,
}

/// What operands of matmuls in linear layers and attention are rounded to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits: not rounded.
    #[default]
    F32,
    /// 8 bits.
    Bf16,
}

impl Precision {
    /// The engine's name for it.
    pub fn of_products(self) -> engine::matmul::Precision {
        match self {
            Self::F32 => engine::matmul::Precision::F32,
            Self::Bf16 => engine::matmul::Precision::Bf16,
        }
    }

    /// A warning where this precision does not pay on this CPU.
    pub fn warning(self) -> Option<String> {
        (!engine::matmul::is_native(self.of_products())).then(|| {
            "`model.precision` is bf16, which is slower than f32 on this processor: it has neither AMX \
             nor AVX512-BF16, so every matmul rounds to bf16 and then multiplies f32"
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

/// Width, blocks and heads of a vision transformer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Width of the tokens.
    pub embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads of a block.
    pub heads: usize,
}

impl Sizes {
    const SMALL: Self = Self { embed_dim: 384, depth: 12, heads: 6 };
}

impl Arch {
    /// The sizes that the name stands for; `None` for [`Arch::Custom`].
    pub fn sizes(self) -> Option<Sizes> {
        match self {
            Self::VitTiny => Some(Sizes { embed_dim: 192, depth: 12, heads: 3 }),
            Self::VitSmall => Some(Sizes::SMALL),
            Self::VitBase => Some(Sizes { embed_dim: 768, depth: 12, heads: 12 }),
            Self::VitLarge => Some(Sizes { embed_dim: 1024, depth: 24, heads: 16 }),
            Self::Custom => None,
        }
    }
}

/// What stands between the linear layers of an MLP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MlpKind {
    /// GELU in its exact form.
    #[default]
    Gelu,
    /// GELU in its tanh form.
    GeluTanh,
    /// SwiGLU.
    #[serde(rename = "swiglu")]
    SwiGlu,
}

impl From<MlpKind> for vit::MlpKind {
    fn from(kind: MlpKind) -> Self {
        match kind {
            MlpKind::Gelu => Self::Gelu,
            MlpKind::GeluTanh => Self::GeluTanh,
            MlpKind::SwiGlu => Self::SwiGlu,
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
    /// The value that is added.
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
            embed_dim: None,
            depth: None,
            heads: None,
            patch_size: 16,
            mlp_ratio: 4.0,
            drop_path: 0.1,
            init_std: 0.02,
            layer_scale: None,
            image_size: None,
            position_offset: PositionOffset::Reference,
            position_antialias: false,
            registers: 0,
            mlp: MlpKind::Gelu,
            norm_eps: 1e-6,
            head_hidden_dim: 2048,
            bottleneck_dim: 256,
            prototypes: 65536,
            patch_prototypes: None,
            precision: Precision::F32,
        }
    }
}

impl Model {
    /// Width, blocks and heads: as given, else those of `arch`, and those of `vit_small` for what a
    /// `custom` one leaves open.
    pub fn sizes(&self) -> Sizes {
        let arch = self.arch.sizes().unwrap_or(Sizes::SMALL);
        Sizes {
            embed_dim: self.embed_dim.unwrap_or(arch.embed_dim),
            depth: self.depth.unwrap_or(arch.depth),
            heads: self.heads.unwrap_or(arch.heads),
        }
    }

    /// Width of the MLP of a block.
    pub fn mlp_dim(&self) -> usize {
        (self.sizes().embed_dim as f64 * self.mlp_ratio) as usize
    }

    /// Checks the sizes of the backbone, each alone.
    pub(super) fn check_sizes(&self, check: &Check<'_>) -> Result<()> {
        let Sizes { embed_dim, depth, heads } = self.sizes();
        check.count("model.embed_dim", embed_dim, MAX_WIDTH)?;
        check.count("model.depth", depth, MAX_DEPTH)?;
        check.count("model.heads", heads, MAX_WIDTH)?;
        check.count("model.patch_size", self.patch_size, MAX_SIDE)
    }

    pub(super) fn check(&self, check: &Check<'_>) -> Result<()> {
        let Sizes { embed_dim, heads, .. } = self.sizes();
        self.check_sizes(check)?;
        self.check_arch(check)?;
        let needed = format!("divide `model.embed_dim`, which is {embed_dim}");
        check.require(embed_dim.is_multiple_of(heads), "model.heads", heads, needed)?;
        check.positive("model.mlp_ratio", self.mlp_ratio, [1e-3, 64.0])?;
        let needed = "leave the MLP at least one wide";
        check.require(self.mlp_dim() >= 1, "model.mlp_ratio", self.mlp_ratio, needed)?;
        check.below_one("model.drop_path", self.drop_path)?;
        check.positive("model.init_std", self.init_std, [1e-9, 100.0])?;
        if let Some(scale) = self.layer_scale {
            check.positive("model.layer_scale", scale, [1e-9, 1e6])?;
        }
        check.at_most("model.registers", self.registers as u64, MAX_REGISTERS)?;
        check.positive("model.norm_eps", self.norm_eps, [1e-20, 1.0])?;
        if let Some(count) = self.patch_prototypes {
            check.count("model.patch_prototypes", count, MAX_PROTOTYPES)?;
        }
        check.count("model.head_hidden_dim", self.head_hidden_dim, MAX_WIDTH)?;
        let dim = self.bottleneck_dim;
        check.require(dim >= 2, "model.bottleneck_dim", dim, "be 2 or more")?;
        check.count("model.bottleneck_dim", dim, MAX_WIDTH)?;
        check.count("model.prototypes", self.prototypes, MAX_PROTOTYPES)
    }

    /// Sizes that were given must be those of a named architecture.
    fn check_arch(&self, check: &Check<'_>) -> Result<()> {
        let Some(named) = self.arch.sizes() else { return Ok(()) };
        let found = self.sizes();
        let keys = [
            ("model.embed_dim", found.embed_dim, named.embed_dim),
            ("model.depth", found.depth, named.depth),
            ("model.heads", found.heads, named.heads),
        ];
        for (key, found, fixed) in keys {
            let needed = format!("be {fixed} unless `model.arch` is \"custom\"");
            check.require(found == fixed, key, found, needed)?;
        }
        Ok(())
    }
}
