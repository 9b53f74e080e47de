//! A warning for images that are much smaller than the crops.

use multicrop::Dataset;
use multicrop::dataset::spread;
use rayon::prelude::*;

use crate::config::{Config, Warning};

/// Images whose size is looked at, spread evenly.
const SAMPLES: usize = 16;
/// How much larger than the shorter side of an image a global crop may be.
const ENLARGED: usize = 2;

/// A sentence if global crops have more than twice the side of the images: all of their detail is
/// invented by enlarging. Reads 16 images.
pub fn small_images(config: &Config, dataset: &dyn Dataset) -> Option<Warning> {
    let decode = config.data.decode_options();
    let size = |index: usize| {
        let image = dataset.load(index, &decode).ok()?;
        Some((image.width().min(image.height()), image.width(), image.height()))
    };
    let indices: Vec<_> = spread(dataset.len(), SAMPLES).collect();
    let mut sizes: Vec<_> = indices.into_par_iter().filter_map(size).collect();
    sizes.sort_unstable();
    let &(short, width, height) = sizes.get(sizes.len() / 2)?;
    let side = config.data.global_size;
    (side > ENLARGED * short as usize).then(|| {
        format!(
            "images have about {width} x {height} pixels, and global crops of {side} pixels enlarge them \
             more than {ENLARGED} times: set `data.global_size` near the size of the images, and \
             `data.local_size` to about half of it"
        )
    })
}
