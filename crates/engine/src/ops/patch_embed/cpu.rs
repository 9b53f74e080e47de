//! Patches on the CPU, image by image.

use rayon::prelude::*;

use super::Images;
use crate::tensor::Tensor;

pub(super) fn forward(pixels: &[f32], images: Images, patch_size: usize) -> Tensor {
    let [rows, width] = images.patches(patch_size);
    let mut patches = Tensor::uninit(&[rows, width]);
    let each = (rows * width).checked_div(images.count).unwrap_or(0).max(1);
    let blocks = patches.host_mut().par_chunks_mut(each).enumerate();
    blocks.with_max_len(1).for_each(|(i, patches)| {
        let image = &pixels[i * images.values()..][..images.values()];
        for_each_line(images, patch_size, |line, pixel| {
            patches[line..][..patch_size].copy_from_slice(&image[pixel..][..patch_size]);
        });
    });
    patches
}

pub(super) fn backward(dpatches: &Tensor, images: Images, patch_size: usize) -> Tensor {
    let each = dpatches.len().checked_div(images.count).unwrap_or(0);
    let dpatches = dpatches.host();
    let mut dpixels = Tensor::zeros(&[images.count, images.channels, images.height, images.width]);
    let blocks = dpixels.host_mut().par_chunks_mut(images.values()).enumerate();
    blocks.with_max_len(1).for_each(|(i, image)| {
        let patches = &dpatches[i * each..][..each];
        for_each_line(images, patch_size, |line, pixel| {
            image[pixel..][..patch_size].copy_from_slice(&patches[line..][..patch_size]);
        });
    });
    dpixels
}

/// Calls `copy(first value in the patches, first value in the image)` for every line of every
/// patch of one image.
fn for_each_line(images: Images, patch_size: usize, mut copy: impl FnMut(usize, usize)) {
    let (gh, gw) = images.grid(patch_size);
    let mut line = 0;
    for y in 0..gh {
        for x in 0..gw {
            for channel in 0..images.channels {
                for u in 0..patch_size {
                    let row = channel * images.height + y * patch_size + u;
                    copy(line, row * images.width + x * patch_size);
                    line += patch_size;
                }
            }
        }
    }
}
