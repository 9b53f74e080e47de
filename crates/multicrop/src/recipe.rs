//! [`Recipe`]: the multi-crop augmentation, with the number and sizes of crops and their random
//! changes.

use rand::Rng;

use crate::augment::color_jitter::ColorJitter;
use crate::augment::normalize::{self, Element, IMAGENET_MEAN, IMAGENET_STD};
use crate::augment::{CropParameters, Scratch, blur, crop, flip, grayscale, rotate90, solarize};
use crate::image::{Pixels, Rect};

/// Number of global crops of a recipe: the teacher gets exactly two.
pub const GLOBAL_CROPS: usize = 2;

/// One kind of crop.
#[derive(Debug, Clone, PartialEq)]
pub struct CropRecipe {
    /// Side of the square crop, in pixels.
    pub size: u32,
    /// Number of crops of this kind for each image.
    pub count: u32,
    /// Range of the crop's area as a fraction of the image's area.
    pub scale: (f64, f64),
    /// Range of the aspect ratio, width / height, of the box that is cut out.
    pub aspect: (f64, f64),
    /// Probability of blur.
    pub blur: f64,
    /// Range of the standard deviation of the blur, in pixels of the crop.
    pub blur_sigma: (f64, f64),
    /// Probability of solarization, which inverts bright values.
    pub solarize: f64,
}

/// The crops of an image: two global ones, which differ in blur and solarization, then local ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Crop 0.
    pub first_global: CropRecipe,
    /// Crop 1.
    pub second_global: CropRecipe,
    /// Crops 2, 3, …; `count` may be 0.
    pub locals: CropRecipe,
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Probability of a vertical flip.
    pub flip_vertical: f64,
    /// Probability of a rotation by 90, 180 or 270 degrees, each as likely as the others.
    pub rotate90: f64,
    /// Probability and strength of color changes.
    pub color_jitter: ColorJitter,
    /// Probability of conversion to gray.
    pub grayscale: f64,
    /// Threshold of solarization, 0 to 256: values from here on are inverted; 256 inverts nothing.
    pub solarize_threshold: u32,
    /// Mean of each channel, of values in [0, 1]; its length is the number of channels.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, of values in [0, 1].
    pub std: Vec<f32>,
}

/// The error for an invalid field of a recipe.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{key}` is {found}, but must {needed}")]
pub struct InvalidRecipe {
    /// Path of the field, such as `locals.scale`.
    pub key: String,
    /// Its value.
    pub found: String,
    /// What it must do, such as `lie in [0, 1]`.
    pub needed: &'static str,
}

impl Recipe {
    /// The augmentation of DINO with its defaults (`DataAugmentationDINO` in `main_dino.py`).
    pub fn dino(global_size: u32, local_size: u32, local_count: u32) -> Self {
        let first_global = CropRecipe {
            size: global_size,
            count: 1,
            scale: (0.4, 1.0),
            aspect: (3.0 / 4.0, 4.0 / 3.0),
            blur: 1.0,
            blur_sigma: (0.1, 2.0),
            solarize: 0.0,
        };
        Self {
            second_global: CropRecipe { blur: 0.1, solarize: 0.2, ..first_global.clone() },
            locals: CropRecipe {
                size: local_size,
                count: local_count,
                scale: (0.05, 0.4),
                blur: 0.5,
                ..first_global.clone()
            },
            first_global,
            flip: 0.5,
            flip_vertical: 0.0,
            rotate90: 0.0,
            color_jitter: ColorJitter {
                probability: 0.8,
                brightness: 0.4,
                contrast: 0.4,
                saturation: 0.2,
                hue: 0.1,
            },
            grayscale: 0.2,
            solarize_threshold: solarize::THRESHOLD,
            mean: IMAGENET_MEAN.to_vec(),
            std: IMAGENET_STD.to_vec(),
        }
    }

    /// Adapts the recipe to images of `channels` channels, with their
    /// [default normalization](normalize::default_for).
    ///
    /// Color changes that are not defined for them are drawn but not applied, so the other
    /// parameters of a crop do not depend on the number of channels.
    pub fn with_channels(self, channels: usize) -> Self {
        let (mean, std) = normalize::default_for(channels);
        let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        Self { mean: single(mean), std: single(std), ..self }
    }

    /// Number of channels of images and crops.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Number of crops of an image: global and local ones.
    pub fn crop_count(&self) -> usize {
        GLOBAL_CROPS + self.locals.count as usize
    }

