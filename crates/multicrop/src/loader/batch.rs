//! [`Batch`] and [`CropBuffer`]: the crops that a training step uses.

use std::ops::Range;

use super::augmentation::{Augmentation, Group};
use super::bad::BadImage;
use super::sample::{Task, TaskResult};
use super::values::Values;
use crate::augment::normalize::Element;
use crate::error::Error;

/// Crops of one size of several images, `[crops, images, channels, size, size]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CropBuffer<T: Element = f32> {
    /// Normalized values, in the order of the reference: crop 0 of all images first.
    pub data: Values<T>,
    /// Number of crops of each image.
    pub crops: usize,
    /// Number of images.
    pub images: usize,
    /// Number of channels.
    pub channels: usize,
    /// Side of a crop in pixels; 0 if there are no crops.
    pub size: usize,
}

impl<T: Element> CropBuffer<T> {
    /// Allocates a buffer of this shape, filled with zeros.
    fn zeros([crops, images, channels, size, _]: [usize; 5]) -> Self {
        let data = Values::zeros(crops * images * channels * size * size);
        Self { data, crops, images, channels, size }
    }

    /// `[crops, images, channels, size, size]`.
    pub fn shape(&self) -> [usize; 5] {
        [self.crops, self.images, self.channels, self.size, self.size]
    }

    /// Number of values in one crop of one image.
    pub fn crop_len(&self) -> usize {
        self.channels * self.size * self.size
    }

    /// Crop `crop` of image `image`, `[channels, size, size]`.
    ///
    /// # Panics
    /// If there is no such crop or image.
    pub fn crop(&self, crop: usize, image: usize) -> &[T] {
        assert!(crop < self.crops && image < self.images, "crop {crop} of image {image}");
        &self.data[(crop * self.images + image) * self.crop_len()..][..self.crop_len()]
    }

    /// A copy of the crops of some of the images: a micro-batch.
    ///
    /// # Panics
    /// If the range ends after the last image.
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(range.end <= self.images, "images {range:?} of {}", self.images);
        let [crops, _, channels, size, _] = self.shape();
        let mut part = Self::zeros([crops, range.len(), channels, size, size]);
        let len = range.len() * self.crop_len();
        for crop in 0..crops {
            let first = (crop * self.images + range.start) * self.crop_len();
            part.data[crop * len..][..len].copy_from_slice(&self.data[first..][..len]);
        }
        part
    }

    /// Splits the memory into crops, and appends those of each image to its entry of `by_image`.
    /// Leaves the buffer without memory until [`join_crops`](Self::join_crops).
    fn split_crops(&mut self, by_image: &mut [Vec<Values<T>>]) {
        let len = self.crop_len();
        for _ in 0..self.crops {
            for crops in &mut *by_image {
                crops.push(self.data.split_to(len));
            }
        }
    }

    /// Undoes [`split_crops`](Self::split_crops) without a copy: takes the next crops of each
    /// image.
    fn join_crops(&mut self, by_image: &mut [impl Iterator<Item = Values<T>>]) {
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

    /// True if the buffer has this shape, and its memory.
    fn fits(&self, shape: [usize; 5]) -> bool {
        self.shape() == shape && self.data.len() == shape.iter().product::<usize>()
    }
}

/// The crops for one optimizer step of one rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<T: Element = f32> {
    /// The step, counted from 0 over all epochs.
    pub step: u64,
    /// The epoch of the step.
    pub epoch: u64,
    /// Index of each image in the data set; for a bad image, the index of its replacement.
    pub indices: Vec<usize>,
    /// The first group: the two global crops of a [`Recipe`](crate::recipe::Recipe).
    pub globals: CropBuffer<T>,
    /// The second group: its local crops.
    pub locals: CropBuffer<T>,
    /// Images of the batch that are bad and were replaced; each occurrence is listed.
    pub bad: Vec<BadImage>,
}

/// Shapes of the global and of the local crops of a batch.
fn shapes<T>(recipe: &dyn Augmentation<T>, images: usize) -> [[usize; 5]; 2] {
    recipe.groups().map(|Group { crops, channels, size }| {
        let size = if crops > 0 { size } else { 0 };
        [crops, images, channels, size, size]
    })
}

impl<T: Element> Batch<T> {
    /// Allocates a batch.
    pub(super) fn empty(recipe: &dyn Augmentation<T>, images: usize) -> Self {
        let [globals, locals] = shapes(recipe, images);
        Self {
            step: 0,
            epoch: 0,
            indices: Vec::with_capacity(images),
            globals: CropBuffer::zeros(globals),
            locals: CropBuffer::zeros(locals),
            bad: Vec::new(),
        }
    }

    /// True if the memory fits a batch with this recipe and number of images.
    pub(super) fn fits(&self, recipe: &dyn Augmentation<T>, images: usize) -> bool {
        let [globals, locals] = shapes(recipe, images);
        self.globals.fits(globals) && self.locals.fits(locals)
    }

    /// Starts the batch of a step: returns one task for each image, which owns the memory of its
    /// crops.
    pub(super) fn begin(&mut self, step: u64, epoch: u64, indices: Vec<usize>) -> Vec<Task<T>> {
        (self.step, self.epoch) = (step, epoch);
        self.indices = indices;
        self.bad.clear();
        let mut crops: Vec<_> = self.indices.iter().map(|_| Vec::new()).collect();
        self.globals.split_crops(&mut crops);
        self.locals.split_crops(&mut crops);
        let tasks = self.indices.iter().zip(crops).enumerate();
        tasks
            .map(|(position, (&index, crops))| Task { step, epoch, position, index, crops })
            .collect()
    }

    /// Completes the batch with the results of all tasks, in the order of [`begin`](Self::begin).
    ///
    /// # Errors
    /// The first error in that order, so that it does not depend on which thread was faster.
    pub(super) fn finish(mut self, results: Vec<TaskResult<T>>) -> Result<Self, Error> {
        let mut crops = Vec::with_capacity(results.len());
        for (position, result) in results.into_iter().enumerate() {
            let chosen = result.chosen?;
            self.indices[position] = chosen.index;
            self.bad.extend(chosen.bad);
            crops.push(result.crops.into_iter());
        }
        self.globals.join_crops(&mut crops);
        self.locals.join_crops(&mut crops);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_the_crops_of_its_images() {
        let mut whole = CropBuffer::<f32>::zeros([2, 5, 3, 2, 2]);
        whole.data.iter_mut().enumerate().for_each(|(i, value)| *value = i as f32);
        let part = whole.part(1..4);
        assert_eq!(part.shape(), [2, 3, 3, 2, 2]);
        for (crop, image) in [(0, 0), (0, 2), (1, 0), (1, 2)] {
            assert_eq!(part.crop(crop, image), whole.crop(crop, image + 1));
        }
        assert!(CropBuffer::<f32>::zeros([0, 5, 3, 0, 0]).part(1..4).data.is_empty());
    }
}
