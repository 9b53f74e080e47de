//! Images cut into patches: the rearrangement that turns PyTorch's strided convolution into a matmul.
//!
//! ```text
//! patches[(i, y, x), (c, u, v)] = image[i, c, y P + u, x P + v]
//! ```
//!
//! `images` are `[images, c, height, width]`, `patches` are `[images · gh · gw, c P P]` with
//! `gh = ⌊height / P⌋`, `gw = ⌊width / P⌋` (a remainder is ignored, as by the convolution). The
//! embedding itself is then a linear layer with the convolution's weight, `[d, c, P, P]`.

mod cpu;

use crate::profile;
use crate::tensor::Tensor;

/// The shape of a group of images of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Images {
    /// How many.
    pub count: usize,
    /// Channels.
    pub channels: usize,
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
}

impl Images {
    /// Rows and columns of the grid of patches.
    pub fn grid(&self, patch_size: usize) -> (usize, usize) {
        (self.height / patch_size, self.width / patch_size)
    }

    /// Shape of the patches, `[images · gh · gw, c P P]`.
    fn patches(&self, patch_size: usize) -> [usize; 2] {
        let (gh, gw) = self.grid(patch_size);
        [self.count * gh * gw, self.channels * patch_size * patch_size]
    }

    /// Values of an image.
    fn values(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// `patches`, on the host, where the loader leaves `pixels`. There is nothing to save.
pub fn forward(pixels: &[f32], images: Images, patch_size: usize) -> Tensor {
    let _timer = profile::time("cut patches", 0, 2 * pixels.len());
    assert_eq!(pixels.len(), images.count * images.values(), "pixels of {images:?}");
    cpu::forward(pixels, images, patch_size)
}

/// `dpixels`. Pixels outside all patches have gradient zero.
pub fn backward(dpatches: &Tensor, images: Images, patch_size: usize) -> Tensor {
    assert_eq!(dpatches.shape(), images.patches(patch_size), "gradient of patches");
    cpu::backward(&dpatches.on_host(), images, patch_size)
}

#[cfg(test)]
mod tests;
