//! The vision transformer of DINO, under PyTorch's parameter names.
//!
//! The tokens of all crops, large and small, lie in one matrix, so a layer is one matmul for all of
//! them. Where only \[CLS\] tokens are wanted, the last block computes keys and values of all rows and
//! everything else for the \[CLS\] rows alone, and so does the final norm. The other rows reach no output
//! and their gradients are zero, so results are the same.

use engine::ops::attention;
use engine::ops::layer_norm::{self, LayerNorm};
use engine::ops::patch_embed::Images;
use engine::ops::tokens::{gather, scatter_add};
use engine::{Layout, ParamTable, Params, Tensor};

use super::block::{self, Block, Kept};
use super::drop_path::DropPlan;
use super::embedding::{self, Crops, Embedding, EmbeddingGradient};
use super::layers::Layers;
use super::pulse::{GO_ON, Pulse};
use super::shape::VitShape;

/// Which tokens a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// One \[CLS\] token for each image.
    Cls,
    /// All tokens: in each image \[CLS\], the registers, the patches.
    All,
    /// All tokens of the first group, the \[CLS\] token of each other image.
    AllOfFirst,
}

/// A backbone.
#[derive(Debug, Clone)]
pub struct Vit {
    shape: VitShape,
    embedding: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

/// What backward needs.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    embedding: embedding::Saved,
    blocks: Vec<block::Saved>,
    outputs: Layout,
    x: Tensor, // [rows of outputs, d]
    norm: layer_norm::Saved,
    rows: usize,
}

impl Vit {
    /// A backbone whose parameters are named `{prefix}cls_token` and so on, in PyTorch's order.
    pub fn new(shape: &VitShape, prefix: &str, table: &mut ParamTable) -> Self {
        let embedding = Embedding::new(shape, prefix, table);
        let block = |i| format!("{prefix}blocks.{i}.");
        let blocks = (0..shape.depth).map(|i| Block::new(shape, &block(i), table)).collect();
        let mut layers = Layers { table, precision: shape.precision, norm_eps: shape.norm_eps };
        let norm = layers.norm(&format!("{prefix}norm"), shape.embed_dim);
        Self { shape: shape.clone(), embedding, blocks, norm }
    }

    /// The sizes.
    pub fn shape(&self) -> &VitShape {
        &self.shape
    }

    /// The wanted tokens after the final norm, `[tokens, d]`, group after group, image after image.
    pub fn forward(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        wanted: Tokens,
        plan: &DropPlan,
    ) -> (Tensor, Saved) {
        let passed = self.forward_with(params, crops, wanted, plan, GO_ON);
        passed.expect("`GO_ON` ends no pass")
    }

    /// As [`forward`](Self::forward); `None` if `pulse` ends the pass.
    pub fn forward_with(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        wanted: Tokens,
        plan: &DropPlan,
        pulse: Pulse<'_>,
    ) -> Option<(Tensor, Saved)> {
        let sequences = self.sequences(crops);
        let wanted = WantedRows::new(wanted, crops, &self.shape);
        let (mut stream, embedding) = self.embedding.forward(params, crops);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (i, block) in self.blocks.iter().enumerate() {
            let kept = |branch| {
                let (sequences, scale) = plan.kept(i, branch, &sequences);
                Kept { outputs: self.outputs(i, wanted, &sequences), sequences, scale }
            };
            let recompute = self.shape.recompute;
            blocks.push(block.forward(params, &mut stream, (kept(0), kept(1)), recompute));
            pulse().continue_value()?;
        }
        let outputs = wanted.rows(&sequences);
        let x = gather(&stream, &outputs);
        let (y, norm) = layer_norm::forward(&self.norm, params, &x);
        Some((y, Saved { embedding, blocks, outputs, x, norm, rows: stream.rows() }))
    }

