//! A small network and images for it, for tests of whole networks.

use engine::ops::patch_embed::Images;
use rand::RngExt;
use streams::{Key, Purpose};
use vit::{Crops, HeadShape, Network, VitShape};

/// Two narrow blocks for images of 12 pixels, with a mask token.
pub fn shape() -> VitShape {
    VitShape {
        embed_dim: 24,
        depth: 2,
        heads: 2,
        mlp_hidden: 20,
        patch_size: 4,
        image_size: 12,
        masked: true,
        ..VitShape::default()
    }
}

/// That backbone and a head.
pub fn network(vit: &VitShape) -> Network {
    let head = HeadShape {
        embed_dim: vit.embed_dim,
        hidden_dim: 20,
        bottleneck_dim: 8,
        prototypes: 5,
        precision: vit.precision,
        ..HeadShape::default()
    };
    Network::new(vit, &head)
}

/// Values between -1 and 1.
pub fn noise(seed: u64, len: usize, index: u64) -> Vec<f32> {
    let mut rng = Key::new(seed, Purpose::Bench).index(index).open();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Two images of 12 pixels, some of their patches masked, and three of 8.
pub struct Noise {
    large: Vec<f32>,
    small: Vec<f32>,
    mask: Vec<bool>,
}

impl Noise {
    pub fn new(seed: u64) -> Self {
        let (large, small) = (noise(seed, 2 * 3 * 12 * 12, 0), noise(seed, 3 * 3 * 8 * 8, 1));
        Self { large, small, mask: (0..2 * 9).map(|i| i % 4 == 0).collect() }
    }

    pub fn crops(&self) -> [Crops<'_>; 2] {
        let images = |count, side| Images { count, channels: 3, height: side, width: side };
        let mut crops =
            [Crops::new(&self.large, images(2, 12)), Crops::new(&self.small, images(3, 8))];
        crops[0].mask = Some(&self.mask);
        crops
    }
}
