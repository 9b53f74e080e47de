//! [`Settings`] say how a network is fine-tuned, and [`Recipe`] chooses them by the number of images.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::mixing::Mixing;
use crate::network::Pooling;
use crate::view::Changes;

/// Images of a part of a batch by default, at most: larger parts need more memory and are not faster.
const MICRO_BATCH: usize = 64;

/// Networks narrower than this, ViT-Ti's width, are small.
const SMALL: usize = 192;

/// The changes of images in iBOT's fine-tuning.
const STRONG: Changes = Changes {
    smallest_area: 0.08,
    flip: 0.5,
    rand_augment: Some(9.0),
    color_jitter: 0.4,
    erasing: 0.25,
};

/// How a network is fine-tuned. A run that is continued must have the same ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Passes over the training images.
    pub epochs: u64,
    /// Images of a step.
    pub batch_size: usize,
    /// Parts in which a batch is computed.
    pub accumulate: usize,
    /// Peak learning rate of the last layer, for 256 images; it is multiplied by `batch_size / 256`.
    pub lr: f64,
    /// Learning rate at the start of the warm-up and at the end, not multiplied.
    pub min_lr: f64,
    /// Epochs in which the learning rate rises.
    pub warmup_epochs: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Factor on the learning rate from one layer to the one before it.
    pub layer_decay: f64,
    /// Probability that the last block drops a residual branch.
    pub drop_path: f64,
    /// Limit on the norm of the gradient of all parameters together.
    pub clip: Option<f64>,
    /// Share of the target that goes to all classes alike.
    pub label_smoothing: f64,
    /// Which images of a batch are mixed.
    pub mixing: Mixing,
    /// Random changes of training images.
    pub changes: Changes,
    /// Which vector of an image is classified.
    pub pooling: Pooling,
    /// Epochs between two looks at the test images; the last epoch is followed by one in any case.
    pub test_every: u64,
    /// Seed of the first weights, the order of the images, and all random changes.
    pub seed: u64,
}

/// A set of settings that fits a number of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipe {
    /// Below 10,000 images, or with a small network: it does not learn what strong changes leave of an image.
    Mild,
    /// From 10,000 images on.
    Strong,
    /// From 100,000 images on.
    Imagenet,
}

impl Recipe {
    /// The recipe for this number of training images and a backbone of this width.
    pub fn of(images: usize, embed_dim: usize) -> Self {
        match images {
            _ if embed_dim < SMALL => Self::Mild,
            0..10_000 => Self::Mild,
            10_000..100_000 => Self::Strong,
            _ => Self::Imagenet,
        }
    }

    /// The settings for this number of images and a backbone of this width.
    pub fn settings(self, images: usize, embed_dim: usize) -> Settings {
        let (epochs, drop_path, layer_decay) = match embed_dim {
            ..=384 => (200, 0.1, 0.75),
            385..=768 => (100, 0.2, 0.65),
            _ => (50, 0.4, 0.75),
        };
        let imagenet = Settings {
            epochs,
            batch_size: 1024,
            accumulate: 0,
            lr: 1e-3,
            min_lr: 1e-6,
            warmup_epochs: 20.0,
            weight_decay: 0.05,
            layer_decay,
            drop_path,
            clip: None,
            label_smoothing: 0.1,
            mixing: Mixing { mixup: 0.8, cutmix: 1.0 },
            changes: STRONG,
            pooling: Pooling::Cls,
            test_every: 1,
            seed: 0,
        };
        match self {
            Self::Imagenet => imagenet,
            Self::Strong => {
                Settings { epochs: 100, batch_size: 128, warmup_epochs: 5.0, ..imagenet }
            }
            Self::Mild => Settings {
                epochs: 100,
                batch_size: 32.min(images.max(1)),
                lr: 4e-3,
                warmup_epochs: 5.0,
                drop_path: 0.1,
                changes: Changes {
                    smallest_area: 0.35,
                    rand_augment: None,
                    erasing: 0.0,
                    ..STRONG
                },
                ..imagenet
            },
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mild => "mild changes, for few images or a small network",
            Self::Strong => "strong changes, for 10,000 images and more",
            Self::Imagenet => "iBOT's for ImageNet",
        })
    }
}

impl Settings {
    /// Steps of an epoch of this number of images: whole batches.
    pub fn steps_per_epoch(&self, images: usize) -> u64 {
        (images / self.batch_size.max(1)) as u64
    }

    /// Sets the number of parts by the size of the batch, unless somebody has set it.
    #[must_use]
    pub fn with_parts(self) -> Self {
        let batch = self.batch_size;
        let fits = |parts: &usize| batch.is_multiple_of(*parts) && batch / parts <= MICRO_BATCH;
        let parts = (1..=batch).find(fits).unwrap_or(1);
        Self { accumulate: if self.accumulate == 0 { parts } else { self.accumulate }, ..self }
    }

