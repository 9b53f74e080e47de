//! `Network` describes a vision transformer: everything that its forward pass depends on.

use serde::{Deserialize, Serialize};

use super::format::Format;
use super::settings;
use super::weights::Weights;
use crate::archive::Archive;

/// A vision transformer as a file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Channels of the images.
    pub channels: usize,
    /// Width of the tokens.
    pub embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads, and where their number comes from.
    pub heads: Heads,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// How tokens know where they are.
    pub positions: Positions,
    /// Added to the number of patches when positions are resampled.
    pub position_offset: f64,
    /// Whether the program that wrote it resamples positions with antialiasing.
    pub antialias: bool,
    /// Learned tokens beside \[CLS\].
    pub registers: usize,
    /// Whether residual branches are scaled.
    pub layer_scale: bool,
    /// Whether there is a token for masked patches.
    pub mask_token: bool,
    /// The MLP of a block.
    pub mlp: Mlp,
    /// Whether queries, keys and values are stored as one matrix.
    pub fused_qkv: bool,
    /// Whether they have a bias.
    pub qkv_bias: bool,
    /// ε of the layer norms.
    pub norm_eps: f64,
    /// The projection head, if there is one.
    pub head: Option<HeadNetwork>,
    /// Mean and standard deviation of pixels, if the file says them.
    pub pixels: Option<(Vec<f64>, Vec<f64>)>,
    /// How evaluations see images, if the file says it.
    pub view: Option<View>,
}

/// The part of an image that evaluations see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Length of the shorter side after resizing, in pixels; `None` keeps the size of the image.
    pub resize: Option<usize>,
    /// Side of the center crop, in pixels.
    pub crop: usize,
}

/// A number of attention heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// The caller or the file says it.
    Known(usize),
    /// 64 values for each head, as in all published sizes.
    Assumed(usize),
    /// Nobody says it, and the width is no multiple of 64.
    Unknown,
}

/// How tokens know where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// A learned vector for each patch of a square grid, and perhaps for \[CLS\].
    Table {
        /// Patches on a side.
        side: usize,
        /// Whether \[CLS\] has one.
        has_cls: bool,
        /// Whether the registers have some too, between \[CLS\] and the patches. timm has networks of both kinds.
        has_registers: bool,
    },
    /// A table of so many rows that is no square grid.
    OddTable(usize),
    /// Rotations of queries and keys (DINOv3).
    Rotary,
}

impl Positions {
    pub(super) fn has_cls(self) -> bool {
        !matches!(self, Self::Table { has_cls: false, .. })
    }

    pub(super) fn has_registers(self) -> bool {
        matches!(self, Self::Table { has_registers: true, .. })
    }
}

/// The MLP of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mlp {
    /// Two layers with a GELU between them.
    Gelu {
        /// Width of the hidden layer.
        hidden: usize,
        /// Which GELU.
        gelu: Gelu,
    },
    /// `w3(silu(w1 x) ⊙ w2 x)`.
    SwiGlu {
        /// Width of the hidden layer.
        hidden: usize,
    },
}

/// A form of GELU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gelu {
    /// By the error function.
    Exact,
    /// By the hyperbolic tangent.
    Tanh,
    /// Another function.
    Other,
}

/// A projection head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadNetwork {
    /// Width of the hidden layers.
    pub hidden_dim: usize,
    /// Width of the normalized vector.
    pub bottleneck_dim: usize,
    /// Number of prototypes.
    pub prototypes: usize,
    /// Number of prototypes for patches alone; none if they share those of \[CLS\].
    pub patch_prototypes: Option<usize>,
}

