//! A `Source` turns batches of images into features: a network, or the pixels themselves.

use std::cell::OnceCell;

use engine::ops::patch_embed::Images;
use engine::{Params, Tensor};

use vit::{Crops, Network, Patches, Tokens};

/// Which vectors of a network are features. With `d` the width of the backbone and `r` that of the head's
/// bottleneck, each is a row:
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The \[CLS\] token after the final norm, `[d]`.
    Cls,
    /// The \[CLS\] tokens of the last `n` blocks, each after the final norm, the earliest first, `[n d]`.
    LastCls(usize),
    /// The mean of the patch tokens after the final norm, `[d]`.
    Mean,
    /// The \[CLS\] token, then the mean of the patch tokens, `[2 d]`.
    ClsAndMean,
    /// The patch tokens after the final norm: as many rows as an image has patches, each `[d]`.
    Patches,
    /// The head's unit vector of the \[CLS\] token, `[r]`.
    Bottleneck,
    /// The head's unit vector of each patch, none masked: as many rows as an image has patches, each `[r]`.
    PatchBottleneck,
}

impl Kind {
    /// Whether an image has a row for each of its patches.
    pub fn is_of_patches(self) -> bool {
        matches!(self, Self::Patches | Self::PatchBottleneck)
    }
}

/// The features that a probe judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Which vectors.
    pub kind: Kind,
    /// Whether rows are scaled to unit length.
    pub unit: bool,
}

/// Something that turns images into features.
pub trait Source {
    /// Its name in reports, such as `raw`, `untrained` or `trained`.
    fn name(&self) -> &str;

    /// Whether its features are raw pixels, which not every probe judges.
    fn is_pixels(&self) -> bool {
        false
    }

    /// Values in a row of features of this kind, of images of this shape.
    fn width(&self, kind: Kind, images: &Images) -> usize;

    /// Rows of features of this kind that an image of this shape has.
    fn rows(&self, kind: Kind, images: &Images) -> usize;

    /// Calls `emit(i, rows)` for each `kinds[i]`: the features of all images, in order, row-major.
    fn infer(&self, crops: &Crops<'_>, kinds: &[Kind], emit: &mut dyn FnMut(usize, &[f32]));
}

/// The normalized pixels, `[channels, height, width]`, whatever kind is wanted.
#[derive(Debug, Clone, Copy)]
pub struct RawPixels;

/// A network with its weights.
#[derive(Debug, Clone, Copy)]
pub struct Encoder<'a> {
    /// Its name in reports.
    pub name: &'a str,
    /// The network.
    pub network: &'a Network,
    /// The weights.
    pub params: &'a Params,
}

impl Source for RawPixels {
    fn name(&self) -> &str {
        "raw"
    }

    fn is_pixels(&self) -> bool {
        true
    }

    fn width(&self, _: Kind, images: &Images) -> usize {
        images.channels * images.height * images.width
    }

    fn rows(&self, _: Kind, _: &Images) -> usize {
        1
    }

    fn infer(&self, crops: &Crops<'_>, kinds: &[Kind], emit: &mut dyn FnMut(usize, &[f32])) {
        (0..kinds.len()).for_each(|i| emit(i, crops.pixels));
    }
}

impl Source for Encoder<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn width(&self, kind: Kind, _: &Images) -> usize {
        match kind {
            Kind::Cls | Kind::Mean | Kind::Patches => self.network.backbone.shape().embed_dim,
            Kind::ClsAndMean => 2 * self.network.backbone.shape().embed_dim,
            Kind::LastCls(n) => {
                let shape = self.network.backbone.shape();
                n.min(shape.depth) * shape.embed_dim
            }
            Kind::Bottleneck | Kind::PatchBottleneck => self.network.head.shape().bottleneck_dim,
        }
    }

    fn rows(&self, kind: Kind, images: &Images) -> usize {
        let (rows, columns) = images.grid(self.network.backbone.shape().patch_size);
        if kind.is_of_patches() { rows * columns } else { 1 }
    }

    fn infer(&self, crops: &Crops<'_>, kinds: &[Kind], emit: &mut dyn FnMut(usize, &[f32])) {
        let Self { network, params, .. } = *self;
        let crops = [*crops];
        let shared = OnceCell::new(); // [CLS] tokens: several kinds need them
        let cls = || shared.get_or_init(|| network.backbone.infer(params, &crops, Tokens::Cls));
        let shared = OnceCell::new(); // all tokens
        let all = || shared.get_or_init(|| network.backbone.infer(params, &crops, Tokens::All));
        let images = &crops[0].images;
        for (i, kind) in kinds.iter().enumerate() {
            match kind {
                Kind::Cls => emit(i, cls().on_host().host()),
                Kind::Bottleneck => {
                    emit(i, network.head.infer(params, cls()).on_host().host());
                }
                Kind::Mean => emit(i, &self.mean(&self.patches(all(), images), images)),
                Kind::ClsAndMean => {
                    let d = network.backbone.shape().embed_dim;
                    let (cls, mean) =
                        (cls().on_host(), self.mean(&self.patches(all(), images), images));
                    let rows = cls.host().chunks_exact(d).zip(mean.chunks_exact(d));
                    emit(i, &rows.flat_map(|(cls, mean)| [cls, mean].concat()).collect::<Vec<_>>());
                }
                Kind::Patches => emit(i, &self.patches(all(), images)),
                Kind::LastCls(n) => emit(i, &self.last_cls(&crops, *n)),
                Kind::PatchBottleneck => {
                    let outputs = network.infer_head(params, all(), &crops, Patches::All);
                    emit(i, outputs.patches.on_host().host());
                }
            }
        }
    }
}

impl Encoder<'_> {
    /// The patch tokens of all images after the final norm, `[images · patches, d]`, of all tokens.
    fn patches(&self, all: &Tensor, images: &Images) -> Vec<f32> {
        let shape = self.network.backbone.shape();
        let (tokens, patches, d) = (shape.tokens(images), shape.patches(images), shape.embed_dim);
        let all = all.on_host();
        let of_images = all.host().chunks_exact(tokens * d);
        of_images.flat_map(|tokens| &tokens[tokens.len() - patches * d..]).copied().collect()
    }

    /// The mean of each image's patch tokens, `[images, d]`.
    fn mean(&self, patches: &[f32], images: &Images) -> Vec<f32> {
        let shape = self.network.backbone.shape();
        let (count, d) = (shape.patches(images), shape.embed_dim);
        let mut means = Vec::with_capacity(images.count * d);
        for patches in patches.chunks_exact(count * d) {
            let mut sums = vec![0.0f64; d];
            for patch in patches.chunks_exact(d) {
                sums.iter_mut().zip(patch).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            means.extend(sums.iter().map(|sum| (sum / count as f64) as f32));
        }
        means
    }

    /// The \[CLS\] tokens of the last `n` blocks side by side, `[images, n d]`.
    fn last_cls(&self, crops: &[Crops<'_>; 1], n: usize) -> Vec<f32> {
        let layers = self.network.backbone.last_layers(self.params, crops, n);
        let layers: Vec<_> = layers.into_iter().map(Tensor::into_host).collect();
        let images = crops[0].images.count;
        let mut rows = Vec::with_capacity(images * self.width(Kind::LastCls(n), &crops[0].images));
        for image in 0..images {
            for layer in &layers {
                let of_image = layer.len() / images.max(1);
                rows.extend_from_slice(&layer.host()[image * of_image..][..layer.width()]);
            }
        }
        rows
    }
}
