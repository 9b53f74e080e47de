//! Vectors of whole images of any shape.

use anyhow::{Result, ensure};
use clap::ValueEnum;
use dino::memory;
use dino::open::Opened;
use engine::ops::patch_embed::Images;
use multicrop::augment::normalize;
use multicrop::image::Rect;
use multicrop::resize::crop_resize;
use multicrop::{Image8, decode};
use probe::pooling::{gem, scaled};
use probe::{Encoder, Kind, Matrix, Progress, Source, Subset};
use report::number::counted;
use vit::Crops;

use super::super::image_memory::require_image;

/// The vector of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Pooling {
    /// The CLS token
    Cls,
    /// The generalized mean of the patch tokens
    Gem,
    /// Both, one after the other
    #[value(name = "cls+gem")]
    ClsAndGem,
}

/// The size of an image before it is scaled, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// The longest side at most; the aspect is kept.
    Longest(u32),
    /// Both sides.
    Square(u32),
}

/// Makes vectors of images.
pub(super) struct Vectors<'a> {
    pub(super) opened: &'a Opened,
    pub(super) size: Size,
    /// Scales whose vectors are averaged.
    pub(super) factors: &'a [f64],
    pub(super) pooling: Pooling,
    /// Exponent of the generalized mean.
    pub(super) p: f64,
}

impl Pooling {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Cls => "[CLS]",
            Self::Gem => "GeM of the patches",
            Self::ClsAndGem => "[CLS] and GeM of the patches",
        }
    }
}

impl Vectors<'_> {
    /// Vectors of all images, which are cut to their boxes first where there is one. Their length is not scaled.
    ///
    /// # Errors
    /// An image that cannot be read, or has a feature that is not finite; a box outside its image.
    pub(super) fn of_all(
        &self,
        images: &Subset,
        boxes: &[Option<[f64; 4]>],
        progress: &mut Progress<'_>,
    ) -> Result<Matrix> {
        // Training may decode JPEGs in a reduced size, which is too small here.
        let decode =
            decode::Options { reduced_for: None, ..self.opened.config.data.decode_options() };
        let mut rows = Matrix::with_capacity(images.len(), self.width());
        for (number, &index) in images.indices().iter().enumerate() {
            let image = images.load(index, &decode)?.into_8_bits();
            let name = || images.dataset().name(index);
            let part = match boxes.get(number).copied().flatten() {
                None => Some(Rect::whole(&image)),
                Some(corners) => inside(&image, corners),
            };
            let Some(part) = part else {
                anyhow::bail!("the box of query `{}` lies outside the image", name());
            };
            let row = self.of(&image, part);
            ensure!(
                row.iter().all(|x| x.is_finite()),
                "the features of `{}` are not finite",
                name()
            );
            rows.push(&row, row.len());
            progress.advance(1)?;
        }
        Ok(rows)
    }

    /// The mean of the vectors of all scales.
    fn of(&self, image: &Image8, part: Rect) -> Vec<f32> {
        let (width, height) = match self.size {
            Size::Longest(size) => thumbnail((part.width, part.height), size),
            Size::Square(side) => (side, side),
        };
        let image = crop_resize(image, part, width, height);
        let data = &self.opened.config.data;
        let [mean, std] = [data.mean(), data.std()]
            .map(|values| values.iter().map(|value| *value as f32).collect::<Vec<_>>());
        let (height, width) = (height as usize, width as usize);
        let images = Images { count: 1, channels: image.channels(), height, width };
        let mut pixels = vec![0.0f32; images.channels * height * width];
        normalize::apply(&image, mean, std, &mut pixels);
        let patch = self.opened.network.backbone.shape().patch_size;
        let mut sums: Vec<f32> = Vec::new();
        for factor in self.factors {
            let (pixels, images) = scaled(&pixels, &images, *factor, patch);
            let vector = self.vector(&Crops::new(&pixels, images));
            match sums.is_empty() {
                true => sums = vector,
                false => sums.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x),
            }
        }
        sums
    }

    fn vector(&self, crops: &Crops<'_>) -> Vec<f32> {
        let Opened { network, teacher, .. } = self.opened;
        let encoder = Encoder { name: "trained", network, params: teacher };
        let kinds: &[Kind] = match self.pooling {
            Pooling::Cls => &[Kind::Cls],
            Pooling::Gem => &[Kind::Patches],
            Pooling::ClsAndGem => &[Kind::Cls, Kind::Patches],
        };
        let d = network.backbone.shape().embed_dim;
        let mut vector = Vec::new();
        encoder.infer(crops, kinds, &mut |kind, rows| match kinds[kind] {
            Kind::Patches => vector.extend(gem(rows, d, self.p)),
            _ => vector.extend_from_slice(rows),
        });
        vector
    }

    /// Refuses images for which there is too little memory: one at a time in the network, the vectors of `images`
    /// images, and `more` bytes beside them.
    ///
    /// # Errors
    /// There is too little memory.
    pub(super) fn require_memory(&self, images: usize, more: usize) -> Result<()> {
        let (Size::Longest(side) | Size::Square(side)) = self.size;
        let side = side as usize;
        let image = Images { count: 1, channels: 3, height: side, width: side };
        require_image(self.opened, &image, "try a smaller `--size`")?;
        // Each thread ranks all images for a query: a cosine and a place.
        let threads = rayon::current_num_threads();
        let bytes = 4 * images * self.width() + 12 * threads * images + more;
        let what = format!("vectors of {}", counted(images, "image"));
        Ok(memory::require_bytes(what, bytes as f64, "try fewer images, or another `--pooling`")?)
    }

    /// Values in a vector.
    pub(super) fn width(&self) -> usize {
        let parts = if self.pooling == Pooling::ClsAndGem { 2 } else { 1 };
        parts * self.opened.network.backbone.shape().embed_dim
    }
}

