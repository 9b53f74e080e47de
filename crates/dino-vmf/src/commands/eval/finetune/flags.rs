//! Flags of training.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use dino::config;
use finetune::{Changes, Mixing, Pooling, Settings};

/// How the network is trained. What no flag gives is that of the recipe.
#[derive(Debug, Args)]
pub(super) struct Training {
    /// Folder for the fine-tuned network, and for what training goes on from
    ///
    /// It gets `model.safetensors` and `best.safetensors`, which other commands open as checkpoints, and
    /// `finetune.json` with the names of the classes.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) out: Option<PathBuf>,
    /// Continue what `--out` holds, if it holds anything
    #[arg(long, requires = "out")]
    pub(super) resume: bool,
    /// Defaults of all settings below
    #[arg(long, value_name = "RECIPE", default_value = "auto")]
    pub(super) recipe: Chosen,
    /// Matmul precision; by default that of the run
    ///
    /// bf16 is faster on CPUs with AMX or AVX512-BF16, and slower on others.
    #[arg(long, value_name = "PRECISION")]
    pub(super) precision: Option<Precision>,
    /// Passes over the training images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    #[arg(allow_negative_numbers = true)]
    epochs: Option<u32>,
    /// Images of a step
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    #[arg(allow_negative_numbers = true)]
    batch_size: Option<u32>,
    /// Parts in which a batch is computed; more need less memory. By default parts of at most 64 images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    #[arg(allow_negative_numbers = true)]
    accumulate: Option<u32>,
    /// Learning rate of the last layer for 256 images
    ///
    /// The highest learning rate is this times the batch size over 256. Earlier layers have smaller ones.
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Learning rate at the start and at the end, whatever the batch size
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    min_lr: Option<f64>,
    /// Epochs in which the learning rate rises
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    warmup_epochs: Option<f64>,
    /// Weight decay of matrices
    #[arg(long, value_name = "DECAY", allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// Factor on the learning rate from one layer to the one before; 1 trains all of them alike
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    layer_decay: Option<f64>,
    /// Probability that the last block drops a residual branch
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    drop_path: Option<f64>,
    /// Limit on the norm of the gradient of all weights together; by default none
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    clip: Option<f64>,
    /// Share of the target that goes to all classes alike
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    label_smoothing: Option<f64>,
    /// Alpha of mixup, 0 for none
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    mixup: Option<f64>,
    /// Alpha of CutMix, 0 for none
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    cutmix: Option<f64>,
    /// Magnitude of RandAugment, from 1 to 10; 0 turns it off
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    rand_augment: Option<f64>,
    /// Strength of color jitter, which RandAugment replaces; 0 turns it off
    #[arg(long, value_name = "STRENGTH", allow_negative_numbers = true)]
    color_jitter: Option<f64>,
    /// Probability of random erasing
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    erasing: Option<f64>,
    /// Smallest area of a random crop, as a fraction of the image
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    smallest_area: Option<f64>,
    /// Probability of a horizontal flip; 0 for digits and letters
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    flip: Option<f64>,
    /// Vector of an image that the linear layer gets: CLS, or the mean of the patches
    #[arg(long, value_name = "VECTOR", default_value = "cls")]
    features: Vector,
    /// Epochs between two looks at the test images
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    #[arg(allow_negative_numbers = true)]
    test_every: u32,
    /// Draws first weights, the order of the images, and all random changes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// A recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Chosen {
    /// By the number of training images and the size of the network
    Auto,
    /// Below 10,000 images or a width of 192: 100 epochs of batches of 32, mixup, CutMix, large crops, color jitter
    Mild,
    /// From 10,000 images on: 100 epochs of batches of 128, with all of iBOT's changes of images
    Strong,
    /// From 100,000 images on: iBOT's for ImageNet, batches of 1024, 200, 100 or 50 epochs by the size of the network
    Imagenet,
}

/// What operands of matmuls are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Precision {
    /// 24 bits: not rounded
    F32,
    /// 8 bits
    Bf16,
}

impl From<Precision> for config::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// The vector of an image that is classified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Vector {
    /// The CLS token
    Cls,
    /// The mean of the patch tokens
    Mean,
}

impl Training {
    /// The settings of a recipe, with those that flags give.
    pub(super) fn over(&self, recipe: Settings) -> Settings {
        let whole = |given: Option<u32>, usual: usize| given.map_or(usual, |given| given as usize);
        let epochs = self.epochs.map_or(recipe.epochs, u64::from);
        // A shorter training has a shorter warm-up.
        let shorter = (epochs as f64 / recipe.epochs as f64).min(1.0);
        let settings = Settings {
            epochs,
            batch_size: whole(self.batch_size, recipe.batch_size),
            accumulate: whole(self.accumulate, recipe.accumulate),
            lr: self.lr.unwrap_or(recipe.lr),
            min_lr: self.min_lr.unwrap_or(recipe.min_lr),
            warmup_epochs: self.warmup_epochs.unwrap_or(shorter * recipe.warmup_epochs),
            weight_decay: self.weight_decay.unwrap_or(recipe.weight_decay),
            layer_decay: self.layer_decay.unwrap_or(recipe.layer_decay),
            drop_path: self.drop_path.unwrap_or(recipe.drop_path),
            clip: self.clip.or(recipe.clip),
            label_smoothing: self.label_smoothing.unwrap_or(recipe.label_smoothing),
            mixing: Mixing {
                mixup: self.mixup.unwrap_or(recipe.mixing.mixup),
                cutmix: self.cutmix.unwrap_or(recipe.mixing.cutmix),
            },
            changes: self.changes(recipe.changes),
            pooling: match self.features {
                Vector::Cls => Pooling::Cls,
                Vector::Mean => Pooling::Mean,
            },
            test_every: u64::from(self.test_every),
            seed: self.seed,
        };
        settings.with_parts()
    }

    fn changes(&self, recipe: Changes) -> Changes {
        let magnitude = self.rand_augment.or(recipe.rand_augment);
        Changes {
            smallest_area: self.smallest_area.unwrap_or(recipe.smallest_area),
            flip: self.flip.unwrap_or(recipe.flip),
            rand_augment: magnitude.filter(|&magnitude| magnitude != 0.0),
            color_jitter: self.color_jitter.unwrap_or(recipe.color_jitter),
            erasing: self.erasing.unwrap_or(recipe.erasing),
        }
    }
}