    /// The kind of crop `crop`: 0 and 1 are global, the others local.
    ///
    /// # Panics
    /// If there is no such crop.
    pub fn kind(&self, crop: usize) -> &CropRecipe {
        assert!(crop < self.crop_count(), "crop {crop} of {}", self.crop_count());
        match crop {
            0 => &self.first_global,
            1 => &self.second_global,
            _ => &self.locals,
        }
    }

    /// Number of values in crop `crop`: `channels · size²`.
    ///
    /// # Panics
    /// If there is no such crop.
    pub fn crop_len(&self, crop: usize) -> usize {
        let size = self.kind(crop).size as usize;
        self.channels() * size * size
    }

    /// Draws all random parameters of crop `crop` of an image of `width` × `height` pixels.
    ///
    /// The order of the draws is fixed, because runs must be reproducible: box, flip, color jitter,
    /// grayscale, blur, solarization, vertical flip, rotation. Each crop has its own stream, so the number of draws may
    /// differ between crops.
    ///
    /// # Panics
    /// If there is no such crop.
    pub fn draw(
        &self,
        (width, height): (u32, u32),
        crop: usize,
        rng: &mut impl Rng,
    ) -> CropParameters {
        let kind = self.kind(crop);
        // struct fields are evaluated in the order in which they are written here
        CropParameters {
            size: kind.size,
            source: crop::sample((width, height), kind.scale, kind.aspect, rng),
            flip: flip::sample(self.flip, rng),
            jitter: self.color_jitter.sample(rng),
            grayscale: grayscale::sample(self.grayscale, rng),
            blur: blur::sample(kind.blur, kind.blur_sigma, rng),
            solarize: solarize::sample(kind.solarize, rng).then_some(self.solarize_threshold),
            // drawn last, so that the other draws are those of runs that know no turns
            flip_vertical: flip::sample(self.flip_vertical, rng),
            quarter_turns: rotate90::sample(self.rotate90, rng),
        }
    }

    /// Makes the normalized crop with these parameters; `out` is `[channels, size, size]`.
    ///
    /// # Panics
    /// If `out` has the wrong length, the box in `parameters` exceeds the image, or the image has
    /// the wrong number of channels.
    pub fn apply<'a, T: Element>(
        &self,
        parameters: &CropParameters,
        image: impl Into<Pixels<'a>>,
        out: &mut [T],
    ) {
        let mut scratch = Scratch::default();
        scratch.load(image, parameters.source);
        parameters.apply_to(&mut scratch).normalize(&self.mean, &self.std, out);
    }

    /// Draws and makes crop `crop` of `image`; `out` is `[channels, size, size]`.
    ///
    /// Gives the same bits as [`augment`](Self::augment), which is faster for all crops of an
    /// image.
    ///
    /// # Panics
    /// If there is no such crop, `out` has the wrong length, or the image has the wrong number of
    /// channels.
    pub fn augment_crop<'a, T: Element>(
        &self,
        image: impl Into<Pixels<'a>>,
        crop: usize,
        rng: &mut impl Rng,
        out: &mut [T],
    ) {
        let image = image.into();
        let parameters = self.draw((image.width(), image.height()), crop, rng);
        self.apply(&parameters, image, out);
    }

    /// Draws and makes all crops of `image`: crop `i` from the stream `stream(i)`, into `outs[i]`,
    /// `[channels, size, size]`.
    ///
    /// # Panics
    /// If there are more `outs` than crops, one has the wrong length, or the image has the wrong
    /// number of channels.
    pub fn augment<'a, T: Element, R: Rng>(
        &self,
        image: impl Into<Pixels<'a>>,
        stream: impl Fn(usize) -> R,
        outs: &mut [&mut [T]],
        scratch: &mut Scratch,
    ) {
        let image = image.into();
        let (width, height) = (image.width(), image.height());
        scratch.load(image, Rect { left: 0, top: 0, width, height });
        for (crop, out) in outs.iter_mut().enumerate() {
            let parameters = self.draw((width, height), crop, &mut stream(crop));
            parameters.apply_to(scratch).normalize(&self.mean, &self.std, out);
        }
    }

    /// Checks all fields. The limits are far beyond any sensible recipe; they keep the arithmetic finite.
    ///
    /// # Errors
    /// Names the first invalid field, its value and the requirement that it violates.
    pub fn validate(&self) -> Result<(), InvalidRecipe> {
        let kinds = [
            ("first_global", &self.first_global),
            ("second_global", &self.second_global),
            ("locals", &self.locals),
        ];
        kinds.iter().try_for_each(|(name, kind)| kind.validate(name))?;
        for (name, kind) in &kinds[..GLOBAL_CROPS] {
            check(kind.count == 1, &format!("{name}.count"), kind.count, "be 1")?;
        }
        let (first, second) = (self.first_global.size, self.second_global.size);
        let needed = "be the size of the first global crop";
        check(first == second, "second_global.size", second, needed)?;
        check_probability("flip", self.flip)?;
        check_probability("flip_vertical", self.flip_vertical)?;
        check_probability("rotate90", self.rotate90)?;
        check_probability("grayscale", self.grayscale)?;
        let threshold = self.solarize_threshold;
        check(threshold <= 256, "solarize_threshold", threshold, "be at most 256")?;
        self.validate_jitter()?;
        self.validate_channels()
    }

    fn validate_jitter(&self) -> Result<(), InvalidRecipe> {
        let jitter = &self.color_jitter;
        check_probability("color_jitter.probability", jitter.probability)?;
        let strengths = [
            ("brightness", jitter.brightness),
            ("contrast", jitter.contrast),
            ("saturation", jitter.saturation),
        ];
        for (name, strength) in strengths {
            let key = format!("color_jitter.{name}");
            check(strength >= 0.0, &key, strength, "be 0 or more")?;
            check(strength <= 100.0, &key, strength, "be at most 100")?;
        }
        let valid = (0.0..=0.5).contains(&jitter.hue);
        check(valid, "color_jitter.hue", jitter.hue, "lie in [0, 0.5]")
    }

    fn validate_channels(&self) -> Result<(), InvalidRecipe> {
        let list = |values: &[f32]| format!("{values:?}");
        let (mean, std) = (list(&self.mean), list(&self.std));
        check(!self.mean.is_empty(), "mean", &mean, "have a value for each channel")?;
        let needed = "have as many values as `mean`, one for each channel";
        check(self.mean.len() == self.std.len(), "std", &std, needed)?;
        let valid = self.mean.iter().all(|mean| (-1e6..=1e6).contains(mean));
        check(valid, "mean", &mean, "hold numbers in [-1000000, 1000000]")?;
        check(self.std.iter().all(|std| *std > 0.0), "std", &std, "be above 0")?;
        let valid = self.std.iter().all(|std| (1e-6..=1e6).contains(std));
        check(valid, "std", &std, "hold numbers in [0.000001, 1000000]")
    }
}