/// Width and height of an image whose longest side is at most `size`, with the aspect kept as well as whole pixels can.
fn thumbnail((width, height): (u32, u32), size: u32) -> (u32, u32) {
    if width.max(height) <= size {
        return (width, height);
    }
    let other = |long: u32, short: u32| {
        let exact = f64::from(size) * f64::from(short) / f64::from(long);
        let aspect = f64::from(long) / f64::from(short);
        let error = |side: f64| (aspect - f64::from(size) / side.max(1.0)).abs();
        let (low, high) = (exact.floor(), exact.ceil());
        (if error(low) <= error(high) { low } else { high }).max(1.0) as u32
    };
    if width >= height { (size, other(width, height)) } else { (other(height, width), size) }
}

/// The part of the image in a box `[left, top, right, bottom]`; `None` if there is none.
fn inside(image: &Image8, corners: [f64; 4]) -> Option<Rect> {
    let side = |from: f64, to: f64, len: u32| {
        let [from, to] =
            [from, to].map(|at| at.round_ties_even().clamp(0.0, f64::from(len)) as u32);
        (to > from).then(|| (from, to - from))
    };
    let (left, width) = side(corners[0], corners[2], image.width())?;
    let (top, height) = side(corners[1], corners[3], image.height())?;
    Some(Rect { left, top, width, height })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_keep_the_aspect_and_never_grow() {
        assert_eq!(thumbnail((1024, 768), 512), (512, 384));
        assert_eq!(thumbnail((768, 1024), 512), (384, 512));
        assert_eq!(thumbnail((300, 200), 512), (300, 200));
        assert_eq!(thumbnail((10_000, 3), 512), (512, 1));
    }

    #[test]
    fn boxes_are_cut_to_the_image() {
        let image = Image8::filled(20, 10, &[0; 3]);
        let found = inside(&image, [2.4, -3.0, 30.0, 5.6]).unwrap();
        assert_eq!(found, Rect { left: 2, top: 0, width: 18, height: 6 });
        assert_eq!(inside(&image, [20.0, 0.0, 30.0, 5.0]), None);
    }
}
