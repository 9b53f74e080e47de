//! From pixels to tokens: patches, masks, \[CLS\], registers, positions. The formulas: [`engine::ops::embed`].

use engine::ops::embed::{self, Embed, Group};
use engine::ops::linear::{self, Linear};
use engine::ops::patch_embed::{self, Images};
use engine::ops::positions::{self, Resample};
use engine::{Param, ParamTable, Params, Role, Tensor};

use super::shape::VitShape;

/// A group of equally large images, normalized: `[count, channels, height, width]`.
#[derive(Debug, Clone, Copy)]
pub struct Crops<'a> {
    /// The pixels, on the host.
    pub pixels: &'a [f32],
    /// Their shape.
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

/// The embedding's parameters and sizes.
#[derive(Debug, Clone)]
pub(super) struct Embedding {
    shape: VitShape,
    grid: usize,
    learned: Embed,
    pos_embed: Param,
    patch_embed: Linear,
}

/// What backward needs, group by group.
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
        let mut add =
            |name: &str, shape: &[usize], role| table.add(format!("{prefix}{name}"), shape, role);
        let cls_token = add("cls_token", &[1, 1, d], Role::Token);
        let pos_embed = add("pos_embed", &[1, grid * grid + 1, d], Role::Positions);
        let registers = (shape.registers > 0)
            .then(|| add("register_tokens", &[1, shape.registers, d], Role::Token));
        let mask_token = shape.masked.then(|| add("masked_embed", &[1, d], Role::MaskToken));
        let weight = add("patch_embed.proj.weight", &[d, channels, p, p], Role::Patch);
        let bias = add("patch_embed.proj.bias", &[d], Role::Patch);
        let precision = shape.precision;
        Self {
            shape: shape.clone(),
            grid,
            learned: Embed { cls_token, registers, mask_token },
            pos_embed,
            patch_embed: Linear { weight, bias, input: channels * p * p, output: d, precision },
        }
    }

    /// All tokens of all groups, `[tokens, d]`.
    ///
    /// # Panics
    /// If crops have a mask but the network has no mask token, or the mask has another length than
    /// there are patches.
    pub(super) fn forward(&self, params: &Params, crops: &[Crops<'_>]) -> (Tensor, Saved) {
        let device = params.device();
        let rows =
            crops.iter().map(|crops| crops.images.count * self.shape.tokens(&crops.images)).sum();
        let mut stream = Tensor::uninit(&[rows, self.shape.embed_dim]).to(&device);
        let (mut first_row, mut groups) = (0, Vec::with_capacity(crops.len()));
        for Crops { pixels, images, mask } in crops {
            let patches = patch_embed::forward(pixels, *images, self.shape.patch_size).to(&device);
            let embedded = linear::infer(&self.patch_embed, params, &patches);
            let positions = self.positions(params, images);
            let masked = masked_rows(*mask, patches.rows());
            let group = Group { first_row, images: images.count, masked: &masked };
            embed::forward(&self.learned, params, embedded, &positions, &group, &mut stream);
            first_row += images.count * self.shape.tokens(images);
            groups.push(SavedGroup { images: *images, patches, masked });
        }
        (stream, Saved { groups })
    }

    /// The tokens alone.
    pub(super) fn infer(&self, params: &Params, crops: &[Crops<'_>]) -> Tensor {
        self.forward(params, crops).0
    }

    /// Adds to the gradients of the embedding's parameters. `dstream` is that of the tokens.
    pub(super) fn backward(
        &self,
        saved: Saved,
        dstream: &Tensor,
        grads: &mut Params,
    ) -> EmbeddingGradient {
        let (mut first_row, mut dembeddeds) = (0, Vec::with_capacity(saved.groups.len()));
        for SavedGroup { images, patches, masked } in saved.groups {
            let patches_of_image = self.shape.patches(&images);
            let group = Group { first_row, images: images.count, masked: &masked };
            let (dembedded, dpositions) =
                embed::backward(&self.learned, dstream, patches_of_image, &group, grads);
            positions::backward(
                &dpositions,
                self.pos_embed,
                self.resample(&images).as_ref(),
                grads,
            );
            linear::backward_params(&self.patch_embed, &patches, &dembedded, grads);
            dembeddeds.push((images, dembedded));
            first_row += images.count * self.shape.tokens(&images);
        }
        EmbeddingGradient { dembeddeds }
    }

    /// The gradient of the pixels of each group, `[count, channels, height, width]`, on the host.
    pub(super) fn pixel_gradients(
        &self,
        params: &Params,
        gradient: &EmbeddingGradient,
    ) -> Vec<Tensor> {
        let each = gradient.dembeddeds.iter().map(|(images, dembedded)| {
            let dpatches = linear::backward_input(&self.patch_embed, params, dembedded);
            patch_embed::backward(&dpatches, *images, self.shape.patch_size)
        });
        each.collect()
    }

    /// The position table for images of this size, `[1 + patches, d]`.
    pub(super) fn positions(&self, params: &Params, images: &Images) -> Tensor {
        positions::forward(params, self.pos_embed, self.resample(images).as_ref())
    }

    fn resample(&self, images: &Images) -> Option<Resample> {
        let (gh, gw) = images.grid(self.shape.patch_size);
        let stored = gh * gw == self.grid * self.grid && images.height == images.width;
        (!stored).then(|| Resample::new(self.grid, (gh, gw), self.shape.resampling))
    }
}

/// The gradient of the embedded patches. [`Vit::pixel_gradients`](super::Vit::pixel_gradients) computes that
/// of the pixels from it.
#[derive(Debug)]
pub struct EmbeddingGradient {
    dembeddeds: Vec<(Images, Tensor)>, // [images · patches, d] for each group
}

/// The masked rows among `rows` rows of patches.
fn masked_rows(mask: Option<&[bool]>, rows: usize) -> Vec<usize> {
    let Some(mask) = mask else { return Vec::new() };
    assert_eq!(mask.len(), rows, "a mask has a value for every patch");
    mask.iter().enumerate().filter(|(_, masked)| **masked).map(|(row, _)| row).collect()
}
