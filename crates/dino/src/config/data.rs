//! `[data]`: images and how they are cropped; the recipe of DINO by default.

use multicrop::augment::normalize;
use multicrop::recipe::{GLOBAL_CROPS, Recipe};
use serde::{Deserialize, Serialize};

use super::check::{Check, MAX_SIDE};
use super::error::Result;
use super::range::Range;

/// Most channels of an image: more than any camera's bands.
const MAX_CHANNELS: usize = 1024;

/// The images and how they are cropped. Two global crops and `local_crops` local ones are cut from every
/// image; the defaults are the augmentation of DINO.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// Images to train on, without labels: the path of a folder, a list, an archive, a parquet, IDX or
    /// CIFAR file, or `shapes`, the data set inside the program. `:train` or `:test` behind it takes one
    /// part of a data set that has parts. `docs/sources.md` lists what can be read.
    pub source: String,
    /// Parquet column that holds the images. Set it if a file has several columns of binary data and
    /// the wrong one is taken; `none` finds it from the first rows.
    pub image_column: Option<String>,
    /// Column of a list or parquet file that holds the labels. Set it if the labels have an unusual
    /// name; `none` takes a column with a usual name, such as `label` or `class`.
    pub label_column: Option<String>,
    /// Extension of the image to take if a WebDataset key has several, such as `jpg` beside `seg.png`;
    /// `none` expects one image for each key.
    pub image_extension: Option<String>,
    /// Side of the two global crops, in pixels; a multiple of `model.patch_size`. 224 suits photographs.
    /// For small images take their own size.
    pub global_size: usize,
    /// Side of the local crops, in pixels; a multiple of `model.patch_size`. Just below half of
    /// `data.global_size` is usual.
    pub local_size: usize,
    /// Number of local crops of an image. Only the student sees them; they have to match the global ones,
    /// which teaches how parts belong to the whole. More of them give better features and cost time in
    /// proportion to their patches. 0 trains on global crops alone; widen `data.global_scale` then, for
    /// example to `[0.14, 1.0]`.
    pub local_crops: usize,
    /// Area of a global crop as a fraction of the image's, drawn uniformly between the two. With local
    /// crops, global ones should show most of the image.
    pub global_scale: [f64; 2],
    /// Area of a local crop as a fraction of the image's, drawn uniformly between the two. The upper end
    /// usually meets the lower end of `data.global_scale`. On small images very small crops show nothing;
    /// `[0.2, 0.5]` suits 32 pixels.
    pub local_scale: [f64; 2],
    /// Width over height of the part that is cut out, before it is resized to a square; its logarithm is
    /// drawn uniformly between those of the two.
    pub aspect: [f64; 2],
    /// Probability of a horizontal flip. Take 0 if left and right mean something, as in text.
    pub flip_p: f64,
    /// Probability of a vertical flip. 0.5 suits images without an up and a down, such as those of
    /// microscopes and satellites.
    pub vflip_p: f64,
    /// Probability of a rotation by 90, 180 or 270 degrees, each as likely as the others. It is exact: pixels
    /// move and none changes. With 0.75 all four directions are equally likely, which suits images of
    /// microscopes and satellites.
    pub rotate90_p: f64,
    /// Probability of color jitter, which changes brightness, contrast, saturation and hue in random
    /// order. Without it, networks tend to recognize crops of an image by their colors.
    pub jitter_p: f64,
    /// Strength of the jitter of brightness: the factor is drawn between 1 − strength (at least 0) and
    /// 1 + strength.
    pub brightness: f64,
    /// Strength of the jitter of contrast, as for `data.brightness`.
    pub contrast: f64,
    /// Strength of the jitter of saturation, as for `data.brightness`.
    pub saturation: f64,
    /// Strength of the jitter of hue, as a fraction of the color circle: hue moves by up to that in
    /// either direction. At most 0.5.
    pub hue: f64,
    /// Probability of turning a crop gray. Raise it if colors give an image away.
    pub grayscale_p: f64,
    /// Probability of blurring the first global crop. Take 0 for the three keys of blur on images of 32
    /// pixels, which have no detail to spare.
    pub blur_p_first: f64,
    /// Probability of blurring the second global crop.
    pub blur_p_second: f64,
    /// Probability of blurring a local crop.
    pub blur_p_local: f64,
    /// Standard deviation of the Gaussian blur in pixels of the crop, drawn uniformly between the two.
    pub blur_radius: [f64; 2],
    /// Probability of solarizing the second global crop: bright values are inverted.
    pub solarize_p: f64,
    /// Smallest value that solarizing inverts, of values from 0 to 255; 256 inverts nothing.
    pub solarize_threshold: u32,
    /// Channels of the images and of the network's input. 3 reads images as red, green and blue, 1 as
    /// gray, 4 as colors with alpha. With any other number, images must have exactly that many channels.
    /// Brightness and contrast are changed for 1 and 3 channels only; saturation, hue and gray need 3.
    pub channels: usize,
    /// Values of the images that become 0 and 1, in the units of their files; values outside are cut off.
    /// `[low, high]`, or a list of such a pair for each channel. `percentile` measures the percentiles 0.1
    /// and 99.9 of each channel once, from up to 256 images and 4096 pixels of each, and writes them to
    /// the run's `config.toml`. Set it if images fill a small part of the range of their type, as 12 bits
    /// in a file of 16 do; `dino-vmf data inspect` warns of that. `none` takes the full range of the
    /// type: bytes keep their exact values, other integers are mapped to \[0, 1\], and floats must lie in
    /// \[0, 1\].
    pub range: Option<Range>,
    /// Which pages of a TIFF with several are read: `first`; `channels`, all of them as the channels of one
    /// image, with `data.channels` as their number; or `images`, each as an image of its own, which reads
    /// all files once at the start to count their pages.
    pub pages: Pages,
    /// Mean of each channel, for values in \[0, 1\]; it is subtracted. ImageNet's for 3 channels, else 0.5
    /// for each. Set it, with `data.std`, for images that look unlike photographs.
    pub mean: Option<Vec<f64>>,
    /// Standard deviation of each channel, for values in \[0, 1\]; values are divided by it. ImageNet's
    /// for 3 channels, else 0.5 for each.
    pub std: Option<Vec<f64>>,
    /// Turn images as their EXIF tag says. `false` shows them as they are stored, as the reference does.
    pub orientation: bool,
    /// Decode JPEGs at a half, a quarter or an eighth of their size, as long as the shorter side keeps this
    /// many pixels. Set it for large photographs, which are then decoded in a fraction of the time and
    /// memory: for global crops of 224 pixels, 512 changes crops little. `none` decodes at full size, as
    /// the reference does.
    pub reduced_for: Option<u32>,
    /// Most pixels of an image; larger ones count as unreadable. The default is where Pillow refuses an
    /// image. A worker needs 3 bytes for each pixel (200 megapixels: 0.6 GiB), and twice that for
    /// progressive JPEGs and images that are turned. To read larger photographs with little memory, set
    /// `data.reduced_for`.
    pub max_pixels: u64,
    /// Stop at the first unreadable image. `false` lists unreadable images in `quarantine.jsonl`, puts
    /// other images in their place, and stops only above 10 and above 1 % of all images.
    pub strict: bool,
}