impl CropRecipe {
    /// Checks the fields; `name` is the field of [`Recipe`] that holds this kind, for messages.
    fn validate(&self, name: &str) -> Result<(), InvalidRecipe> {
        let key = |field: &str| format!("{name}.{field}");
        check((1..=8192).contains(&self.size), &key("size"), self.size, "lie in [1, 8192]")?;
        check(self.count <= 1000, &key("count"), self.count, "be at most 1000")?;
        let needed = "be at most 1, the whole image";
        check(self.scale.1 <= 1.0, &key("scale"), range(self.scale), needed)?;
        check_range(&key("scale"), self.scale, (1e-6, 1.0), "lie within [0.000001, 1]")?;
        check_range(&key("aspect"), self.aspect, (1e-3, 1e3), "lie within [0.001, 1000]")?;
        let needed = "lie within [0.000001, 1000]";
        check_range(&key("blur_sigma"), self.blur_sigma, (1e-6, 1e3), needed)?;
        check_probability(&key("blur"), self.blur)?;
        check_probability(&key("solarize"), self.solarize)
    }
}

/// Formats a range as in a configuration file: `[low, high]`.
fn range((low, high): (f64, f64)) -> String {
    format!("[{low}, {high}]")
}

/// `0 < low <= high`, both within the limits that `needed` names.
fn check_range(
    key: &str,
    found: (f64, f64),
    (least, most): (f64, f64),
    needed: &'static str,
) -> Result<(), InvalidRecipe> {
    let (low, high) = found;
    check(low > 0.0 && low <= high, key, range(found), "rise from a number above 0")?;
    check(low >= least && high <= most, key, range(found), needed)
}

fn check_probability(key: &str, found: f64) -> Result<(), InvalidRecipe> {
    check((0.0..=1.0).contains(&found), key, found, "lie in [0, 1]")
}

/// Returns an error for `key` unless `valid`.
fn check(
    valid: bool,
    key: &str,
    found: impl ToString,
    needed: &'static str,
) -> Result<(), InvalidRecipe> {
    if valid {
        return Ok(());
    }
    Err(InvalidRecipe { key: key.into(), found: found.to_string(), needed })
}

#[cfg(test)]
mod tests;
