//! A warning for images that are much smaller than the crops.

use multicrop::Dataset;

use super::image_warnings::{Seen, look};
use crate::config::{Config, Warning};

/// How much larger than the shorter side of an image a global crop may be.
const ENLARGED: usize = 2;

/// A sentence if global crops have more than twice the side of the images: all of their detail is
/// invented by enlarging. Reads 16 images.
pub fn small_images(config: &Config, dataset: &dyn Dataset) -> Option<Warning> {
    warning(config, &look(config, dataset))
}

/// The same, of images that were looked at.
pub(super) fn warning(config: &Config, seen: &[Seen]) -> Option<Warning> {
    let sizes = seen.iter().filter_map(|image| image.size);
    let mut sizes: Vec<_> =
        sizes.map(|(width, height)| (width.min(height), width, height)).collect();
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
