//! `dino-vmf data preview`: images with all their crops, as a picture.

mod canvas;
mod sheet;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueHint};
use dino::config::{self, Config, Flag, Origin};
use image::ImageFormat;
use multicrop::augment::CropParameters;
use multicrop::augment::color_jitter::{Adjustment, Jitter};
use multicrop::loader::{Batch, LoaderConfig, batch_at, crop_stream};
use multicrop::recipe::Recipe;
use multicrop::{Dataset, Image8};
use serde::Serialize;

use crate::console::Console;
use sheet::Sheet;

/// Draw a sheet of images with all their crops and what was drawn for each
///
/// One row for each image: the image with the boxes of its crops, then the crops as the network
/// sees them (mean and standard deviation taken back), each framed in the color of its box. Below
/// it stand its box (width x height + left + top) and its changes in their order: flip; brightness
/// b, contrast c, saturation s, hue h; gray; blur with its standard deviation in pixels; solarize.
///
/// They are the first images and crops of a run with this seed. The recipe is that of DINO, or of
/// the settings, which are merged as for `pretrain`.
///
/// Example: dino-vmf data preview photos/ --out crops.png --preset dino-vmf-vit-s16
#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// A folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes[:train|:test]`
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    /// File to write: PNG, or what its name says (.jpg, .webp, .bmp, .tiff)
    #[arg(long, value_name = "FILE", default_value = "crops.png", value_hint = ValueHint::FilePath)]
    out: PathBuf,
    /// Images on the sheet
    #[arg(long, value_name = "N", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000), allow_negative_numbers = true)]
    images: u16,
    /// Seed of the order and of the crops; that of the settings if not given
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// Recipe to start from; `dino-vmf presets` lists them
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// TOML file with settings
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Set one key, for example `data.local_crops=4`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Channels that the network sees: 3 by default
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    channels: Option<i64>,
    /// Local crops side by side; the others stand below them
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000), allow_negative_numbers = true)]
    columns: u16,
}

/// An image of the sheet, and what was drawn for its crops.
#[derive(Debug, Serialize)]
struct Shown {
    index: usize,
    name: String,
    width: u32,
    height: u32,
    crops: Vec<Drawn>,
    #[serde(skip)]
    image: Image8,
}

/// What was drawn for a crop.
#[derive(Debug, Serialize)]
struct Drawn {
    size: u32,
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    flip: bool,
    jitter: Option<DrawnJitter>,
    gray: bool,
    blur: Option<f64>,
    solarize: bool,
}

#[derive(Debug, Serialize)]
struct DrawnJitter {
    /// First letters, in the order of their use.
    order: String,
    brightness: f64,
    contrast: f64,
    saturation: f64,
    hue: f64,
}

