//! [`Shapes`]: a procedural, labelled data set that is built into the program.
//!
//! It has ten classes: two outlines (disk, star) times five textures (plain, stripes, checks, dots,
//! rings), in images of 64 × 64 pixels. Colors, position, size, rotation, the period and phase of
//! the texture, the background and its clutter are random and independent of the class. So single
//! pixels say little about the class, while outline and texture survive crops, flips and color
//! changes.

use streams::{Key, Purpose};

use super::{Dataset, Sample, Split};
use crate::error::SampleError;
use crate::image::Image8;

mod draw;
mod scene;
#[cfg(test)]
mod tests;

use scene::{Outline, Scene, Texture};

/// Side of an image in pixels.
const SIDE: usize = 64;
const OUTLINES: [(Outline, &str); 2] = [(Outline::Disk, "disk"), (Outline::Star, "star")];
const TEXTURES: [(Texture, &str); 5] = [
    (Texture::Plain, "plain"),
    (Texture::Stripes, "striped"),
    (Texture::Checks, "checked"),
    (Texture::Dots, "dotted"),
    (Texture::Rings, "ringed"),
];

/// The built-in data set. Image `i` has class `i % 10` and is a pure function of the split and `i`.
pub struct Shapes {
    split: Split,
    len: usize,
    classes: Vec<String>,
}

impl Shapes {
    /// 10,000 training images, or 2,000 different test images.
    pub fn new(split: Split) -> Self {
        let len = match split {
            Split::Train => 10_000,
            Split::Test | Split::Val => 2_000,
        };
        let name =
            |(_, outline): &(_, &str)| TEXTURES.map(|(_, texture)| format!("{texture} {outline}"));
        Self { split, len, classes: OUTLINES.iter().flat_map(name).collect() }
    }

    /// The class of an image: all classes in turn.
    fn class(&self, index: usize) -> usize {
        assert!(index < self.len, "image {index} of {}", self.len);
        index % self.classes.len()
    }
}

impl Dataset for Shapes {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, index: usize) -> Result<Sample<'_>, SampleError> {
        let class = self.class(index);
        let outline = OUTLINES[class / TEXTURES.len()].0;
        let texture = TEXTURES[class % TEXTURES.len()].0;
        // the epoch field of the key separates the splits
        let key = Key::new(0, Purpose::Synthetic).epoch(self.split as u64).index(index as u64);
        let mut rng = key.open();
        let scene = Scene::sample(outline, texture, &mut rng);
        let image = Image8::new(SIDE as u32, SIDE as u32, draw::draw(&scene, &mut rng));
        image.map(Sample::Pixels).ok_or(SampleError::Empty)
    }

    fn label(&self, index: usize) -> Option<u32> {
        Some(self.class(index) as u32)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        format!("shapes:{}, image {index}", self.split)
    }

    fn describe(&self) -> String {
        format!("shapes:{}", self.split)
    }
}
