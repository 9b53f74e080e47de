//! The vision transformer of DINO, under PyTorch's parameter names.
//!
//! The tokens of all crops, large and small, lie in one matrix, so a layer is one product for all of
//! them. Where only \[CLS\] tokens are wanted, the last MLP and the final norm run on those rows alone:
//! the other rows reach no output, so their gradients are zero and nothing changes.

use engine::ops::attention;
use engine::ops::layer_norm::{self, LayerNorm};
use engine::ops::linear::{self, Linear};
use engine::ops::patch_embed::{self, Images};
use engine::ops::positions::Resample;
use engine::ops::tokens::{Sequences, gather, scatter_add};
use engine::rows::{add, add_column_sums, add_rows};
use engine::{ParamTable, Params, Range, Tensor};

use super::block::{self, Block, Kept, SavedAttention, SavedMlp};
use super::drop_path::DropPlan;

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
}

/// A group of equally large images, normalized: `[count, channels, height, width]`.
#[derive(Debug, Clone, Copy)]
pub struct Crops<'a> {
    /// The numbers.
    pub pixels: &'a [f32],
    /// Their extents.
    pub images: Images,
}

/// Which tokens a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// One \[CLS\] token for each image.
    Cls,
    /// All tokens, \[CLS\] first in each image.
    All,
}

/// Where the parameters of the backbone lie.
#[derive(Debug, Clone)]
pub struct Vit {
    shape: VitShape,
    grid: usize,
    cls_token: Range,
    pos_embed: Range,
    patch_embed: Linear,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

/// What a forward pass leaves for its backward pass.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    patches: Vec<Tensor>, // [images · patches, channels P P] for each group
    groups: Vec<Images>,
    blocks: Vec<(Option<SavedAttention>, Option<SavedMlp>)>,
    outputs: Sequences,
    x: Tensor, // [rows of outputs, d]
    norm: layer_norm::Saved,
    rows: usize,
}

impl Vit {
    /// A backbone whose parameters are named `{prefix}cls_token` and so on, in PyTorch's order.
    pub fn new(shape: &VitShape, prefix: &str, table: &mut ParamTable) -> Self {
        let (d, p, channels) = (shape.embed_dim, shape.patch_size, shape.channels);
        let grid = shape.image_size / p;
        let cls_token = table.add(format!("{prefix}cls_token"), &[1, 1, d]);
        let pos_embed = table.add(format!("{prefix}pos_embed"), &[1, grid * grid + 1, d]);
        let weight = table.add(format!("{prefix}patch_embed.proj.weight"), &[d, channels, p, p]);
        let bias = table.add(format!("{prefix}patch_embed.proj.bias"), &[d]);
        let patch_embed = Linear { weight, bias, input: channels * p * p, output: d };
        let block = |i| format!("{prefix}blocks.{i}.");
        let blocks = (0..shape.depth).map(|i| Block::new(shape, &block(i), table)).collect();
        let norm = block::layer_norm(table, &format!("{prefix}norm"), d);
        Self { shape: shape.clone(), grid, cls_token, pos_embed, patch_embed, blocks, norm }
    }

    /// The sizes.
    pub fn shape(&self) -> &VitShape {
        &self.shape
    }

    /// Tokens after the final norm: `[images, d]` for [`Tokens::Cls`], else `[all tokens, d]`, group
    /// after group.
    pub fn forward(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        wanted: Tokens,
        plan: &DropPlan,
    ) -> (Tensor, Saved) {
        let sequences = self.sequences(crops);
        let (mut stream, patches) = self.embed(params, crops);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (i, block) in self.blocks.iter().enumerate() {
            let (kept, scale) = plan.kept(i, 0, &sequences);
            let attention =
                block.forward_attention(params, &mut stream, Kept { sequences: kept, scale });
            let (kept, scale) = plan.kept(i, 1, &sequences);
            let kept = Kept { sequences: self.mlp_rows(i, wanted, kept), scale };
            blocks.push((attention, block.forward_mlp(params, &mut stream, kept)));
        }
        let outputs = wanted.rows(&sequences);
        let x = gather(&stream, &outputs);
        let (y, norm) = layer_norm::forward(&self.norm, params, &x);
        let groups = crops.iter().map(|crops| crops.images).collect();
        (y, Saved { patches, groups, blocks, outputs, x, norm, rows: stream.rows() })
    }

