//! A frame as the input of the network, and its patch tokens.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use dino::memory;
use dino::open::Opened;
use engine::ops::patch_embed::Images;
use multicrop::augment::normalize;
use multicrop::{Image8, decode};
use probe::pooling::bilinear;
use probe::propagation::Grid;
use probe::{Encoder, Kind, Source};
use vit::Crops;

use super::super::super::image_memory::of_image;

/// The longer side is rounded down to a multiple of this.
const MULTIPLE: u64 = 64;
/// Standard deviation of the channels in the official code of DINO for videos. Its code for images, and the training,
/// have 0.229 for red.
const STD: [f32; 3] = [0.228, 0.224, 0.225];

/// Shows frames to a network.
pub(super) struct View<'a> {
    opened: &'a Opened,
    short_side: u32,
    mean: Vec<f32>,
    std: Vec<f32>,
    decode: decode::Options,
}

impl<'a> View<'a> {
    pub(super) fn new(opened: &'a Opened, short_side: u32) -> Self {
        let data = &opened.config.data;
        let [mean, std] = [data.mean(), data.std()]
            .map(|values| values.iter().map(|value| *value as f32).collect::<Vec<_>>());
        let usual = mean == normalize::IMAGENET_MEAN && std == normalize::IMAGENET_STD;
        let std = if usual { STD.to_vec() } else { std };
        // Masks belong to the pixels as they are stored, in full size.
        let decode =
            decode::Options { reduced_for: None, orientation: false, ..data.decode_options() };
        Self { opened, short_side, mean, std, decode }
    }

    /// The standard deviation of each channel by which inputs are divided.
    pub(super) fn std(&self) -> &[f32] {
        &self.std
    }

    /// Width and height of the input for frames of a size.
    fn size(&self, frame: (u32, u32)) -> (u32, u32) {
        input_size(frame, self.short_side)
    }

    /// Rows and columns of patches of frames of a size.
    pub(super) fn grid(&self, size: (u32, u32)) -> Grid {
        let ((width, height), patch) = (self.size(size), self.patch_size());
        Grid { rows: height as usize / patch, columns: width as usize / patch }
    }

    /// Side of a patch in pixels.
    pub(super) fn patch_size(&self) -> usize {
        self.opened.network.backbone.shape().patch_size
    }

    /// Refuses frames that have no patch, or need more memory than there is for their attention and for the tokens of
    /// `stored` frames.
    ///
    /// # Errors
    /// As said.
    pub(super) fn require(&self, size: (u32, u32), stored: usize) -> Result<()> {
        let Grid { rows, columns } = self.grid(size);
        let (width, height) = self.size(size);
        let patch = self.patch_size();
        ensure!(
            rows > 0 && columns > 0,
            "`--short-side {}` makes frames of {width} x {height} pixels, less than a patch of {patch}: give more",
            self.short_side
        );
        let (channels, height, width) = (self.mean.len(), height as usize, width as usize);
        let images = Images { count: 1, channels, height, width };
        let embed_dim = self.opened.network.backbone.shape().embed_dim;
        let stored = 4.0 * (stored * rows * columns * embed_dim) as f64;
        let bytes = of_image(self.opened, &images) + stored;
        let what = format!("a frame of {width} x {height} pixels");
        Ok(memory::require_bytes(what, bytes, "try a smaller `--short-side`")?)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// It cannot be read, or is not of this size.
    pub(super) fn read(&self, path: &Path, size: (u32, u32)) -> Result<Image8> {
        let name = || format!("cannot read the frame `{}`", path.display());
        let bytes = fs::read(path).with_context(name)?;
        let image = decode::decode(&bytes, &self.decode).with_context(name)?;
        let found = (image.width(), image.height());
        ensure!(found == size, "`{}` has other pixels than its first bytes say", path.display());
        Ok(image)
    }

    /// The patch tokens of a frame after the final norm, `[patches, d]`.
    pub(super) fn tokens(&self, image: &Image8) -> Vec<f32> {
        let (width, height) = self.size((image.width(), image.height()));
        let (pixels, images) = self.input(image, height as usize, width as usize);
        let Opened { network, teacher, .. } = self.opened;
        let encoder = Encoder { name: "trained", network, params: teacher };
        let mut tokens = Vec::new();
        let crops = Crops::new(&pixels, images);
        encoder.infer(&crops, &[Kind::Patches], &mut |_, rows| tokens.extend_from_slice(rows));
        tokens
    }

    /// The normalized input, `[channels, height, width]`: bytes are resized without a filter and rounded to bytes, as
    /// by the official code.
    fn input(&self, image: &Image8, height: usize, width: usize) -> (Vec<f32>, Images) {
        let (channels, area) = (image.channels(), (image.width() * image.height()) as usize);
        let mut planes = vec![0.0f32; channels * area];
        for (i, pixel) in image.pixels().chunks_exact(channels).enumerate() {
            pixel.iter().enumerate().for_each(|(c, x)| planes[c * area + i] = f32::from(*x));
        }
        let (from_height, from_width) = (image.height() as usize, image.width() as usize);
        let from = Images { count: 1, channels, height: from_height, width: from_width };
        let scale = [height as f64 / from_height as f64, width as f64 / from_width as f64];
        let mut pixels = bilinear(&planes, &from, (height, width), scale);
        let normalizers = self.mean.iter().zip(&self.std);
        for (plane, (mean, std)) in pixels.chunks_exact_mut(height * width).zip(normalizers) {
            plane.iter_mut().for_each(|x| *x = (x.round() / 255.0 - mean) / std);
        }
        (pixels, Images { height, width, ..from })
    }
}

/// Width and height of the input for frames of a width and height.
///
/// ```text
/// short side = S,  long side = 64 ⌊S long / (64 short)⌋
/// ```
///
/// The width of a square frame is its long side, as in the official code, which gives its masks another size by mistake.
fn input_size((width, height): (u32, u32), short_side: u32) -> (u32, u32) {
    let long = |long: u32, short: u32| {
        let exact = u64::from(short_side) * u64::from(long) / u64::from(short);
        u32::try_from(exact / MULTIPLE * MULTIPLE).unwrap_or(u32::MAX)
    };
    if height > width {
        (short_side, long(height, width))
    } else {
        (long(width, height), short_side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sides_are_multiples_of_64() {
        assert_eq!(input_size((854, 480), 480), (832, 480));
        assert_eq!(input_size((1920, 1080), 480), (832, 480));
        assert_eq!(input_size((480, 854), 480), (480, 832));
        assert_eq!(input_size((910, 480), 480), (896, 480));
        assert_eq!(input_size((500, 500), 480), (448, 480));
        assert_eq!(input_size((u32::MAX, 1), 8192).0, u32::MAX);
    }
}
