//! Images and how they are cropped: the recipe of DINO by default.

use multicrop::recipe::GLOBAL_CROPS;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::model::{MAX_SIDE, check_multiple};
use crate::error::Result;

/// Most channels of an image: more than any camera's bands.
pub(super) const MAX_CHANNELS: usize = 1024;

/// Most local crops of an image.
const MAX_LOCAL_CROPS: u64 = 1000;
/// Largest strength of a change of colors: from black to a hundred times as bright.
const MAX_JITTER: f64 = 100.0;

/// Section `[data]`. Two global crops and `local_crops` local ones are cut from every image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// `shapes`, `shapes:train`, `shapes:test`, or the path of a folder, an archive or a file.
    pub source: String,
    /// Parquet column that holds the images. Set it where a file has several columns of binary data and
    /// the wrong one is taken; none: found from the first rows.
    pub image_column: Option<String>,
    /// Column of a list or parquet file that holds the labels. Set it where the labels have an unusual
    /// name; none: a column with a usual name, such as `label` or `class`.
    pub label_column: Option<String>,
    /// Extension of the image to take where a WebDataset key has several, such as `jpg` beside
    /// `seg.png`; none: one image for each key.
    pub image_extension: Option<String>,
    /// Side of the two global crops in pixels.
    pub global_size: usize,
    /// Side of the local crops in pixels.
    pub local_size: usize,
    /// Number of local crops; 0 is allowed.
    pub local_crops: usize,
    /// Area of a global crop as a fraction of the image's, drawn between the two.
    pub global_scale: [f64; 2],
    /// Area of a local crop as a fraction of the image's, drawn between the two.
    pub local_scale: [f64; 2],
    /// Width over height of a crop before it is resized, drawn between the two.
    pub aspect: [f64; 2],
    /// Probability of a horizontal flip.
    pub flip_p: f64,
    /// Probability of color jitter.
    pub jitter_p: f64,
    /// Strength of the jitter of brightness.
    pub brightness: f64,
    /// Strength of the jitter of contrast.
    pub contrast: f64,
    /// Strength of the jitter of saturation.
    pub saturation: f64,
    /// Strength of the jitter of hue, at most 0.5.
    pub hue: f64,
    /// Probability of turning a crop gray.
    pub grayscale_p: f64,
    /// Probability of blurring the first global crop.
    pub blur_p_first: f64,
    /// Probability of blurring the second global crop.
    pub blur_p_second: f64,
    /// Probability of blurring a local crop.
    pub blur_p_local: f64,
    /// Radius of the blur in pixels of the crop, drawn between the two.
    pub blur_radius: [f64; 2],
    /// Probability of solarizing the second global crop.
    pub solarize_p: f64,
    /// Values from this one on are inverted when a crop is solarized.
    pub solarize_threshold: u32,
    /// Channels of the images and of the network's input: 3 are red, green and blue, 1 is gray, 4 are
    /// those with alpha; of any other number images must have exactly as many. What is defined for
    /// colors alone is left out where there are none.
    pub channels: usize,
    /// Mean of each channel, for values in [0, 1]; ImageNet's for 3 channels, else 0.5.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, for values in [0, 1]; ImageNet's for 3 channels, else 0.5.
    pub std: Vec<f64>,
    /// Turn images as their EXIF tag says, which the reference does not.
    pub orientation: bool,
    /// Decode JPEGs at a half, a quarter or an eighth of their size as long as the shorter side keeps
    /// this many pixels; none: at full size, as the reference does.
    pub reduced_for: Option<u32>,
    /// Most pixels of an image; larger ones count as bad images. The default, 178956970, is where Pillow
    /// refuses an image. A worker needs 3 bytes for each pixel (200 megapixels: 0.6 GiB), twice that for
    /// progressive JPEGs and turned images; `data.reduced_for` reads larger photographs with little memory.
    pub max_pixels: u64,
    /// Stop at the first unreadable image, which is otherwise counted and replaced.
    pub strict: bool,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            source: "shapes".to_owned(),
            image_column: None,
            label_column: None,
            image_extension: None,
            global_size: 224,
            local_size: 96,
            local_crops: 8,
            global_scale: [0.4, 1.0],
            local_scale: [0.05, 0.4],
            aspect: [3.0 / 4.0, 4.0 / 3.0],
            flip_p: 0.5,
            jitter_p: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.2,
            hue: 0.1,
            grayscale_p: 0.2,
            blur_p_first: 1.0,
            blur_p_second: 0.1,
            blur_p_local: 0.5,
            blur_radius: [0.1, 2.0],
            solarize_p: 0.2,
            solarize_threshold: 128,
            channels: 3,
            mean: Self::normalization(3).0,
            std: Self::normalization(3).1,
            orientation: true,
            reduced_for: None,
            max_pixels: multicrop::decode::MAX_PIXELS,
            strict: false,
        }
    }
}