impl Network {
    /// Reads it off the shapes of the tensors.
    ///
    /// # Errors
    /// What is missing, in words.
    pub(super) fn of(
        archive: &Archive,
        format: Format,
        weights: &Weights,
        heads: Option<usize>,
    ) -> Result<Self, String> {
        let shape = |name: &str| weights.shape(&format!("backbone.{name}"));
        let patches = shape("patch_embed.proj.weight").unwrap_or_default();
        let &[embed_dim, channels, patch_size, width] = patches.as_slice() else {
            return Err(format!("its patch projection has the shape {patches:?}"));
        };
        if patch_size != width || [embed_dim, channels, patch_size].contains(&0) {
            return Err(format!("its patches are {patch_size} by {width} pixels"));
        }
        let blocks = weights.names().filter_map(|name| {
            name.strip_prefix("backbone.blocks.")?.split_once('.')?.0.parse::<usize>().ok()
        });
        let depth = blocks.max().map_or(0, |last| last.saturating_add(1));
        if depth == 0 || depth > archive.tensors().len() {
            return Err(format!("it has {depth} blocks"));
        }
        let registers =
            shape("register_tokens").map_or(0, |shape| shape.get(1).copied().unwrap_or(0));
        let settings = settings::of(archive, format);
        Ok(Self {
            channels,
            embed_dim,
            depth,
            heads: settings::heads(archive, heads, embed_dim),
            patch_size,
            positions: match shape("pos_embed") {
                Some(table) => positions(&table, registers, side_of_file(archive, patch_size)),
                None => without_table(format),
            },
            position_offset: settings.position_offset(registers),
            antialias: settings.antialias(registers),
            registers,
            layer_scale: shape("blocks.0.gamma_1").is_some(),
            mask_token: shape("masked_embed").is_some(),
            mlp: mlp(weights, embed_dim, settings.gelu)?,
            fused_qkv: !weights.is_split("backbone.blocks.0.attn.qkv.weight"),
            // where names are unknown, a bias is missing rather than left out on purpose
            qkv_bias: weights.names().any(|name| name.ends_with("attn.qkv.bias"))
                || !weights.differences().unexpected.is_empty(),
            norm_eps: settings.norm_eps,
            head: head(weights),
            pixels: settings.pixels,
            view: settings.view,
        })
    }

    /// Parameters of the backbone and of the head.
    pub fn parameters(&self) -> (usize, usize) {
        let count = |prefix: &str| {
            let tensors = self.tensors();
            let tensors = tensors.iter().filter(|(name, _)| name.starts_with(prefix));
            tensors.map(|(_, shape)| shape.iter().product::<usize>()).sum()
        };
        (count("backbone."), count("head."))
    }

    /// Side of the image that the position table is made for, in pixels.
    pub fn image_size(&self) -> Option<usize> {
        match self.positions {
            Positions::Table { side, .. } => Some(side * self.patch_size),
            Positions::OddTable(_) | Positions::Rotary => None,
        }
    }

    /// This program's names and shapes of all tensors.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let d = self.embed_dim;
        let mut tensors = Vec::new();
        let mut add = |name: &str, shape: &[usize]| {
            tensors.push((format!("backbone.{name}"), shape.to_vec()));
        };
        add("cls_token", &[1, 1, d]);
        match self.positions {
            Positions::Table { side, .. } => add("pos_embed", &[1, side * side + 1, d]),
            Positions::OddTable(rows) => add("pos_embed", &[1, rows, d]),
            Positions::Rotary => {}
        }
        if self.registers > 0 {
            add("register_tokens", &[1, self.registers, d]);
        }
        if self.mask_token {
            add("masked_embed", &[1, d]);
        }
        add("patch_embed.proj.weight", &[d, self.channels, self.patch_size, self.patch_size]);
        add("patch_embed.proj.bias", &[d]);
        for block in 0..self.depth {
            for (name, shape) in self.block() {
                add(&format!("blocks.{block}.{name}"), &shape);
            }
        }
        add("norm.weight", &[d]);
        add("norm.bias", &[d]);
        if let Some(head) = &self.head {
            tensors.extend(head.tensors(d));
        }
        tensors
    }

    /// Names and shapes inside a block.
    fn block(&self) -> Vec<(&'static str, Vec<usize>)> {
        let d = self.embed_dim;
        let mut tensors = vec![
            ("norm1.weight", vec![d]),
            ("norm1.bias", vec![d]),
            ("attn.qkv.weight", vec![3 * d, d]),
            ("attn.qkv.bias", vec![3 * d]),
            ("attn.proj.weight", vec![d, d]),
            ("attn.proj.bias", vec![d]),
            ("norm2.weight", vec![d]),
            ("norm2.bias", vec![d]),
        ];
        if self.layer_scale {
            tensors.extend([("gamma_1", vec![d]), ("gamma_2", vec![d])]);
        }
        match self.mlp {
            Mlp::Gelu { hidden, .. } => tensors.extend([
                ("mlp.fc1.weight", vec![hidden, d]),
                ("mlp.fc1.bias", vec![hidden]),
                ("mlp.fc2.weight", vec![d, hidden]),
                ("mlp.fc2.bias", vec![d]),
            ]),
            Mlp::SwiGlu { hidden } => tensors.extend([
                ("mlp.w12.weight", vec![2 * hidden, d]),
                ("mlp.w12.bias", vec![2 * hidden]),
                ("mlp.w3.weight", vec![d, hidden]),
                ("mlp.w3.bias", vec![d]),
            ]),
        }
        tensors
    }
}

