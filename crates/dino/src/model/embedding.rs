//! From pixels to tokens: patches, masks, \[CLS\], positions.
//!
//! ```text
//! e_j = W x_j + b,  or the masked vector where patch j is masked        tokens = [cls; e] + positions
//! ```
//!
//! The order, mask before positions, is iBOT's: a masked token still knows where it is.

use engine::ops::linear::{self, Linear};
use engine::ops::patch_embed::{self, Images};
use engine::ops::positions::Resample;
use engine::rows::{add, add_column_sums, add_rows};
use engine::{ParamTable, Params, Range, Tensor};

use super::vit::{Vit, VitShape};

/// A group of equally large images, normalized: `[count, channels, height, width]`.
#[derive(Debug, Clone, Copy)]
pub struct Crops<'a> {
    /// The numbers.
    pub pixels: &'a [f32],
    /// Their extents.
    pub images: Images,
    /// Which patches the network does not see, `[count, patches]`; none if it sees all.
    pub mask: Option<&'a [bool]>,
}

impl<'a> Crops<'a> {
    /// Images of which every patch is seen.
    pub fn new(pixels: &'a [f32], images: Images) -> Self {
        Self { pixels, images, mask: None }
    }
}

/// Tokens of an image: \[CLS\] and the patches.
pub(super) fn tokens(images: &Images, patch_size: usize) -> usize {
    let (gh, gw) = images.grid(patch_size);
    1 + gh * gw
}

/// Where the parameters of the embedding lie.
#[derive(Debug, Clone)]
pub(super) struct Embedding {
    d: usize,
    patch_size: usize,
    grid: usize,
    position_offset: f64,
    cls_token: Range,
    pos_embed: Range,
    masked_embed: Option<Range>,
    patch_embed: Linear,
}

/// What a forward pass leaves for its backward pass.
#[derive(Debug)]
pub(super) struct Saved {
    groups: Vec<SavedGroup>,
}

#[derive(Debug)]
struct SavedGroup {
    images: Images,
    patches: Tensor,    // [images · patches, channels P P]
    masked: Vec<usize>, // rows of patches
}

impl Embedding {
    /// In PyTorch's order of parameters.
    pub(super) fn new(shape: &VitShape, prefix: &str, table: &mut ParamTable) -> Self {
        let (d, p, channels) = (shape.embed_dim, shape.patch_size, shape.channels);
        let grid = shape.image_size / p;
        let cls_token = table.add(format!("{prefix}cls_token"), &[1, 1, d]);
        let pos_embed = table.add(format!("{prefix}pos_embed"), &[1, grid * grid + 1, d]);
        let masked_embed =
            shape.masked.then(|| table.add(format!("{prefix}masked_embed"), &[1, d]));
        let weight = table.add(format!("{prefix}patch_embed.proj.weight"), &[d, channels, p, p]);
        let bias = table.add(format!("{prefix}patch_embed.proj.bias"), &[d]);
        let precision = shape.precision;
        let patch_embed = Linear { weight, bias, input: channels * p * p, output: d, precision };
        let position_offset = shape.position_offset;
        Self {
            d,
            patch_size: p,
            grid,
            position_offset,
            cls_token,
            pos_embed,
            masked_embed,
            patch_embed,
        }
    }

