//! What networks make of images: \[CLS\] features, the head's vectors of \[CLS\] tokens and of patches.

use std::ops::ControlFlow;

use engine::Params;
use engine::ops::patch_embed::Images;
use multicrop::image::Image8;
use multicrop::loader::crop_stream;
use multicrop::recipe::{GLOBAL_CROPS, Recipe};

use crate::error::{Error, Result};
use crate::eval::images::{Selection, Viewer};
use crate::model::{Crops, Network, Patches, Tokens};

pub use crate::geometry::Rows;

/// What one network makes of images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vectors {
    /// The \[CLS\] token after the final norm, `[rows, d]`.
    pub features: Rows,
    /// The head's unit vector, `[rows, r]`.
    pub bottleneck: Rows,
}

/// Networks of one shape with different weights, to be shown the same images.
#[derive(Debug, Clone, Copy)]
pub struct Networks<'a> {
    /// Their shape.
    pub network: &'a Network,
    /// The weights of each.
    pub params: &'a [&'a Params],
}

impl Networks<'_> {
    /// Vectors of the evaluation view of each image, for each network; `progress` is told how many
    /// images more are done.
    ///
    /// # Errors
    /// An image that cannot be read; vectors that are not finite.
    pub fn see(
        &self,
        images: &Selection,
        viewer: &Viewer,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vectors>> {
        let extents = viewer.extents(viewer.batch_size, viewer.view.crop as usize);
        let make = |_, image: &Image8, out: &mut [f32]| viewer.view.apply(image, out);
        self.run((images, viewer), (extents, 1), &make, progress)
    }

    /// Vectors of the two global crops of each image, those of one image in rows that follow each
    /// other: the crops of the first epoch of a run with this recipe and seed.
    ///
    /// # Errors
    /// As [`see`](Self::see).
    pub fn see_crops(
        &self,
        images: &Selection,
        viewer: &Viewer,
        (recipe, seed): (&Recipe, u64),
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vectors>> {
        let (size, len) = (recipe.first_global.size as usize, recipe.crop_len(0));
        let extents = viewer.extents(GLOBAL_CROPS * viewer.batch_size, size);
        let make = |index, image: &Image8, out: &mut [f32]| {
            for (crop, out) in out.chunks_exact_mut(len).enumerate() {
                recipe.augment_crop(image, crop, &mut crop_stream(seed, 0, index, crop), out);
            }
        };
        self.run((images, viewer), (extents, GLOBAL_CROPS), &make, progress)
    }

    /// Vectors of what `make` makes of each image: `views` rows.
    fn run(
        &self,
        (images, viewer): (&Selection, &Viewer),
        (extents, views): (Images, usize),
        make: &(dyn Fn(usize, &Image8, &mut [f32]) + Sync),
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vectors>> {
        let Images { channels, height, width, .. } = extents;
        let mut all = vec![Vectors::default(); self.params.len()];
        let mut visit = |count: usize, pixels: &[f32]| {
            for (params, vectors) in self.params.iter().zip(&mut all) {
                let crops = [Crops::new(pixels, extents)];
                let features = self.network.backbone.infer(params, &crops, Tokens::Cls);
                let bottleneck = self.network.head.infer(params, &features);
                vectors.features.extend(&features, count * views);
                vectors.bottleneck.extend(&bottleneck, count * views);
            }
            progress(count);
            ControlFlow::Continue(())
        };
        let len = views * channels * height * width;
        // nothing breaks this off
        let _: ControlFlow<()> = images.for_each_batch(viewer, len, make, &mut visit)?;
        all.iter().try_for_each(|vectors| check(vectors, views))?;
        Ok(all)
    }
}

/// Head vectors of all patches of the evaluation view of each image, as one network sees them without
/// masks: `visit` gets `[images · patches, r]` of one batch after the other, patch after patch in the
/// order of rows; `progress` is told how many images more are done.
///
/// # Errors
/// An image that cannot be read; vectors that are not finite.
pub fn see_patches(
    (network, params): (&Network, &Params),
    (images, viewer): (&Selection, &Viewer),
    visit: &mut dyn FnMut(&[f32]),
    progress: &mut dyn FnMut(usize),
) -> Result<()> {
    let extents = viewer.extents(viewer.batch_size, viewer.view.crop as usize);
    let make = |_, image: &Image8, out: &mut [f32]| viewer.view.apply(image, out);
    let mut bad = 0;
    let mut of_batch = |count: usize, pixels: &[f32]| {
        let crops = [Crops::new(pixels, extents)];
        let patches = network.infer(params, &crops, Patches::All).patches;
        let of_image = patches.len() / viewer.batch_size;
        let seen = &patches[..count * of_image];
        bad += seen.chunks(of_image).filter(|image| image.iter().any(|x| !x.is_finite())).count();
        if bad == 0 {
            visit(seen);
        }
        progress(count);
        ControlFlow::Continue(())
    };
    // nothing breaks this off
    let _: ControlFlow<()> =
        images.for_each_batch(viewer, viewer.view.output_len(), &make, &mut of_batch)?;
    match bad {
        0 => Ok(()),
        bad => Err(Error::NonFiniteFeatures { bad, all: images.len() }),
    }
}

/// Decompositions and logarithms below have no answer for numbers that are not finite.
fn check(vectors: &Vectors, views: usize) -> Result<()> {
    let finite = |row: &[f32]| row.iter().all(|x| x.is_finite());
    let rows = vectors.features.iter().zip(vectors.bottleneck.iter());
    let bad = rows.filter(|(a, b)| !finite(a) || !finite(b)).count();
    if bad == 0 {
        return Ok(());
    }
    Err(Error::NonFiniteFeatures { bad: bad.div_ceil(views), all: vectors.features.len() / views })
}