impl HeadNetwork {
    fn tensors(&self, d: usize) -> Vec<(String, Vec<usize>)> {
        let (h, r, k) = (self.hidden_dim, self.bottleneck_dim, self.prototypes);
        let mut tensors = vec![
            ("mlp.0.weight", vec![h, d]),
            ("mlp.0.bias", vec![h]),
            ("mlp.2.weight", vec![h, h]),
            ("mlp.2.bias", vec![h]),
            ("mlp.4.weight", vec![r, h]),
            ("mlp.4.bias", vec![r]),
            ("last_layer.weight_g", vec![k, 1]),
            ("last_layer.weight_v", vec![k, r]),
        ];
        if let Some(k) = self.patch_prototypes {
            tensors.push(("last_layer2.weight_g", vec![k, 1]));
            tensors.push(("last_layer2.weight_v", vec![k, r]));
        }
        tensors.into_iter().map(|(name, shape)| (format!("head.{name}"), shape)).collect()
    }
}

/// Without a table they are rotary, or the table is missing.
fn without_table(format: Format) -> Positions {
    match format {
        Format::DinoV3 | Format::HfDinoV3 => Positions::Rotary,
        _ => Positions::OddTable(1),
    }
}

/// The side of the grid of patches, if the file says it.
fn side_of_file(archive: &Archive, patch_size: usize) -> Option<usize> {
    Some(archive.about()?.image_size? / patch_size)
}

/// Which tokens have a position. `known` is the side of the grid of patches, if the file says it.
fn positions(table: &[usize], registers: usize, known: Option<usize>) -> Positions {
    let &[_, rows, _] = table else { return Positions::OddTable(table.len()) };
    let side_of = |patches: usize| {
        let side = patches.isqrt();
        let fits = side > 0 && side * side == patches && known.is_none_or(|known| known == side);
        fits.then_some(side)
    };
    let kinds = [(true, false), (false, false), (true, registers > 0)];
    for (has_cls, has_registers) in kinds {
        let others = usize::from(has_cls) + if has_registers { registers } else { 0 };
        if let Some(side) = rows.checked_sub(others).and_then(side_of) {
            return Positions::Table { side, has_cls, has_registers };
        }
    }
    Positions::OddTable(rows)
}

fn mlp(weights: &Weights, d: usize, gelu: Gelu) -> Result<Mlp, String> {
    let rows = |name: &str, axis: usize| {
        let shape = weights.shape(&format!("backbone.blocks.0.mlp.{name}.weight"))?;
        shape.get(axis).copied()
    };
    if let Some(hidden) = rows("w3", 1).or_else(|| rows("w12", 0).map(|both| both / 2)) {
        return Ok(Mlp::SwiGlu { hidden });
    }
    match (rows("fc1", 0), rows("fc2", 1)) {
        (Some(hidden), _) | (None, Some(hidden)) => Ok(Mlp::Gelu { hidden, gelu }),
        (None, None) => Err(format!("its first block of width {d} has no MLP")),
    }
}

fn head(weights: &Weights) -> Option<HeadNetwork> {
    let axis = |name: &str, axis: usize| weights.shape(&format!("head.{name}"))?.get(axis).copied();
    let shared = weights.are_shared("head.last_layer.weight_v", "head.last_layer2.weight_v")
        && weights.are_shared("head.last_layer.weight_g", "head.last_layer2.weight_g");
    Some(HeadNetwork {
        hidden_dim: axis("mlp.0.weight", 0)?,
        bottleneck_dim: axis("mlp.4.weight", 0)?,
        prototypes: axis("last_layer.weight_v", 0)?,
        patch_prototypes: axis("last_layer2.weight_v", 0).filter(|_| !shared),
    })
}