    /// All tokens of all groups, `[tokens, d]`.
    ///
    /// # Panics
    /// If crops have a mask but the network has no vector for masked patches, or the mask another
    /// length than there are patches.
    pub(super) fn forward(&self, params: &Params, crops: &[Crops<'_>]) -> (Tensor, Saved) {
        let d = self.d;
        let rows = crops.iter().map(|crops| crops.images.count * self.tokens(&crops.images)).sum();
        let mut stream = Tensor::uninit(&[rows, d]);
        let mut rest: &mut [f32] = &mut stream;
        let mut groups = Vec::with_capacity(crops.len());
        for crops in crops {
            let patches = patch_embed::forward(crops.pixels, crops.images, self.patch_size);
            let mut embedded = linear::infer(&self.patch_embed, params, &patches);
            let masked = masked_rows(crops.mask, patches.rows());
            for &row in &masked {
                embedded[row * d..(row + 1) * d].copy_from_slice(params.get(self.masked_embed()));
            }
            let positions = self.positions(params, &crops.images);
            let group = crops.images.count * positions.len();
            let (tokens, behind) = rest.split_at_mut(group);
            add_positions(tokens, &embedded, &positions, params.get(self.cls_token));
            rest = behind;
            groups.push(SavedGroup { images: crops.images, patches, masked });
        }
        (stream, Saved { groups })
    }

    /// The tokens alone.
    pub(super) fn infer(&self, params: &Params, crops: &[Crops<'_>]) -> Tensor {
        self.forward(params, crops).0
    }

    /// Adds to the gradients of the embedding's parameters; `dstream` is that of the tokens.
    pub(super) fn backward(
        &self,
        saved: Saved,
        dstream: &Tensor,
        grads: &mut Params,
    ) -> EmbeddingGradient {
        let d = self.d;
        let (mut first, mut dembeddeds) = (0, Vec::with_capacity(saved.groups.len()));
        for SavedGroup { images, patches, masked } in saved.groups {
            let width = self.tokens(&images) * d;
            let dtokens = &dstream[first..first + images.count * width];
            first += dtokens.len();
            self.backward_positions(dtokens, &images, grads);
            let mut dembedded = without_cls(dtokens, width, d, images.count);
            for &row in &masked {
                let row = &mut dembedded[row * d..(row + 1) * d];
                add(grads.get_mut(self.masked_embed()), row);
                row.fill(0.0);
            }
            linear::backward_params(&self.patch_embed, &patches, &dembedded, grads);
            dembeddeds.push((images, dembedded));
        }
        EmbeddingGradient { dembeddeds }
    }

    fn backward_positions(&self, dtokens: &[f32], images: &Images, grads: &mut Params) {
        let d = self.d;
        let width = self.tokens(images) * d;
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
    }

    /// The position table for images of this size, `[1 + patches, d]`.
    pub(super) fn positions(&self, params: &Params, images: &Images) -> Tensor {
        let d = self.d;
        let table = params.get(self.pos_embed);
        let (gh, gw) = images.grid(self.patch_size);
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
        let (gh, gw) = images.grid(self.patch_size);
        let stored = gh * gw == self.grid * self.grid && images.height == images.width;
        (!stored).then(|| Resample::new(self.grid, (gh, gw), self.position_offset))
    }

    fn tokens(&self, images: &Images) -> usize {
        tokens(images, self.patch_size)
    }

    fn masked_embed(&self) -> Range {
        self.masked_embed.expect("a network that sees masked crops has a vector for masked patches")
    }
}

/// The gradient of the embedded patches, from which that of the pixels follows if somebody wants it.
#[derive(Debug)]
pub struct EmbeddingGradient {
    dembeddeds: Vec<(Images, Tensor)>, // [images · patches, d] for each group
}

impl EmbeddingGradient {
    /// The gradient of the pixels of each group, `[count, channels, height, width]`.
    pub fn pixels(&self, vit: &Vit, params: &Params) -> Vec<Tensor> {
        let Embedding { patch_embed, patch_size, .. } = vit.embedding();
        let each = self.dembeddeds.iter().map(|(images, dembedded)| {
            let dpatches = linear::backward_input(patch_embed, params, dembedded);
            patch_embed::backward(&dpatches, *images, *patch_size)
        });
        each.collect()
    }
}

/// Numbers of the masked rows of so many.
fn masked_rows(mask: Option<&[bool]>, rows: usize) -> Vec<usize> {
    let Some(mask) = mask else { return Vec::new() };
    assert_eq!(mask.len(), rows, "a mask has a place for every patch");
    mask.iter().enumerate().filter(|(_, masked)| **masked).map(|(row, _)| row).collect()
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
