//! What somebody should read about the images themselves before they are used.

use multicrop::dataset::spread;
use multicrop::{Dataset, Image};
use rayon::prelude::*;

use super::{small_images, unused_range};
use crate::config::{Config, Warning};

/// Images that are looked at, spread evenly.
const SAMPLES: usize = 16;

/// An image that was looked at.
pub(super) struct Seen {
    /// Width and height, if the settings can use the image.
    pub(super) size: Option<(u32, u32)>,
    /// Whether it has more than 8 bits.
    pub(super) is_deep: bool,
}

/// Warnings about the sizes and the values of the images. Reads 16 of them, and up to 256 of sources with more
/// than 8 bits.
pub fn image_warnings(config: &Config, dataset: &dyn Dataset) -> Vec<Warning> {
    let seen = look(config, dataset);
    let small = small_images::warning(config, &seen);
    small.into_iter().chain(unused_range::warning(config, dataset, &seen)).collect()
}

/// Looks at some images. Those that cannot be read are left out.
pub(super) fn look(config: &Config, dataset: &dyn Dataset) -> Vec<Seen> {
    let options = config.data.decode_options();
    let see = |index: usize| {
        let stored = dataset.read(index).ok()?.decode_stored(&options).ok()?;
        let is_deep = matches!(stored.pixels, Image::F32(_));
        let size = |image: Image| (image.width(), image.height());
        Some(Seen { is_deep, size: stored.into_image(&options).ok().map(size) })
    };
    let indices: Vec<_> = spread(dataset.len(), SAMPLES).collect();
    indices.into_par_iter().filter_map(see).collect()
}
