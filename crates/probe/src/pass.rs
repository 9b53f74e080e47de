//! A `Pass` goes once over images and gives each batch to any number of feature sources.
//!
//! ```text
//! images ─▶ decode, in parallel ─▶ views ─▶ batch [batch_size · views, channels, side, side] ─▶ sources
//! ```
//!
//! Batches are always whole, the last one padded with zeros: a row's bits may depend on how many rows a
//! GEMM has, and must not depend on the size of the set.
//!
//! An image that cannot be read is left out and counted. More than 1 % of such images, and more than 10,
//! are an error.

use engine::ops::patch_embed::Images;
use multicrop::error::SampleError;
use multicrop::image::Image;
use multicrop::loader::{BadImage, BadImages, crop_stream};
use multicrop::random_view::RandomView;
use multicrop::recipe::{GLOBAL_CROPS, Recipe};
use rayon::prelude::*;

use crate::definition::Features;
use crate::error::{Error, Result};
use crate::matrix::{Matrix, Storage};
use crate::preprocess::{Preprocess, unreadable};
use crate::progress::Progress;
use crate::source::{Kind, Source, Wanted};
use crate::subset::Subset;
use vit::Crops;

/// One pass over images.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The images.
    pub images: &'a Subset,
    /// How they are decoded and normalized.
    pub preprocess: &'a Preprocess,
    /// What a source gets of each image.
    pub views: Views<'a>,
}

/// What a source gets of each image.
#[derive(Debug, Clone, Copy)]
pub enum Views<'a> {
    /// The centered square of evaluations: one view.
    Square,
    /// A random box, flipped or not, as large as the square: one view. It depends on seed, epoch and image alone.
    Random {
        /// Decides the boxes.
        seed: u64,
        /// The epoch: each has boxes of its own.
        epoch: u64,
    },
    /// The two global crops that a run with this recipe and seed draws in its first epoch: two views, in
    /// rows that follow each other.
    GlobalCrops {
        /// How crops are augmented.
        recipe: &'a Recipe,
        /// The run's seed.
        seed: u64,
    },
}

/// Features of some images of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// Which of the sources made them.
    pub source: usize,
    /// Which of the kinds they are.
    pub kind: usize,
    /// Places in the source of the images that they are of, ascending.
    pub images: &'a [usize],
    /// The features, `[rows, width]`: as many rows for each image.
    pub rows: &'a [f32],
    /// Values in a row.
    pub width: usize,
}

/// What a pass met.
#[derive(Debug, Default)]
pub struct Passed {
    /// Places in the source of the images that were read, ascending.
    pub indices: Vec<usize>,
    /// A sentence about images that could not be read, if there are any.
    pub left_out: Option<String>,
    /// Images with a feature that is not finite.
    pub not_finite: usize,
}

/// Features of all images that could be read.
#[derive(Debug)]
pub struct Extracted {
    /// For each source, the features of each kind that was wanted.
    pub features: Vec<Vec<Features>>,
    /// What the pass met.
    pub passed: Passed,
}

impl Passed {
    /// Refuses features with which nothing can be computed: decompositions and logarithms have no answer
    /// for values that are not finite.
    ///
    /// # Errors
    /// [`Error::NonFiniteFeatures`].
    pub fn require_finite(&self) -> Result<()> {
        match self.not_finite {
            0 => Ok(()),
            bad => Err(Error::NonFiniteFeatures { bad, all: self.indices.len() }),
        }
    }
}

/// Which images of a batch could be read, and whose features are finite.
struct Batch {
    read: Vec<bool>,
    finite: Vec<bool>,
}

impl Batch {
    fn new(read: Vec<bool>) -> Self {
        Self { finite: vec![true; read.len()], read }
    }