    /// The same without a backward pass to come, and without drop path.
    pub fn infer(&self, params: &Params, crops: &[Crops<'_>], wanted: Tokens) -> Tensor {
        let sequences = self.sequences(crops);
        let mut stream = self.embed(params, crops).0;
        for (i, block) in self.blocks.iter().enumerate() {
            let mlp_rows = self.mlp_rows(i, wanted, sequences.clone());
            block.infer(params, &mut stream, &sequences, &mlp_rows);
        }
        let x = gather(&stream, &wanted.rows(&sequences));
        layer_norm::infer(&self.norm, params, &x)
    }

    /// Adds to the gradients of all parameters; `dy` is that of [`forward`](Self::forward)'s tokens.
    /// Returns the gradient of the embedded tokens, `[all tokens, d]`.
    pub fn backward(
        &self,
        params: &Params,
        saved: Saved,
        dy: Tensor,
        grads: &mut Params,
    ) -> EmbeddingGradient {
        let Saved { patches, groups, blocks, outputs, x, norm, rows } = saved;
        let dx = layer_norm::backward(&self.norm, params, &x, norm, dy, grads);
        let mut dstream = Tensor::zeros(&[rows, self.shape.embed_dim]);
        scatter_add(&dx, &outputs, &mut dstream);
        for (block, (attention, mlp)) in self.blocks.iter().zip(blocks).rev() {
            if let Some(saved) = mlp {
                block.backward_mlp(params, saved, &mut dstream, grads);
            }
            if let Some(saved) = attention {
                block.backward_attention(params, saved, &mut dstream, grads);
            }
        }
        self.backward_embed(&patches, &groups, &dstream, grads);
        EmbeddingGradient { dstream, groups }
    }

    /// The outputs of the last `n` blocks, earliest first, each through the final norm.
    pub fn last_layers(&self, params: &Params, crops: &[Crops<'_>], n: usize) -> Vec<Tensor> {
        let sequences = self.sequences(crops);
        let mut stream = self.embed(params, crops).0;
        let mut outputs = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            block.infer(params, &mut stream, &sequences, &sequences);
            if i + n >= self.blocks.len() {
                outputs.push(layer_norm::infer(&self.norm, params, &stream));
            }
        }
        outputs
    }

    /// The attention weights of the last block, `[heads, tokens, tokens]` for each image.
    pub fn last_attention(&self, params: &Params, crops: &[Crops<'_>]) -> Vec<Tensor> {
        let sequences = self.sequences(crops);
        let mut stream = self.embed(params, crops).0;
        let Some((last, rest)) = self.blocks.split_last() else { return Vec::new() };
        for block in rest {
            block.infer(params, &mut stream, &sequences, &sequences);
        }
        attention::probabilities(&last.infer_qkv(params, &stream), &sequences, last.heads())
    }

    /// The position table for images of this size, `[1 + patches, d]`: resampled unless both the
    /// number of patches and squareness match.
    pub fn positions(&self, params: &Params, images: &Images) -> Tensor {
        let d = self.shape.embed_dim;
        let table = params.get(self.pos_embed);
        let (gh, gw) = images.grid(self.shape.patch_size);
        let mut positions = Tensor::uninit(&[1 + gh * gw, d]);
        match self.resample(images) {
            None => positions.copy_from_slice(table),
            Some(resample) => {
                positions[..d].copy_from_slice(&table[..d]);
                resample.forward(&table[d..], d, &mut positions[d..]);
            }
        }
        positions
    }

    fn resample(&self, images: &Images) -> Option<Resample> {
        let (gh, gw) = images.grid(self.shape.patch_size);
        let stored = gh * gw == self.grid * self.grid && images.height == images.width;
        (!stored).then(|| Resample::new(self.grid, (gh, gw), self.shape.position_offset))
    }

    fn sequences(&self, crops: &[Crops<'_>]) -> Sequences {
        let groups = crops.iter().map(|crops| (crops.images.count, self.tokens(&crops.images)));
        Sequences::packed(&groups.collect::<Vec<_>>())
    }

    fn tokens(&self, images: &Images) -> usize {
        let (gh, gw) = images.grid(self.shape.patch_size);
        1 + gh * gw
    }

    /// The rows that the MLP of block `i` has to work on.
    fn mlp_rows(&self, i: usize, wanted: Tokens, kept: Sequences) -> Sequences {
        if i + 1 == self.blocks.len() { wanted.rows(&kept) } else { kept }
    }

    /// \[CLS\] and patches plus positions, and the patches for backward.
    fn embed(&self, params: &Params, crops: &[Crops<'_>]) -> (Tensor, Vec<Tensor>) {
        let d = self.shape.embed_dim;
        let mut stream = Tensor::uninit(&[self.sequences(crops).rows(), d]);
        let mut rest: &mut [f32] = &mut stream;
        let mut all_patches = Vec::with_capacity(crops.len());
        for crops in crops {
            let patches = patch_embed::forward(crops.pixels, crops.images, self.shape.patch_size);
            let embedded = linear::infer(&self.patch_embed, params, &patches);
            let positions = self.positions(params, &crops.images);
            let group = crops.images.count * positions.len();
            let (tokens, behind) = rest.split_at_mut(group);
            add_positions(tokens, &embedded, &positions, params.get(self.cls_token));
            rest = behind;
            all_patches.push(patches);
        }
        (stream, all_patches)
    }

    fn backward_embed(
        &self,
        patches: &[Tensor],
        groups: &[Images],
        dstream: &Tensor,
        grads: &mut Params,
    ) {
        let d = self.shape.embed_dim;
        let mut first = 0;
        for (patches, images) in patches.iter().zip(groups) {
            let width = self.tokens(images) * d;
            let dtokens = &dstream[first..first + images.count * width];
            first += dtokens.len();
            let mut dpositions = Tensor::zeros(&[self.tokens(images), d]);
            add_column_sums(&mut dpositions, images.count, |range, sums| {
                add_rows(sums, &dtokens[range.start * width..range.end * width]);
            });
            add(grads.get_mut(self.cls_token), &dpositions[..d]);
            let dtable = grads.get_mut(self.pos_embed);
            match self.resample(images) {
                None => add(dtable, &dpositions),
                Some(resample) => {
                    add(&mut dtable[..d], &dpositions[..d]);
                    resample.backward(&dpositions[d..], d, &mut dtable[d..]);
                }
            }
            let dembedded = without_cls(dtokens, width, d, images.count);
            linear::backward_params(&self.patch_embed, patches, &dembedded, grads);
        }
    }
}

/// The gradient of the embedded tokens, from which that of the pixels follows if somebody wants it.
#[derive(Debug)]
pub struct EmbeddingGradient {
    dstream: Tensor,
    groups: Vec<Images>,
}

impl EmbeddingGradient {
    /// The gradient of the pixels of each group, `[count, channels, height, width]`.
    pub fn pixels(&self, vit: &Vit, params: &Params) -> Vec<Tensor> {
        let d = vit.shape.embed_dim;
        let mut first = 0;
        let each = self.groups.iter().map(|images| {
            let width = vit.tokens(images) * d;
            let dtokens = &self.dstream[first..first + images.count * width];
            first += dtokens.len();
            let dembedded = without_cls(dtokens, width, d, images.count);
            let dpatches = linear::backward_input(&vit.patch_embed, params, &dembedded);
            patch_embed::backward(&dpatches, *images, vit.shape.patch_size)
        });
        each.collect()
    }
}

impl Tokens {
    fn rows(self, sequences: &Sequences) -> Sequences {
        match self {
            Self::Cls => sequences.cls(),
            Self::All => sequences.clone(),
        }
    }
}

/// `tokens[image] = [cls; embedded[image]] + positions`, for one group.
fn add_positions(tokens: &mut [f32], embedded: &[f32], positions: &Tensor, cls: &[f32]) {
    let d = cls.len();
    let patches = positions.len() - d;
    for (i, tokens) in tokens.chunks_exact_mut(positions.len()).enumerate() {
        let (cls_row, patch_rows) = tokens.split_at_mut(d);
        cls_row.copy_from_slice(cls);
        patch_rows.copy_from_slice(&embedded[i * patches..(i + 1) * patches]);
        add(tokens, positions);
    }
}

/// The patch rows of a group, `[images · patches, d]`.
fn without_cls(tokens: &[f32], width: usize, d: usize, images: usize) -> Tensor {
    let mut rows = Tensor::uninit(&[images * (width - d) / d, d]);
    for (rows, tokens) in rows.chunks_exact_mut(width - d).zip(tokens.chunks_exact(width)) {
        rows.copy_from_slice(&tokens[d..]);
    }
    rows
}