/// The pages of a file that are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pages {
    /// The first one.
    #[default]
    First,
    /// All, as the channels of one image.
    Channels,
    /// All, each as an image.
    Images,
}

impl Default for Data {
    fn default() -> Self {
        let recipe = Recipe::dino(224, 96, 8);
        let Recipe { first_global, second_global, locals, color_jitter, .. } = &recipe;
        let pair = |(low, high): (f64, f64)| [low, high];
        Self {
            source: "shapes".to_owned(),
            image_column: None,
            label_column: None,
            image_extension: None,
            global_size: first_global.size as usize,
            local_size: locals.size as usize,
            local_crops: locals.count as usize,
            global_scale: pair(first_global.scale),
            local_scale: pair(locals.scale),
            aspect: pair(first_global.aspect),
            flip_p: recipe.flip,
            vflip_p: recipe.flip_vertical,
            rotate90_p: recipe.rotate90,
            jitter_p: color_jitter.probability,
            brightness: color_jitter.brightness,
            contrast: color_jitter.contrast,
            saturation: color_jitter.saturation,
            hue: color_jitter.hue,
            grayscale_p: recipe.grayscale,
            blur_p_first: first_global.blur,
            blur_p_second: second_global.blur,
            blur_p_local: locals.blur,
            blur_radius: pair(first_global.blur_sigma),
            solarize_p: second_global.solarize,
            solarize_threshold: recipe.solarize_threshold,
            channels: recipe.channels(),
            range: None,
            pages: Pages::First,
            mean: None,
            std: None,
            orientation: true,
            reduced_for: None,
            max_pixels: multicrop::decode::MAX_PIXELS,
            strict: false,
        }
    }
}

impl Data {
    /// Mean of each channel: as given, else the usual one for this number of channels.
    pub fn mean(&self) -> Vec<f64> {
        self.mean.clone().unwrap_or_else(|| normalize::default_for(self.channels).0)
    }

    /// Standard deviation of each channel: as given, else the usual one for this number of channels.
    pub fn std(&self) -> Vec<f64> {
        self.std.clone().unwrap_or_else(|| normalize::default_for(self.channels).1)
    }

    /// Crops of one image: two global ones and the local ones.
    pub fn crops(&self) -> usize {
        GLOBAL_CROPS + self.local_crops
    }

    pub(super) fn check(&self, check: &Check<'_>, patch_size: usize) -> Result<()> {
        let source = format!("{:?}", self.source);
        check.require(!self.source.is_empty(), "data.source", source, "name a source")?;
        check.multiple("data.global_size", self.global_size, patch_size)?;
        if self.local_crops == 0 {
            // Nothing is cut of this size, but it is written down and read again.
            check.count("data.local_size", self.local_size, MAX_SIDE)?;
        } else {
            check.multiple("data.local_size", self.local_size, patch_size)?;
        }
        if let Some(pixels) = self.reduced_for {
            check.count("data.reduced_for", pixels as usize, 1 << 20)?;
        }
        let max_pixels = usize::try_from(self.max_pixels).unwrap_or(usize::MAX);
        check.count("data.max_pixels", max_pixels, 1 << 32)?;
        self.check_channels(check)?;
        self.check_recipe(check)
    }

    fn check_channels(&self, check: &Check<'_>) -> Result<()> {
        let channels = self.channels;
        let known = (1..=MAX_CHANNELS).contains(&channels);
        let needed = format!("lie in [1, {MAX_CHANNELS}]");
        check.require(known, "data.channels", channels, needed)?;
        if let Some(range) = &self.range {
            range.check(check, channels)?;
        }
        for (key, values) in [("data.mean", &self.mean), ("data.std", &self.std)] {
            let Some(values) = values else { continue };
            let needed =
                format!("have a number for each of the `data.channels`, {channels} in all");
            check.require(values.len() == channels, key, format!("{values:?}"), needed)?;
        }
        Ok(())
    }
}
