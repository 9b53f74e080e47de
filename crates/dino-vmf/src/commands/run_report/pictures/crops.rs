//! The crops of some images, as the run draws them in its first batch.

use anyhow::Result;
use multicrop::Dataset;
use multicrop::loader::{LoaderConfig, batch_at};
use multicrop::recipe::GLOBAL_CROPS;

use super::{Row, Shown, picture, short};
use crate::commands::data::crop_picture;
use crate::commands::pictures::thumbnail::fit;

/// Images whose crops are shown.
const IMAGES: usize = 4;
/// Most crops of an image.
const CROPS: usize = 10;
/// Longest side of a picture, in pixels.
const SIDE: u32 = 112;

/// A row for each image.
pub(super) fn section(shown: &Shown<'_>, dataset: &dyn Dataset) -> Result<(String, Vec<Row>)> {
    let config = &shown.run.config;
    let recipe = config.data.recipe();
    let loader = LoaderConfig {
        batch_size: dataset.len().min(IMAGES),
        seed: config.seed,
        decode: config.data.decode_options(),
        ..LoaderConfig::default()
    };
    let batch = batch_at::<f32>(dataset, &recipe, &loader, 0)?;
    let row = |(place, &index): (usize, &usize)| {
        let name = dataset.name(index);
        let pictures = (0..recipe.crop_count().min(CROPS)).map(|crop| {
            let kind = if crop < GLOBAL_CROPS { "global" } else { "local" };
            let image = fit(&crop_picture(&recipe, &batch, (place, crop)), SIDE);
            picture(&image, kind.to_owned(), format!("{kind} crop of {name}"))
        });
        Ok(Row { heading: short(&name), pictures: pictures.collect::<Result<_>>()? })
    };
    let rows = batch.indices.iter().enumerate().map(row).collect::<Result<_>>()?;
    let note = "What the network sees of the first images: crops with their augmentations.";
    Ok((note.to_owned(), rows))
}
