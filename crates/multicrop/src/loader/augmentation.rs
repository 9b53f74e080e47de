//! [`Augmentation`]: what a loader makes of each image.

use streams::Stream;

use crate::augment::Scratch;
use crate::augment::normalize::Element;
use crate::image::Image;
use crate::recipe::{GLOBAL_CROPS, Recipe};

/// Crops of one size that are made of each image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Crops of each image; may be 0.
    pub crops: usize,
    /// Channels of a crop.
    pub channels: usize,
    /// Side of a crop in pixels.
    pub size: usize,
}

/// Makes the crops of an image: a [`Recipe`], or what another training needs.
pub trait Augmentation<T>: Send + Sync {
    /// The two groups of crops of each image, the second of which may be empty.
    fn groups(&self) -> [Group; 2];

    /// Makes all crops of `image`: crop `i` from the stream `stream(i)`, into `outs[i]`,
    /// `[channels, size, size]`.
    ///
    /// # Panics
    /// If the image has another number of channels.
    fn augment(
        &self,
        image: &Image,
        stream: &dyn Fn(usize) -> Stream,
        outs: &mut [&mut [T]],
        scratch: &mut Scratch,
    );
}

impl<T: Element> Augmentation<T> for Recipe {
    fn groups(&self) -> [Group; 2] {
        let group =
            |crops, size: u32| Group { crops, channels: self.channels(), size: size as usize };
        [
            group(GLOBAL_CROPS, self.first_global.size),
            group(self.locals.count as usize, self.locals.size),
        ]
    }

    fn augment(
        &self,
        image: &Image,
        stream: &dyn Fn(usize) -> Stream,
        outs: &mut [&mut [T]],
        scratch: &mut Scratch,
    ) {
        Self::augment(self, image, stream, outs, scratch);
    }
}
