//! The attention of \[CLS\] on eight fixed images.

use anyhow::Result;
use engine::ops::patch_embed::Images;
use multicrop::whole_view::{Whole, WholeView};
use multicrop::{Image8, decode};
use probe::Subset;
use vit::Crops;

use super::{Row, Shown, picture, short};
use crate::commands::attention::{heads_of, mean_of};
use crate::commands::drawing::maps::{PatchMap, heat_over};
use crate::commands::looking::default_side;
use crate::commands::network_role::NetworkRole;
use crate::commands::pictures::thumbnail::fit;

/// Images that are shown: the first ones of a fixed random order, so that runs on the same images compare.
const IMAGES: usize = 8;
/// Longest side of a picture, in pixels.
const SIDE: u32 = 112;

/// A row of images, and a row of the same with the attention over them.
pub(super) fn section(shown: &Shown<'_>) -> Result<(String, Vec<Row>)> {
    let data = &shown.opened.config.data;
    // Training may decode JPEGs in a reduced size, which is too small here.
    let decode = decode::Options { reduced_for: None, ..data.decode_options() };
    let (images, view) = (Subset::new(shown.dataset.clone(), Some(IMAGES), 0), view(shown));
    let (mut plain, mut painted) = (Vec::new(), Vec::new());
    for &index in images.indices() {
        let name = images.dataset().name(index);
        let whole = view.of(&images.load(index, &decode)?);
        let over = fit(&with_attention(shown, &whole), SIDE);
        painted.push(picture(&over, String::new(), format!("attention on {name}"))?);
        plain.push(picture(&fit(&whole.picture, SIDE), short(&name), name)?);
    }
    let row = |heading: &str, pictures| Row { heading: heading.to_owned(), pictures };
    let rows = vec![row("Images", plain), row("Attention over them", painted)];
    let note = "Attention of the CLS token in the last block of the teacher, the mean of all heads; the brightest \
                patch of each image has the most. `dino-vmf attention` draws every head.";
    Ok((note.to_owned(), rows))
}

fn view(shown: &Shown<'_>) -> WholeView {
    let data = &shown.opened.config.data;
    let single = |values: Vec<f64>| values.iter().map(|value| *value as f32).collect();
    let shape = shown.opened.network.backbone.shape();
    WholeView {
        resize: Some(default_side(shape.image_size)),
        patch_size: shape.patch_size as u32,
        mean: single(data.mean()),
        std: single(data.std()),
    }
}

/// The image with heat where the attention is.
fn with_attention(shown: &Shown<'_>, whole: &Whole) -> Image8 {
    let Whole { picture: image, pixels } = whole;
    let patch_size = shown.opened.network.backbone.shape().patch_size;
    let (height, width) = (image.height() as usize, image.width() as usize);
    let size = Images { count: 1, channels: image.channels(), height, width };
    let (rows, columns) = size.grid(patch_size);
    let encoder = NetworkRole::Teacher.encoder(&shown.opened);
    let values = mean_of(&heads_of(&encoder, &[Crops::new(pixels, size)], rows * columns));
    let largest = values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let values: Vec<f64> = values.iter().map(|value| f64::from(value / largest)).collect();
    let map = PatchMap { values: &values, columns, patch_size: patch_size as u32 };
    map.paint(image, heat_over)
}