    /// Checks all settings for this number of training images.
    ///
    /// # Errors
    /// The first setting outside its range; fewer images than a batch has.
    pub fn validate(&self, images: usize) -> Result<()> {
        self.validate_changes()?;
        let shares = [("label smoothing", self.label_smoothing), ("drop path", self.drop_path)];
        for (name, share) in shares {
            check(name, share, (0.0..=1.0).contains(&share), "lie in [0, 1]")?;
        }
        check("drop path", self.drop_path, self.drop_path < 1.0, "be below 1")?;
        let rates = [("the learning rate", self.lr), ("layer-wise decay", self.layer_decay)];
        for (name, rate) in rates {
            check(name, rate, rate > 0.0 && rate <= 1e3, "lie above 0 and be at most 1000")?;
        }
        let amounts = [
            ("the smallest learning rate", self.min_lr),
            ("weight decay", self.weight_decay),
            ("the epochs of the warm-up", self.warmup_epochs),
            ("α of mixup", self.mixing.mixup),
            ("α of CutMix", self.mixing.cutmix),
        ];
        for (name, amount) in amounts {
            check(name, amount, (0.0..=1e6).contains(&amount), "be 0 or more")?;
        }
        if let Some(clip) = self.clip {
            check("the limit on the gradient", clip, clip > 0.0 && clip.is_finite(), "be above 0")?;
        }
        let (batch_size, parts) = (self.batch_size, self.accumulate);
        let divides = parts > 0 && batch_size.is_multiple_of(parts);
        check("the number of parts", parts as f64, divides, "divide the batch size")?;
        if self.steps_per_epoch(images) == 0 {
            return Err(Error::TooFewImages { images, batch_size });
        }
        Ok(())
    }

    fn validate_changes(&self) -> Result<()> {
        let Changes { smallest_area, flip, rand_augment, color_jitter, erasing } = self.changes;
        let shares = [("the probability of a flip", flip), ("the probability of erasing", erasing)];
        for (name, share) in shares {
            check(name, share, (0.0..=1.0).contains(&share), "lie in [0, 1]")?;
        }
        let valid = (1e-6..=1.0).contains(&smallest_area);
        check("the smallest area", smallest_area, valid, "lie above 0 and be at most 1")?;
        check(
            "color jitter",
            color_jitter,
            (0.0..=100.0).contains(&color_jitter),
            "lie in [0, 100]",
        )?;
        let magnitude = rand_augment.unwrap_or(0.0);
        let valid = (0.0..=10.0).contains(&magnitude);
        check("the magnitude of RandAugment", magnitude, valid, "lie in [0, 10]")
    }
}

fn check(name: &'static str, found: f64, valid: bool, needed: &'static str) -> Result<()> {
    if valid { Ok(()) } else { Err(Error::Setting { name, found: found.to_string(), needed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_follow_the_number_of_images_and_the_width() {
        assert_eq!(
            [9_999, 10_000, 99_999, 100_000].map(|images| Recipe::of(images, 192)),
            [Recipe::Mild, Recipe::Strong, Recipe::Strong, Recipe::Imagenet]
        );
        assert_eq!(Recipe::of(1_000_000, 191), Recipe::Mild);
        let many = |width| Recipe::Imagenet.settings(1_000_000, width);
        let of = |width| (many(width).epochs, many(width).drop_path, many(width).layer_decay);
        assert_eq!([384, 768, 1024].map(of), [(200, 0.1, 0.75), (100, 0.2, 0.65), (50, 0.4, 0.75)]);
        // iBOT's rate of 4e-3 for batches of 1024
        assert_eq!(many(768).lr * 1024.0 / 256.0, 4e-3);
        assert_eq!(Recipe::Mild.settings(7, 384).batch_size, 7);
    }

    #[test]
    fn a_batch_has_parts_of_at_most_64_images_of_equal_size() {
        let parts = |batch_size, accumulate| {
            let settings =
                Settings { batch_size, accumulate, ..Recipe::Strong.settings(1000, 384) };
            settings.with_parts().accumulate
        };
        assert_eq!(
            [(64, 0), (128, 0), (1024, 0), (67, 0), (96, 3)].map(|(b, a)| parts(b, a)),
            [1, 2, 16, 67, 3]
        );
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let error = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Recipe::Mild.settings(100, 384).with_parts();
            change(&mut settings);
            settings.validate(100).map_err(|error| error.to_string()).expect_err("an error")
        };
        assert!(error(&|s| s.label_smoothing = 1.5).contains("label smoothing is 1.5"));
        assert!(error(&|s| s.drop_path = 1.0).contains("be below 1"));
        assert!(error(&|s| s.lr = f64::NAN).contains("the learning rate is NaN"));
        assert!(error(&|s| s.lr = 0.0).contains("lie above 0"));
        assert!(error(&|s| s.mixing.mixup = -1.0).contains("α of mixup is -1"));
        assert!(error(&|s| s.clip = Some(0.0)).contains("be above 0"));
        assert!(error(&|s| s.changes.rand_augment = Some(11.0)).contains("lie in [0, 10]"));
        assert!(error(&|s| s.accumulate = 3).contains("divide the batch size"));
        assert!(error(&|s| s.batch_size = 200).contains("100 training images"));
    }
}
