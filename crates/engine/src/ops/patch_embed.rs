//! Images cut into patches: the rearrangement that turns PyTorch's strided convolution into a product.
//!
//! ```text
//! patches[(i, y, x), (c, u, v)] = image[i, c, y P + u, x P + v]
//! ```
//!
//! `images` are `[images, 3, height, width]`, `patches` are `[images · gh · gw, 3 P P]` with
//! `gh = ⌊height / P⌋`, `gw = ⌊width / P⌋` (a remainder is ignored, as by the convolution). The
//! embedding itself is then a linear layer with the convolution's weight, `[d, 3, P, P]`.

use rayon::prelude::*;

use crate::profile;
use crate::rows::OneByOne;
use crate::tensor::Tensor;

/// The extents of a group of equally large images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Images {
    /// How many.
    pub count: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
}

impl Images {
    /// Rows and columns of the grid of patches.
    pub fn grid(&self, patch_size: usize) -> (usize, usize) {
        (self.height / patch_size, self.width / patch_size)
    }

    fn numbers(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// `patches`; there is nothing to save.
pub fn forward(pixels: &[f32], images: Images, patch_size: usize) -> Tensor {
    let _timer = profile::time("cut patches", 0, 2 * pixels.len());
    let (gh, gw) = images.grid(patch_size);
    let width = images.channels * patch_size * patch_size;
    assert_eq!(pixels.len(), images.count * images.numbers(), "pixels of {images:?}");
    let mut patches = Tensor::uninit(&[images.count * gh * gw, width]);
    patches.par_chunks_mut((gh * gw * width).max(1)).enumerate().one_by_one().for_each(
        |(i, patches)| {
            let image = &pixels[i * images.numbers()..][..images.numbers()];
            for_each_line(images, patch_size, |line, pixel| {
                patches[line..][..patch_size].copy_from_slice(&image[pixel..][..patch_size]);
            });
        },
    );
    patches
}

/// `dpixels`; pixels outside all patches have gradient zero.
pub fn backward(dpatches: &Tensor, images: Images, patch_size: usize) -> Tensor {
    let (gh, gw) = images.grid(patch_size);
    let width = images.channels * patch_size * patch_size;
    assert_eq!(dpatches.shape(), [images.count * gh * gw, width], "gradient of patches");
    let shape = [images.count, images.channels, images.height, images.width];
    let mut dpixels = Tensor::zeros(&shape);
    dpixels.par_chunks_mut(images.numbers()).enumerate().one_by_one().for_each(|(i, image)| {
        let patches = &dpatches[i * gh * gw * width..][..gh * gw * width];
        for_each_line(images, patch_size, |line, pixel| {
            image[pixel..][..patch_size].copy_from_slice(&patches[line..][..patch_size]);
        });
    });
    dpixels
}

/// Calls `copy(first number in the patches, first number in the image)` for every line of every
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

#[cfg(test)]
mod tests;
