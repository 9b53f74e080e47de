//! A batch and its memory.

use crate::recipe::{GLOBAL_CROPS, Recipe};

/// Crops of one size of all images of a batch, `[crops, images, 3, size, size]`.
#[derive(Debug, Clone, PartialEq)]
pub struct CropBuffer {
    /// Normalized values, crop by crop as in the reference: all images' crop 0 first.
    pub data: Vec<f32>,
    /// Crops of each image.
    pub crops: usize,
    /// Images in the batch.
    pub images: usize,
    /// Pixels of a side; 0 if there are no crops.
    pub size: usize,
}

impl CropBuffer {
    fn new(crops: usize, images: usize, size: u32) -> Self {
        let size = if crops == 0 { 0 } else { size as usize };
        Self { data: vec![0.0; crops * images * 3 * size * size], crops, images, size }
    }

    /// Numbers in one crop of one image.
    pub fn crop_len(&self) -> usize {
        3 * self.size * self.size
    }

    /// Crop `crop` of image `image` of the batch, `[3, size, size]`.
    ///
    /// # Panics
    /// If there is no such crop or image.
    pub fn crop(&self, crop: usize, image: usize) -> &[f32] {
        assert!(crop < self.crops && image < self.images, "crop {crop} of image {image}");
        &self.data[(crop * self.images + image) * self.crop_len()..][..self.crop_len()]
    }

    /// A copy of the crops of some of the images, `[crops, range, 3, size, size]`: a micro-batch.
    ///
    /// # Panics
    /// If the range ends behind the last image.
    pub fn part(&self, range: std::ops::Range<usize>) -> Vec<f32> {
        let first = |crop: usize| (crop * self.images + range.start) * self.crop_len();
        let len = range.len() * self.crop_len();
        (0..self.crops).flat_map(|crop| &self.data[first(crop)..][..len]).copied().collect()
    }

    /// Memory of each image: all its crops, in their order.
    fn by_image(&mut self) -> Vec<Vec<&mut [f32]>> {
        let (images, crop_len) = (self.images, self.crop_len());
        let mut by_image: Vec<_> = (0..images).map(|_| Vec::with_capacity(self.crops)).collect();
        for (index, crop) in self.data.chunks_exact_mut(crop_len.max(1)).enumerate() {
            by_image[index % images].push(crop);
        }
        by_image
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

/// What one optimizer step sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The step, counted from 0 over all epochs.
    pub step: u64,
    /// The epoch that it lies in.
    pub epoch: u64,
    /// Index of each image in the data set; where one was bad, that of its replacement.
    pub indices: Vec<usize>,
    /// The two global crops.
    pub globals: CropBuffer,
    /// The local crops.
    pub locals: CropBuffer,
    /// Images that should have been in the batch but are bad; listed each time they are met.
    pub bad: Vec<BadImage>,
}

impl Batch {
    /// Memory for a batch.
    pub(super) fn empty(recipe: &Recipe, images: usize) -> Self {
        let locals = recipe.locals.count as usize;
        Self {
            step: 0,
            epoch: 0,
            indices: Vec::with_capacity(images),
            globals: CropBuffer::new(GLOBAL_CROPS, images, recipe.first_global.size),
            locals: CropBuffer::new(locals, images, recipe.locals.size),
            bad: Vec::new(),
        }
    }

    /// True if the memory is that of such a batch.
    pub(super) fn fits(&self, recipe: &Recipe, images: usize) -> bool {
        let crops = |buffer: &CropBuffer| (buffer.crops, buffer.images, buffer.data.len());
        let len = |crop: usize, count: usize| if count == 0 { 0 } else { recipe.crop_len(crop) };
        let locals = recipe.locals.count as usize;
        crops(&self.globals) == (GLOBAL_CROPS, images, GLOBAL_CROPS * images * recipe.crop_len(0))
            && crops(&self.locals) == (locals, images, locals * images * len(GLOBAL_CROPS, locals))
    }

    /// Sets what the batch is, from the order of its epoch; the crops are still those of another.
    pub(super) fn begin(&mut self, step: u64, steps_per_epoch: u64, order: &[u32]) {
        let images = self.globals.images;
        let first = (step % steps_per_epoch) as usize * images;
        (self.step, self.epoch) = (step, step / steps_per_epoch);
        self.indices.clear();
        self.indices.extend(order[first..first + images].iter().map(|&index| index as usize));
        self.bad.clear();
    }

    /// Memory of each image: its global, then its local crops.
    pub(super) fn outputs(&mut self) -> Vec<Vec<&mut [f32]>> {
        let mut outputs = self.globals.by_image();
        for (output, locals) in outputs.iter_mut().zip(self.locals.by_image()) {
            output.extend(locals);
        }
        outputs
    }
}
