//! An image of the sheet, with the parameters of its crops.

use anyhow::{Context, Result};
use multicrop::augment::CropParameters;
use multicrop::augment::color_jitter::{Adjustment, Jitter};
use multicrop::image::RGB;
use multicrop::loader::{Batch, LoaderConfig, crop_stream};
use multicrop::recipe::Recipe;
use multicrop::{Dataset, Image8};
use serde::Serialize;

/// An image before it is cropped, with the parameters of its crops. Lengths are in pixels.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    /// Index in the source.
    index: usize,
    pub(super) name: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) crops: Vec<CropRecord>,
    #[serde(skip)]
    pub(super) image: Image8,
}

/// The parameters of a crop: its side, its box in the image, and the augmentations.
#[derive(Debug, Serialize)]
pub(super) struct CropRecord {
    pub(super) size: u32,
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    flip: bool,
    flip_vertical: bool,
    /// Against the clock, after the flips.
    quarter_turns: u8,
    jitter: Option<JitterRecord>,
    gray: bool,
    /// Standard deviation in pixels.
    blur: Option<f64>,
    solarize: bool,
}

#[derive(Debug, Serialize)]
struct JitterRecord {
    /// First letters of the adjustments, in the order in which they are applied.
    order: String,
    brightness: f64,
    contrast: f64,
    saturation: f64,
    hue: f64,
}

/// Reads the images of a batch again, and draws the parameters of their crops again.
///
/// # Errors
/// An image cannot be read.
pub(super) fn read(
    dataset: &dyn Dataset,
    recipe: &Recipe,
    config: &LoaderConfig,
    batch: &Batch,
) -> Result<Vec<Sample>> {
    let read = |&index: &usize| {
        let name = dataset.name(index);
        let image = dataset.load(index, &config.decode).with_context(|| name.clone())?;
        let image = image.into_8_bits();
        let (width, height) = (image.width(), image.height());
        let draw = |crop| {
            let mut stream = crop_stream(config.seed, batch.epoch, index, crop);
            CropRecord::new(recipe.draw((width, height), crop, &mut stream), recipe.channels())
        };
        let crops = (0..recipe.crop_count()).map(draw).collect();
        Ok(Sample { index, name, width, height, crops, image })
    };
    batch.indices.iter().map(read).collect()
}

impl CropRecord {
    /// The record of a crop of an image with `channels` channels, without the augmentations that do
    /// nothing to it.
    fn new(parameters: CropParameters, channels: usize) -> Self {
        let CropParameters { size, source, flip, flip_vertical, quarter_turns, .. } = parameters;
        let CropParameters { jitter, grayscale, blur, solarize, .. } = parameters;
        let (left, top, width, height) = (source.left, source.top, source.width, source.height);
        let jitter = jitter.map(|jitter| JitterRecord::new(jitter, channels));
        let (gray, solarize) = (grayscale && channels == RGB, solarize.is_some());
        Self {
            size,
            left,
            top,
            width,
            height,
            flip,
            flip_vertical,
            quarter_turns,
            jitter,
            gray,
            blur,
            solarize,
        }
    }
}

impl JitterRecord {
    fn new(jitter: Jitter, channels: usize) -> Self {
        let changes = |adjustment: &Adjustment| adjustment.changes(channels);
        let letter = |adjustment| match adjustment {
            Adjustment::Brightness => 'b',
            Adjustment::Contrast => 'c',
            Adjustment::Saturation => 's',
            Adjustment::Hue => 'h',
        };
        let order = jitter.order.into_iter().filter(changes).map(letter).collect();
        let Jitter { brightness, contrast, saturation, hue, .. } = jitter;
        Self { order, brightness, contrast, saturation, hue }
    }
}

impl CropRecord {
    /// The text below the crop, word by word.
    pub(super) fn words(&self) -> Vec<String> {
        // Two words, so that the long numbers of a large image fit below each other.
        let mut words =
            vec![format!("{}x{}", self.width, self.height), format!("+{}+{}", self.left, self.top)];
        let mut add = |applies: bool, word: &str| words.extend(applies.then(|| word.to_owned()));
        add(self.flip, "flip");
        add(self.flip_vertical, "vflip");
        add(self.quarter_turns > 0, &format!("turn {}", 90 * u16::from(self.quarter_turns)));
        for letter in self.jitter.iter().flat_map(|jitter| jitter.order.chars()) {
            add(true, &self.adjustment(letter));
        }
        add(self.gray, "gray");
        if let Some(sigma) = self.blur {
            add(true, &format!("blur {sigma:.2}"));
        }
        add(self.solarize, "solarize");
        words
    }

    /// One adjustment of the colors, such as `b1.21` and `h-0.05`.
    fn adjustment(&self, letter: char) -> String {
        let Some(jitter) = &self.jitter else { return String::new() };
        let value = match letter {
            'b' => jitter.brightness,
            'c' => jitter.contrast,
            's' => jitter.saturation,
            _ => return format!("h{:+.2}", jitter.hue),
        };
        format!("{letter}{value:.2}")
    }
}