impl Data {
    /// Mean and standard deviation of so many channels, unless they are given.
    pub(super) fn normalization(channels: usize) -> (Vec<f64>, Vec<f64>) {
        match channels {
            3 => (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
            _ => (vec![0.5; channels], vec![0.5; channels]),
        }
    }

    /// Crops of one image: two global ones and the local ones.
    pub fn crops(&self) -> usize {
        GLOBAL_CROPS + self.local_crops
    }

    pub(super) fn check(&self, check: &Check<'_>, patch_size: usize) -> Result<()> {
        let source = format!("{:?}", self.source);
        check.require(!self.source.is_empty(), "data.source", source, "name a source")?;
        check_multiple(check, "data.global_size", self.global_size, patch_size)?;
        check.at_most("data.local_crops", self.local_crops as u64, MAX_LOCAL_CROPS)?;
        if self.local_crops == 0 {
            // Nothing is cut of this size, but it is written down and read again.
            check.count("data.local_size", self.local_size, MAX_SIDE)?;
        } else {
            check_multiple(check, "data.local_size", self.local_size, patch_size)?;
        }
        let scales =
            [("data.global_scale", self.global_scale), ("data.local_scale", self.local_scale)];
        for (key, scale) in scales {
            let found = format!("{scale:?}");
            check.require(scale[1] <= 1.0, key, found, "be at most 1, the whole image")?;
            check.range(key, scale, [1e-6, 1.0])?;
        }
        if let Some(pixels) = self.reduced_for {
            check.count("data.reduced_for", pixels as usize, 1 << 20)?;
        }
        let max_pixels = usize::try_from(self.max_pixels).unwrap_or(usize::MAX);
        check.count("data.max_pixels", max_pixels, 1 << 32)?;
        check.range("data.aspect", self.aspect, [1e-3, 1e3])?;
        check.range("data.blur_radius", self.blur_radius, [1e-6, 1e3])?;
        let probabilities = [
            ("data.flip_p", self.flip_p),
            ("data.jitter_p", self.jitter_p),
            ("data.grayscale_p", self.grayscale_p),
            ("data.blur_p_first", self.blur_p_first),
            ("data.blur_p_second", self.blur_p_second),
            ("data.blur_p_local", self.blur_p_local),
            ("data.solarize_p", self.solarize_p),
        ];
        for (key, probability) in probabilities {
            check.fraction(key, probability)?;
        }
        self.check_colors(check)?;
        self.check_channels(check)
    }

    fn check_colors(&self, check: &Check<'_>) -> Result<()> {
        check.not_negative("data.brightness", self.brightness, MAX_JITTER)?;
        check.not_negative("data.contrast", self.contrast, MAX_JITTER)?;
        check.not_negative("data.saturation", self.saturation, MAX_JITTER)?;
        check.require((0.0..=0.5).contains(&self.hue), "data.hue", self.hue, "lie in [0, 0.5]")?;
        let threshold = self.solarize_threshold;
        check.require(threshold <= 256, "data.solarize_threshold", threshold, "be at most 256")
    }

    fn check_channels(&self, check: &Check<'_>) -> Result<()> {
        let channels = self.channels;
        let known = (1..=MAX_CHANNELS).contains(&channels);
        let needed = format!("lie in [1, {MAX_CHANNELS}]");
        check.require(known, "data.channels", channels, needed)?;
        for (key, values) in [("data.mean", &self.mean), ("data.std", &self.std)] {
            let needed =
                format!("have a number for each of the `data.channels`, {channels} in all");
            check.require(values.len() == channels, key, format!("{values:?}"), needed)?;
        }
        let finite = self.mean.iter().all(|mean| (-1e6..=1e6).contains(mean));
        let needed = "hold numbers in [-1000000, 1000000]";
        check.require(finite, "data.mean", format!("{:?}", self.mean), needed)?;
        let positive = self.std.iter().all(|std| *std > 0.0);
        check.require(positive, "data.std", format!("{:?}", self.std), "be above 0")?;
        let finite = self.std.iter().all(|std| (1e-6..=1e6).contains(std));
        let needed = "hold numbers in [0.000001, 1000000]";
        check.require(finite, "data.std", format!("{:?}", self.std), needed)
    }
}