    /// Visits the features of the images that could be read; `of_image` values belong to each image.
    fn visit(&mut self, of_image: usize, chunk: Chunk<'_>, visit: &mut dyn FnMut(Chunk<'_>)) {
        let images = chunk.rows.chunks_exact(of_image.max(1));
        for (finite, rows) in self.finite.iter_mut().zip(images) {
            *finite &= rows.iter().all(|x| x.is_finite());
        }
        let mut first = 0;
        for run in self.read.chunk_by(|a, b| a == b) {
            let rows = &chunk.rows[first * of_image..][..run.len() * of_image];
            let images = &chunk.images[first..][..run.len()];
            first += run.len();
            if run[0] {
                visit(Chunk { images, rows, ..chunk });
            }
        }
    }

    /// Adds what is known of the images at these places of the source.
    fn finish(self, indices: &[usize], passed: &mut Passed) {
        let images = indices.iter().zip(self.read).zip(self.finite);
        for ((&index, _), finite) in images.filter(|((_, read), _)| *read) {
            passed.indices.push(index);
            passed.not_finite += usize::from(!finite);
        }
    }
}

impl Pass<'_> {
    /// The features that each source makes of all images, in memory.
    ///
    /// # Errors
    /// As [`for_each_batch`](Self::for_each_batch).
    pub fn extract(
        &self,
        sources: &[&dyn Source],
        wanted: &[Wanted],
        progress: &mut Progress<'_>,
    ) -> Result<Extracted> {
        self.extract_to(Storage::Memory, sources, wanted, progress)
    }

    /// The same in memory or on disk.
    ///
    /// # Errors
    /// As [`for_each_batch`](Self::for_each_batch), and [`Error::Storage`].
    pub fn extract_to(
        &self,
        storage: Storage,
        sources: &[&dyn Source],
        wanted: &[Wanted],
        progress: &mut Progress<'_>,
    ) -> Result<Extracted> {
        let kinds: Vec<Kind> = wanted.iter().map(|wanted| wanted.kind).collect();
        let (view, views) = (self.shape_of_view(), self.images.len() * self.views_of_image());
        let empty = |source: &&dyn Source| -> Result<Vec<Features>> {
            let features = |&kind: &Kind| -> Result<Features> {
                let (rows, width) = (views * source.rows(kind, &view), source.width(kind, &view));
                Ok(Features { rows: Matrix::stored(storage, rows, width)?, labels: Vec::new() })
            };
            kinds.iter().map(features).collect()
        };
        let mut all = sources.iter().map(empty).collect::<Result<Vec<_>>>()?;
        let passed = self.for_each_batch(sources, &kinds, progress, &mut |chunk| {
            let Chunk { source, kind, rows, width, .. } = chunk;
            all[source][kind].rows.push(rows, width);
        })?;
        let labels = self.images.labels_of(&passed.indices);
        for features in &mut all {
            for (Features { rows, labels: of_rows }, wanted) in features.iter_mut().zip(wanted) {
                of_rows.clone_from(&labels);
                if wanted.unit {
                    rows.normalize();
                }
                rows.sync()?;
            }
        }
        Ok(Extracted { features: all, passed })
    }

    /// Values that [`extract`](Self::extract) holds for each image: those of all sources and kinds.
    pub fn values_of_image(&self, sources: &[&dyn Source], wanted: &[Wanted]) -> usize {
        let view = self.shape_of_view();
        let of_kind =
            |source: &dyn Source, kind| source.rows(kind, &view) * source.width(kind, &view);
        let of_source = |source: &&dyn Source| -> usize {
            wanted.iter().map(|wanted| of_kind(*source, wanted.kind)).sum()
        };
        self.views_of_image() * sources.iter().map(of_source).sum::<usize>()
    }

    /// Calls `visit` with the features of one batch after the other, images in order; a batch comes in
    /// several chunks if images in it cannot be read.
    ///
    /// # Errors
    /// If `progress` wants to stop; if too many images cannot be read, or none can be.
    pub fn for_each_batch(
        &self,
        sources: &[&dyn Source],
        kinds: &[Kind],
        progress: &mut Progress<'_>,
        visit: &mut dyn FnMut(Chunk<'_>),
    ) -> Result<Passed> {
        let batch_size = self.preprocess.batch_size;
        let shape = self.shape(batch_size);
        let len = self.views_of_image() * shape.channels * shape.height * shape.width;
        let mut pixels = vec![0.0f32; batch_size * len];
        let (mut passed, mut bad) = (Passed::default(), BadImages::default());
        for indices in self.images.indices().chunks(batch_size) {
            let mut batch = Batch::new(self.read(indices, &mut pixels, &mut bad)?);
            let crops = Crops::new(&pixels, shape);
            for (source, of_source) in sources.iter().enumerate() {
                of_source.infer(&crops, kinds, &mut |kind, rows| {
                    let width = of_source.width(kinds[kind], &shape);
                    let of_image = rows.len() / batch_size;
                    let chunk = Chunk { source, kind, images: indices, rows, width };
                    batch.visit(of_image, chunk, visit);
                });
            }
            batch.finish(indices, &mut passed);
            progress.advance(indices.len())?;
        }
        passed.left_out = self.left_out(&bad);
        match bad.first() {
            Some(first) if passed.indices.is_empty() => Err(self.error(first)),
            _ => Ok(passed),
        }
    }

    /// Fills a batch with the views of these images; returns which could be read. The rest of the batch is
    /// zero.
    fn read(
        &self,
        indices: &[usize],
        pixels: &mut [f32],
        bad: &mut BadImages,
    ) -> Result<Vec<bool>> {
        let (images, batch_size) = (self.images.dataset(), self.preprocess.batch_size);
        let len = pixels.len() / batch_size;
        pixels[indices.len() * len..].fill(0.0);
        let slots = pixels.par_chunks_exact_mut(len).zip(indices);
        let faults = slots.map(|(pixels, &index)| -> Option<(usize, SampleError)> {
            match images.load(index, &self.preprocess.decode) {
                Ok(image) => self.apply(index, &image, pixels),
                Err(fault) => {
                    pixels.fill(0.0);
                    return Some((index, fault));
                }
            }
            None
        });
        let faults: Vec<Option<(usize, SampleError)>> = faults.collect();
        if let Some((index, fault)) =
            faults.iter().flatten().next().filter(|_| self.preprocess.strict)
        {
            return Err(unreadable(images, *index, fault));
        }
        let found = faults.iter().flatten();
        let found = found.map(|(index, fault)| BadImage::new(*index, images.name(*index), fault));
        bad.add(self.images.len(), &found.collect::<Vec<_>>())?;
        Ok(faults.iter().map(Option::is_none).collect())
    }

    /// Makes the views of an image, `[views, channels, side, side]`.
    fn apply(&self, index: usize, image: &Image, pixels: &mut [f32]) {
        match self.views {
            Views::Square => self.preprocess.view.apply(image, pixels),
            Views::Random { seed, epoch } => {
                let view = &self.preprocess.view;
                let random =
                    RandomView::linear_probe(view.crop, view.mean.clone(), view.std.clone());
                random.apply(image, &mut crop_stream(seed, epoch, index, 0), pixels);
            }
            Views::GlobalCrops { recipe, seed } => {
                let crops = pixels.chunks_exact_mut(recipe.crop_len(0)).enumerate();
                crops.for_each(|(crop, pixels)| {
                    let mut rng = crop_stream(seed, 0, index, crop);
                    recipe.augment_crop(image, crop, &mut rng, pixels);
                });
            }
        }
    }

    fn views_of_image(&self) -> usize {
        match self.views {
            Views::Square | Views::Random { .. } => 1,
            Views::GlobalCrops { .. } => GLOBAL_CROPS,
        }
    }

    /// The shape of a single view.
    fn shape_of_view(&self) -> Images {
        Images { count: 1, ..self.shape(1) }
    }

    /// The shape of a batch of the views of `images`.
    fn shape(&self, images: usize) -> Images {
        let side = match self.views {
            Views::Square | Views::Random { .. } => self.preprocess.view.crop,
            Views::GlobalCrops { recipe, .. } => recipe.first_global.size,
        } as usize;
        let (count, channels) = (images * self.views_of_image(), self.preprocess.decode.channels);
        Images { count, channels, height: side, width: side }
    }

    fn left_out(&self, bad: &BadImages) -> Option<String> {
        let BadImage { name, reason, .. } = bad.first()?;
        let (count, all, data) = (bad.len(), self.images.len(), self.images.dataset().describe());
        Some(format!(
            "{count} of {all} images of {data} cannot be read and are left out, the first is `{name}`: \
             {reason}"
        ))
    }

    fn error(&self, bad: &BadImage) -> Error {
        let (name, reason) = (bad.name.clone(), bad.reason.clone());
        Error::EvalImage { name, data: self.images.dataset().describe(), reason }
    }
}
