//! A [`Classifier`] is a backbone and a linear layer that turns one vector of each image into a score for each class.
//!
//! ```text
//! z = backbone(x)        f = z[CLS], or the mean of z over the patches        scores = f Wᵀ + b
//! ```
//!
//! `W` starts from N(0, 0.02²) · 0.001 and `b` from 0, so that the first steps change the backbone little.
//!
//! Source: `init_scale` in the fine-tuning of BEiT, which iBOT uses.

use std::sync::Arc;

use engine::matmul::Precision;
use engine::ops::linear::{self, Linear};
use engine::ops::patch_embed::Images;
use engine::{ParamTable, Params, Role, Tensor};
use probe::{Kind, Source};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use streams::{Key, Purpose};
use vit::{BackboneSaved, Crops, DropPlan, Pulse, Tokens, Vit, VitShape};

/// Standard deviation of the first weights of the linear layer, and the factor on them.
const INIT_STD: f64 = 0.02;
const INIT_SCALE: f64 = 0.001;

/// How the names of the parameters of the backbone and of the linear layer begin.
pub(crate) const BACKBONE: &str = "backbone.";
pub(crate) const HEAD: &str = "head.";

/// Which vector of an image the linear layer gets. Both are taken after the final norm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The \[CLS\] token.
    #[default]
    Cls,
    /// The mean of the patch tokens.
    Mean,
}

/// A backbone and a linear layer. The values of their parameters lie in [`Params`].
#[derive(Debug, Clone)]
pub struct Classifier {
    backbone: Vit,
    head: Linear,
    pooling: Pooling,
    table: Arc<ParamTable>,
}

/// What backward needs.
#[must_use = "without its `Saved` a forward pass cannot be differentiated"]
#[derive(Debug)]
pub struct Saved {
    backbone: BackboneSaved,
    features: Tensor, // [images, d]
    tokens: usize,    // of an image
    patches: usize,   // the last ones of them
}

impl Classifier {
    /// A classifier of this shape.
    pub fn new(shape: &VitShape, classes: usize, pooling: Pooling) -> Self {
        let mut table = ParamTable::default();
        let backbone = Vit::new(shape, BACKBONE, &mut table);
        let (input, output) = (shape.embed_dim, classes);
        let head = Linear {
            weight: table.add(format!("{HEAD}weight"), &[output, input], Role::Weight),
            bias: table.add(format!("{HEAD}bias"), &[output], Role::Bias),
            input,
            output,
            precision: Precision::F32,
        };
        Self { backbone, head, pooling, table: Arc::new(table) }
    }

    /// Names, shapes and places of all parameters.
    pub fn table(&self) -> &Arc<ParamTable> {
        &self.table
    }

    /// The sizes of the backbone.
    pub fn shape(&self) -> &VitShape {
        self.backbone.shape()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.head.output
    }

    /// The weights before the first step: a backbone from `trained`, where it has the same names, and a new
    /// linear layer.
    ///
    /// # Panics
    /// If `trained` lacks a parameter of the backbone.
    pub fn initial(&self, trained: &Params, seed: u64) -> Params {
        let mut params = Params::zeros(self.table.clone());
        for entry in self.table.entries().iter().filter(|entry| entry.name.starts_with(BACKBONE)) {
            let found =
                trained.table().find(&entry.name).expect("a network has its own parameters");
            let values = trained.view(found.param).on_host();
            params.view_mut(entry.param).host_mut().copy_from_slice(&values);
        }
        let mut rng = Key::new(seed, Purpose::LinearProbe).open();
        params.view_mut(self.head.weight).host_mut().iter_mut().for_each(|x| {
            let normal: f64 = StandardNormal.sample(&mut rng);
            *x = (INIT_SCALE * INIT_STD * normal) as f32;
        });
        params
    }

