//! `dino-vmf data preview`: draws images with all their crops into an image file.

mod sample;
mod sheet;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueHint};
use dino::config::{Config, ConfigFile, Flag, Range};
use dino::own_images::{Settings, Wish};
use image::ImageFormat;
use multicrop::loader::{LoaderConfig, batch_at};
use report::number::counted;

use crate::commands::candidates::{presets, settings};
use crate::commands::choosing::settle;
use crate::commands::drawing::file::{format_of, save};
use crate::commands::output_file::{check_file, refuse_source, warn_among_images};
use crate::console::Console;
use sheet::Sheet;
pub(crate) use sheet::crop_picture;

/// Draw a sheet of images with all their crops and the parameters of each crop
///
/// Each image has a row: the image with the boxes of its crops, then the crops as the network sees them,
/// with the normalization undone. A crop's frame has the color of its box. The text below a crop is its box
/// (width x height + left + top) and its augmentations in order: flip, vflip, turn in degrees; brightness b, contrast c, saturation
/// s, hue h; gray; blur with its standard deviation in pixels; solarize. Augmentations that do nothing to
/// images with this number of channels are left out.
///
/// Images of more than 8 bits are shown by their range (`data.range`). Of images with more than three
/// channels, the first three are shown as red, green and blue.
///
/// The sheet shows the first images and crops of `pretrain` with the same images, `--preset`, `--config`,
/// `--set`, `--channels` and seed.
///
/// Example: dino-vmf data preview photos/ --out crops.png
#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// Images: a folder, list, tar or tar.gz shards, parquet, IDX, CIFAR binaries, or `shapes[:train|:test]`
    #[arg(value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    source: String,
    /// File to write; its extension sets the format: .png, .jpg, .webp, .bmp or .tiff
    #[arg(long, value_name = "FILE", default_value = "crops.png", value_hint = ValueHint::FilePath)]
    out: PathBuf,
    /// Number of images on the sheet
    #[arg(long, value_name = "N", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000), allow_negative_numbers = true)]
    images: u16,
    /// Seed of the order of the images and of the crops; by default that of the settings
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// Preset to start from; by default one that fits the images. `dino-vmf presets` lists the names
    #[arg(long, value_name = "NAME", add = presets())]
    preset: Option<String>,
    /// TOML file with settings, which override those of the preset
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Set one key, for example `data.local_crops=4`; can be repeated
    #[arg(long, value_name = "KEY=VALUE", add = settings())]
    set: Vec<String>,
    /// Number of channels that images are converted to; 3 by default
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    channels: Option<i64>,
    /// Number of local crops side by side; more go into rows below
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000), allow_negative_numbers = true)]
    columns: u16,
}

impl Preview {
    pub(super) fn run(&self, console: &mut Console) -> Result<()> {
        let format = format_of(&self.out, "--out")?.unwrap_or(ImageFormat::Png);
        check_file(&self.out)?;
        let Settings { mut config, name, dataset, .. } = self.settings(console)?;
        let recipe = config.data.recipe();
        let dataset = dataset.map_or_else(|| config.data.open(&self.source), Ok)?;
        refuse_source(&[("--out", Some(&self.out))], dataset.as_ref())?;
        config.data.measure_range(dataset.as_ref())?;
        for note in multicrop::dataset::notes(dataset.as_ref()) {
            console.warn(note);
        }
        warn_among_images([self.out.as_path()], &self.source, console);
        for warning in dino::plan::image_warnings(&config, dataset.as_ref()) {
            console.warn(warning);
        }
        let loader = LoaderConfig {
            batch_size: dataset.len().min(self.images.into()),
            seed: config.seed,
            decode: config.data.decode_options(),
            ..LoaderConfig::default()
        };
        dino::memory::require_crops(&config, loader.batch_size, 2)?;
        let batch = batch_at::<f32>(dataset.as_ref(), &recipe, &loader, 0)?;
        // A bad image may have stood in for several others.
        let bad: BTreeMap<_, _> = batch.bad.iter().map(|bad| (&bad.name, bad)).collect();
        for bad in bad.values() {
            console.warn(format!("image `{}` is left out: {}", bad.name, bad.reason));
        }
        let samples = sample::read(dataset.as_ref(), &recipe, &loader, &batch)?;
        let sheet = Sheet::new(&recipe, self.columns.into(), &samples);
        let what = format!("a sheet of {} images", samples.len());
        let advice = "try fewer `--images`, or smaller crops";
        dino::memory::require_bytes(what, 2.0 * sheet.bytes(&samples).max(0.0), advice)?;
        let image = sheet.draw(&self.title(&config, &name), &samples, &batch);
        save(&image, &self.out, format)?;
        let (out, crops) = (self.out.display(), recipe.crop_count());
        let images = counted(samples.len(), "image");
        console.text(format!("{out}: {images} with {} each", counted(crops, "crop")));
        // JSON holds only UTF-8, so other paths are changed there.
        let record =
            serde_json::json!({ "out": out.to_string(), "seed": config.seed, "images": samples });
        console.event("preview", &record);
        Ok(())
    }

    fn settings(&self, console: &mut Console) -> Result<Settings> {
        let mut flags =
            vec![Flag { name: "SOURCE", key: "data.source", value: self.source.clone().into() }];
        let given = [("--seed", "seed", self.seed), ("--channels", "data.channels", self.channels)];
        for (name, key, value) in given {
            flags.extend(value.map(|value| Flag { name, key, value: value.into() }));
        }
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let (preset, file) = (self.preset.as_deref(), file.as_ref());
        settle(&Wish { preset, file, sets: &self.set, flags: &flags }, console)
    }

    fn title(&self, config: &Config, name: &str) -> String {
        let data = &config.data;
        let range = match data.range.as_ref().and_then(Range::values).as_deref() {
            None => String::new(),
            Some([[low, high]]) => format!(", range {low} to {high}"),
            Some(ranges) => format!(", a range for each of {} channels", ranges.len()),
        };
        format!(
            "{}  {}: 2 x {} + {} x {}, seed {}{range}",
            self.source, name, data.global_size, data.local_crops, data.local_size, config.seed
        )
    }
}