impl Preview {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let config = self.settings()?;
        let format = self.format()?;
        let recipe = config.data.recipe();
        let dataset = config.data.open(&self.source)?;
        for note in multicrop::dataset::notes(dataset.as_ref()) {
            console.warn(note);
        }
        let loader = LoaderConfig {
            batch_size: dataset.len().min(self.images.into()),
            seed: config.seed,
            decode: config.data.decode_options(),
            ..LoaderConfig::default()
        };
        dino::memory::require_crops(&config, loader.batch_size, 2)?;
        let batch = batch_at::<f32>(dataset.as_ref(), &recipe, &loader, 0)?;
        for bad in &batch.bad {
            console.warn(format!("image `{}` is left out: {}", bad.name, bad.reason));
        }
        let shown = shown(dataset.as_ref(), &recipe, &loader, &batch)?;
        let sheet = Sheet::new(&recipe, self.columns.into(), &shown);
        let what = format!("a sheet of {} images", shown.len());
        let advice = "try fewer `--images`, or smaller crops";
        dino::memory::require_bytes(what, 2.0 * sheet.bytes(&shown).max(0.0), advice)?;
        let image = sheet.draw(&self.title(&config), &shown, &batch);
        image
            .save_with_format(&self.out, format)
            .with_context(|| format!("cannot write `{}`", self.out.display()))?;
        let (out, crops) = (self.out.display(), recipe.crop_count());
        console.text(format!("{out}: {} images with {crops} crops each", shown.len()));
        // A path that is no UTF-8 cannot be JSON as it is.
        let record =
            serde_json::json!({ "out": out.to_string(), "seed": config.seed, "images": shown });
        console.event("preview", &record);
        Ok(())
    }

    fn settings(&self) -> Result<Config> {
        let mut flags =
            vec![Flag { name: "SOURCE", key: "data.source", value: self.source.clone().into() }];
        let given = [("--seed", "seed", self.seed), ("--channels", "data.channels", self.channels)];
        for (name, key, value) in given {
            flags.extend(value.map(|value| Flag { name, key, value: value.into() }));
        }
        let (preset, file) = (self.preset.as_deref(), self.config.as_deref());
        Ok(Config::resolve(preset, file, &self.set, &flags)?)
    }

    /// The format that the name of the sheet asks for; PNG without an extension.
    fn format(&self) -> Result<ImageFormat, config::Error> {
        const KNOWN: [(&str, ImageFormat); 7] = [
            ("png", ImageFormat::Png),
            ("jpg", ImageFormat::Jpeg),
            ("jpeg", ImageFormat::Jpeg),
            ("webp", ImageFormat::WebP),
            ("bmp", ImageFormat::Bmp),
            ("tif", ImageFormat::Tiff),
            ("tiff", ImageFormat::Tiff),
        ];
        let Some(extension) = self.out.extension() else { return Ok(ImageFormat::Png) };
        let extension = extension.to_string_lossy().to_lowercase();
        let found = KNOWN.iter().find(|(name, _)| *name == extension);
        found.map(|(_, format)| *format).ok_or_else(|| config::Error::BadValue {
            key: "--out".to_owned(),
            origin: Origin::Default,
            found: format!("`{}`", self.out.display()),
            needed: "end in .png, .jpg, .webp, .bmp or .tiff, the formats that can be written"
                .to_owned(),
        })
    }

    fn title(&self, config: &Config) -> String {
        let data = &config.data;
        format!(
            "{}  {}: 2 x {} + {} x {}, seed {}",
            self.source,
            self.preset.as_deref().unwrap_or("dino"),
            data.global_size,
            data.local_crops,
            data.local_size,
            config.seed
        )
    }
}

/// The images of a batch before they are cropped, and the parameters of their crops, drawn again.
fn shown(
    dataset: &dyn Dataset,
    recipe: &Recipe,
    config: &LoaderConfig,
    batch: &Batch,
) -> Result<Vec<Shown>> {
    let one = |&index: &usize| {
        let name = dataset.name(index);
        let image = dataset.load(index, &config.decode).with_context(|| name.clone())?;
        let (width, height) = (image.width(), image.height());
        let draw = |crop| {
            let mut stream = crop_stream(config.seed, batch.epoch, index, crop);
            recipe.draw((width, height), crop, &mut stream).into()
        };
        let crops = (0..recipe.crop_count()).map(draw).collect();
        Ok(Shown { index, name, width, height, crops, image })
    };
    batch.indices.iter().map(one).collect()
}

impl From<CropParameters> for Drawn {
    fn from(parameters: CropParameters) -> Self {
        let CropParameters { size, source, flip, jitter, grayscale, blur, solarize } = parameters;
        let (left, top, width, height) = (source.left, source.top, source.width, source.height);
        let jitter = jitter.map(DrawnJitter::from);
        let solarize = solarize.is_some();
        Self { size, left, top, width, height, flip, jitter, gray: grayscale, blur, solarize }
    }
}

impl From<Jitter> for DrawnJitter {
    fn from(jitter: Jitter) -> Self {
        let letter = |adjustment| match adjustment {
            Adjustment::Brightness => 'b',
            Adjustment::Contrast => 'c',
            Adjustment::Saturation => 's',
            Adjustment::Hue => 'h',
        };
        let order = jitter.order.into_iter().map(letter).collect();
        let Jitter { brightness, contrast, saturation, hue, .. } = jitter;
        Self { order, brightness, contrast, saturation, hue }
    }
}

impl Drawn {
    /// What stands below the crop, word by word.
    fn words(&self) -> Vec<String> {
        let mut words = vec![format!("{}x{}+{}+{}", self.width, self.height, self.left, self.top)];
        let mut add = |applies: bool, word: &str| words.extend(applies.then(|| word.to_owned()));
        add(self.flip, "flip");
        for letter in self.jitter.iter().flat_map(|jitter| jitter.order.chars()) {
            add(true, &self.factor(letter));
        }
        add(self.gray, "gray");
        if let Some(sigma) = self.blur {
            add(true, &format!("blur {sigma:.2}"));
        }
        add(self.solarize, "solarize");
        words
    }

    /// One change of the colors: `b1.21`, `h-0.05`.
    fn factor(&self, letter: char) -> String {
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
