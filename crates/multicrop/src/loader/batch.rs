//! A batch and its memory.

use super::sample::{Made, Task};
use super::values::Values;
use crate::augment::normalize::Element;
use crate::error::{Error, SampleError};
use crate::recipe::{GLOBAL_CROPS, Recipe};

/// Crops of one size of all images of a batch, `[crops, images, channels, size, size]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CropBuffer<T: Element = f32> {
    /// Normalized values, crop by crop as in the reference: all images' crop 0 first.
    pub data: Values<T>,
    /// Crops of each image.
    pub crops: usize,
    /// Images in the batch.
    pub images: usize,
    /// Pixels of a side; 0 if there are no crops.
    pub size: usize,
    crop_len: usize,
}

impl<T: Element> CropBuffer<T> {
    /// Room for crops `first..first + crops` of the recipe, which are of one kind.
    fn new(recipe: &Recipe, first: usize, crops: usize, images: usize) -> Self {
        let kind = (crops > 0).then(|| (recipe.kind(first).size as usize, recipe.crop_len(first)));
        let (size, crop_len) = kind.unwrap_or_default();
        Self { data: Values::zeros(crops * images * crop_len), crops, images, size, crop_len }
    }

    /// Numbers in one crop of one image.
    pub fn crop_len(&self) -> usize {
        self.crop_len
    }

    /// Crop `crop` of image `image` of the batch, `[channels, size, size]`.
    ///
    /// # Panics
    /// If there is no such crop or image.
    pub fn crop(&self, crop: usize, image: usize) -> &[T] {
        assert!(crop < self.crops && image < self.images, "crop {crop} of image {image}");
        &self.data[(crop * self.images + image) * self.crop_len..][..self.crop_len]
    }

    /// A copy of the crops of some of the images, `[crops, range, channels, size, size]`: a
    /// micro-batch.
    ///
    /// # Panics
    /// If the range ends behind the last image.
    pub fn part(&self, range: std::ops::Range<usize>) -> Vec<T> {
        let first = |crop: usize| (crop * self.images + range.start) * self.crop_len;
        let len = range.len() * self.crop_len;
        (0..self.crops).flat_map(|crop| &self.data[first(crop)..][..len]).copied().collect()
    }

    /// Gives the memory of each image away, behind what is in `by_image`.
    fn lend(&mut self, by_image: &mut [Vec<Values<T>>]) {
        for _ in 0..self.crops {
            for crops in &mut *by_image {
                crops.push(self.data.split_to(self.crop_len));
            }
        }
    }

    /// Takes back what [`lend`](Self::lend) gave: the next crops of each image.
    fn take_back(&mut self, by_image: &mut [impl Iterator<Item = Values<T>>]) {
        let mut whole: Option<Values<T>> = None;
        for _ in 0..self.crops {
            for part in by_image.iter_mut().filter_map(Iterator::next) {
                match &mut whole {
                    Some(whole) => whole.join(part),
                    None => whole = Some(part),
                }
            }
        }
        self.data = whole.unwrap_or_default();
    }

    /// True if this has the shape, and the memory, of `other`.
    fn fits(&self, other: (usize, usize, usize, usize)) -> bool {
        let len = self.crops * self.images * self.crop_len;
        self.data.len() == len && (self.crops, self.images, self.size, self.crop_len) == other
    }
}

/// An image that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadImage {
    /// Its index in the data set.
    pub index: usize,
    /// Its name: the path of a file, as a rule.
    pub name: String,
    /// The reason in a word or two, equal for all images with this kind of fault.
    pub kind: String,
    /// The reason in full.
    pub reason: String,
}

impl BadImage {
    /// An image that could not be read or decoded.
    pub fn new(index: usize, name: String, error: &SampleError) -> Self {
        Self { index, name, kind: error.kind(), reason: error.to_string() }
    }
}

/// What one optimizer step sees; of one rank, if there are several.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<T: Element = f32> {
    /// The step, counted from 0 over all epochs.
    pub step: u64,
    /// The epoch that it lies in.
    pub epoch: u64,
    /// Index of each image in the data set; where one was bad, that of its replacement.
    pub indices: Vec<usize>,
    /// The two global crops.
    pub globals: CropBuffer<T>,
    /// The local crops.
    pub locals: CropBuffer<T>,
    /// Images that should have been in the batch but are bad; listed each time they are met.
    pub bad: Vec<BadImage>,
}

impl<T: Element> Batch<T> {
    /// Memory for a batch.
    pub(super) fn empty(recipe: &Recipe, images: usize) -> Self {
        let locals = recipe.locals.count as usize;
        Self {
            step: 0,
            epoch: 0,
            indices: Vec::with_capacity(images),
            globals: CropBuffer::new(recipe, 0, GLOBAL_CROPS, images),
            locals: CropBuffer::new(recipe, GLOBAL_CROPS, locals, images),
            bad: Vec::new(),
        }
    }

    /// True if the memory is that of such a batch.
    pub(super) fn fits(&self, recipe: &Recipe, images: usize) -> bool {
        let shape = |first, crops| match crops {
            0 => (0, images, 0, 0),
            _ => (crops, images, recipe.kind(first).size as usize, recipe.crop_len(first)),
        };
        self.globals.fits(shape(0, GLOBAL_CROPS))
            && self.locals.fits(shape(GLOBAL_CROPS, recipe.locals.count as usize))
    }

    /// Sets what the batch is, and gives its memory to one task for each image.
    pub(super) fn begin(&mut self, step: u64, epoch: u64, indices: Vec<usize>) -> Vec<Task<T>> {
        (self.step, self.epoch) = (step, epoch);
        self.indices = indices;
        self.bad.clear();
        let mut crops: Vec<_> = self.indices.iter().map(|_| Vec::new()).collect();
        self.globals.lend(&mut crops);
        self.locals.lend(&mut crops);
        let tasks = self.indices.iter().zip(crops).enumerate();
        tasks.map(|(place, (&index, crops))| Task { step, epoch, place, index, crops }).collect()
    }

    /// Takes the memory of all images back, and what became of them; both in the order of
    /// [`begin`](Self::begin).
    ///
    /// # Errors
    /// The first in that order, so that it does not depend on which thread was faster.
    pub(super) fn finish(mut self, made: Vec<Made<T>>) -> Result<Self, Error> {
        let mut crops = Vec::with_capacity(made.len());
        for (place, made) in made.into_iter().enumerate() {
            let (index, bad) = made.outcome?;
            self.indices[place] = index;
            self.bad.extend(bad);
            crops.push(made.crops.into_iter());
        }
        self.globals.take_back(&mut crops);
        self.locals.take_back(&mut crops);
        Ok(self)
    }
}