    /// The scores of each image, `[images, classes]`. `None` if `pulse` ends the pass.
    pub fn forward(
        &self,
        params: &Params,
        crops: &Crops<'_>,
        plan: &DropPlan,
        pulse: Pulse<'_>,
    ) -> Option<(Tensor, Saved)> {
        let wanted = self.wanted();
        let crops = [*crops];
        let (y, backbone) = self.backbone.forward_with(params, &crops, wanted, plan, pulse)?;
        let (features, tokens, patches) = self.pool(y, &crops[0]);
        let scores = linear::infer(&self.head, params, &features);
        Some((scores, Saved { backbone, features, tokens, patches }))
    }

    /// The scores without a backward pass to come, and without drop path.
    pub fn infer(&self, params: &Params, crops: &Crops<'_>) -> Tensor {
        let y = self.backbone.infer(params, &[*crops], self.wanted());
        let (features, ..) = self.pool(y, crops);
        linear::infer(&self.head, params, &features)
    }

    /// Adds to the gradients of all parameters; `dy` is that of the scores. `None`, and a part of the gradients,
    /// if `pulse` ends the pass.
    pub fn backward(
        &self,
        params: &Params,
        saved: Saved,
        dy: &Tensor,
        grads: &mut Params,
        pulse: Pulse<'_>,
    ) -> Option<()> {
        let Saved { backbone, features, tokens, patches } = saved;
        linear::backward_params(&self.head, &features, dy, grads);
        let dfeatures = linear::backward_input(&self.head, params, dy);
        let dfeatures = match self.pooling {
            Pooling::Cls => dfeatures,
            Pooling::Mean => spread(&dfeatures, tokens, patches),
        };
        self.backbone.backward_with(params, backbone, dfeatures, grads, pulse)?;
        Some(())
    }

    fn wanted(&self) -> Tokens {
        match self.pooling {
            Pooling::Cls => Tokens::Cls,
            Pooling::Mean => Tokens::All,
        }
    }

    /// The vector of each image, the number of its tokens, and that of its patches.
    fn pool(&self, y: Tensor, crops: &Crops<'_>) -> (Tensor, usize, usize) {
        let shape = self.backbone.shape();
        let (tokens, patches) = (shape.tokens(&crops.images), shape.patches(&crops.images));
        let features = match self.pooling {
            Pooling::Cls => y,
            Pooling::Mean => mean(&y, tokens, patches),
        };
        (features, tokens, patches)
    }
}

/// The mean of the last `patches` rows of each `tokens` rows.
fn mean(y: &Tensor, tokens: usize, patches: usize) -> Tensor {
    let (d, images) = (y.width(), y.rows() / tokens);
    let mut means = Tensor::zeros(&[images, d]);
    let of_images = y.host().par_chunks_exact(tokens * d);
    of_images.zip(means.host_mut().par_chunks_exact_mut(d)).for_each(|(rows, mean)| {
        for row in rows[(tokens - patches) * d..].chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
        }
        mean.iter_mut().for_each(|mean| *mean /= patches as f32);
    });
    means
}

/// The backward pass of [`mean`].
fn spread(dmean: &Tensor, tokens: usize, patches: usize) -> Tensor {
    let (d, images) = (dmean.width(), dmean.rows());
    let mut dy = Tensor::zeros(&[images * tokens, d]);
    let of_images = dy.host_mut().par_chunks_exact_mut(tokens * d);
    of_images.zip(dmean.host().par_chunks_exact(d)).for_each(|(rows, dmean)| {
        for row in rows[(tokens - patches) * d..].chunks_exact_mut(d) {
            row.iter_mut().zip(dmean).for_each(|(dy, dmean)| *dy = dmean / patches as f32);
        }
    });
    dy
}

/// The scores of a classifier, for a pass over images. The kind of features is ignored.
pub(crate) struct Scores<'a> {
    pub(crate) network: &'a Classifier,
    pub(crate) params: &'a Params,
}

impl Source for Scores<'_> {
    fn name(&self) -> &str {
        "scores"
    }

    fn width(&self, _: Kind, _: &Images) -> usize {
        self.network.classes()
    }

    fn rows(&self, _: Kind, _: &Images) -> usize {
        1
    }

    fn infer(&self, crops: &Crops<'_>, _: &[Kind], emit: &mut dyn FnMut(usize, &[f32])) {
        emit(0, self.network.infer(self.params, crops).host());
    }
}