    /// The same without a backward pass to come, and without drop path.
    pub fn infer(&self, params: &Params, crops: &[Crops<'_>], wanted: Tokens) -> Tensor {
        self.infer_with(params, crops, wanted, GO_ON).expect("`GO_ON` ends no pass")
    }

    /// As [`infer`](Self::infer); `None` if `pulse` ends the pass.
    pub fn infer_with(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        wanted: Tokens,
        pulse: Pulse<'_>,
    ) -> Option<Tensor> {
        let sequences = self.sequences(crops);
        let wanted = WantedRows::new(wanted, crops, &self.shape);
        let mut stream = self.embedding.infer(params, crops);
        for (i, block) in self.blocks.iter().enumerate() {
            let outputs = self.outputs(i, wanted, &sequences);
            block.infer(params, &mut stream, &sequences, &outputs);
            pulse().continue_value()?;
        }
        let x = gather(&stream, &wanted.rows(&sequences));
        Some(layer_norm::infer(&self.norm, params, &x))
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
        self.backward_with(params, saved, dy, grads, GO_ON).expect("`GO_ON` ends no pass")
    }

    /// As [`backward`](Self::backward); `None`, and a part of the gradients, if `pulse` ends the pass.
    pub fn backward_with(
        &self,
        params: &Params,
        saved: Saved,
        dy: Tensor,
        grads: &mut Params,
        pulse: Pulse<'_>,
    ) -> Option<EmbeddingGradient> {
        let Saved { embedding, blocks, outputs, x, norm, rows } = saved;
        let dx = layer_norm::backward(&self.norm, params, &x, norm, dy, grads);
        let mut dstream = Tensor::zeros(&[rows, self.shape.embed_dim]).to(&dx.device());
        scatter_add(&dx, &outputs, &mut dstream);
        for (block, saved) in self.blocks.iter().zip(blocks).rev() {
            block.backward(params, saved, &mut dstream, grads);
            pulse().continue_value()?;
        }
        Some(self.embedding.backward(embedding, &dstream, grads))
    }

    /// The gradient of the pixels of each group, `[count, channels, height, width]`, on the host: from what
    /// [`backward`](Self::backward) returned.
    pub fn pixel_gradients(&self, params: &Params, gradient: &EmbeddingGradient) -> Vec<Tensor> {
        self.embedding.pixel_gradients(params, gradient)
    }

    /// The outputs of the last `n` blocks, earliest first, each through the final norm.
    pub fn last_layers(&self, params: &Params, crops: &[Crops<'_>], n: usize) -> Vec<Tensor> {
        let sequences = self.sequences(crops);
        let mut stream = self.embedding.infer(params, crops);
        let mut outputs = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            block.infer(params, &mut stream, &sequences, &sequences);
            if i + n >= self.blocks.len() {
                outputs.push(layer_norm::infer(&self.norm, params, &stream));
            }
        }
        outputs
    }

    /// The attention weights of the last block, `[heads, queries, tokens]` for each image: how much each of the
    /// wanted tokens takes of each token.
    pub fn last_attention(
        &self,
        params: &Params,
        crops: &[Crops<'_>],
        queries: Tokens,
    ) -> Vec<Tensor> {
        let queries = WantedRows::new(queries, crops, &self.shape);
        let sequences = self.sequences(crops);
        let mut stream = self.embedding.infer(params, crops);
        let Some((last, rest)) = self.blocks.split_last() else { return Vec::new() };
        for block in rest {
            block.infer(params, &mut stream, &sequences, &sequences);
        }
        let (qkv, queries) = (last.infer_qkv(params, &stream), queries.rows(&sequences).compact());
        attention::probabilities(&qkv, &sequences, &queries, last.attention())
    }

    /// The position table for images of this size, `[1 + patches, d]`: resampled unless both the
    /// number of patches and squareness match.
    pub fn positions(&self, params: &Params, images: &Images) -> Tensor {
        self.embedding.positions(params, images)
    }

    /// The tokens of these crops as they come out of the embedding, \[CLS\] first in each image.
    pub fn sequences(&self, crops: &[Crops<'_>]) -> Layout {
        let groups =
            crops.iter().map(|crops| (crops.images.count, self.shape.tokens(&crops.images)));
        Layout::packed(&groups.collect::<Vec<_>>())
    }

    /// The rows of these sequences that block `i` has to change.
    fn outputs(&self, i: usize, wanted: WantedRows, sequences: &Layout) -> Layout {
        let is_last = i + 1 == self.blocks.len();
        if is_last { wanted.rows(sequences) } else { sequences.clone() }
    }
}

/// The rows of the token matrix that a caller wants.
#[derive(Debug, Clone, Copy)]
struct WantedRows {
    /// Layout that start before this row are wanted whole, the others' first tokens only.
    whole: usize,
}

impl WantedRows {
    fn new(wanted: Tokens, crops: &[Crops<'_>], shape: &VitShape) -> Self {
        let rows = |crops: &Crops<'_>| crops.images.count * shape.tokens(&crops.images);
        let whole = match wanted {
            Tokens::Cls => 0,
            Tokens::All => usize::MAX,
            Tokens::AllOfFirst => crops.first().map_or(0, rows),
        };
        Self { whole }
    }

    /// The wanted rows of some of the sequences.
    fn rows(self, sequences: &Layout) -> Layout {
        sequences.truncated(|span| if span.first < self.whole { span.rows } else { 1 })
    }
}
