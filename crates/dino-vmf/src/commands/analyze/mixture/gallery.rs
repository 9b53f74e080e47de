//! The images nearest to prototypes, small, each once in the page however many prototypes it is
//! near to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dino::analysis::mixture::Component;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use multicrop::Image8;
use multicrop::image::Rect;
use multicrop::resize::crop_resize;
use rayon::prelude::*;

use super::super::Loaded;
use super::super::page::escape;
use super::Found;

/// Most pixels of a side.
const SIDE: u32 = 64;
/// As PNG, the page of 200 prototypes of photographs would be above 10 MB.
const QUALITY: u8 = 90;

/// Images of the components with the largest mass.
pub(super) struct Gallery {
    /// How many components have images.
    pub(super) components: usize,
    /// One rule of style for each image.
    pub(super) style: String,
    captions: BTreeMap<u32, Caption>,
    /// Patches on a side, where patches are assigned.
    patch_grid: Option<usize>,
}

/// What stands at an image.
struct Caption {
    class: String,
    name: String,
}

impl Gallery {
    /// Reads the images of at most `most` components.
    pub(super) fn new(found: &Found<'_>, loaded: &Loaded, most: usize) -> Result<Self> {
        let components = &found.result.mixture.components;
        let components = &components[..most.min(components.len())];
        let mut wanted: Vec<u32> = components.iter().flat_map(|c| &c.nearest).copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let dataset = loaded.images.dataset();
        let encoded = wanted.par_iter().map(|&index| {
            let image = loaded.images.load(index as usize, &loaded.preprocess.decode)?;
            encode(&loaded.preprocess.view.view(&image))
        });
        let encoded = encoded.collect::<Result<Vec<_>>>()?;
        let (mut style, mut captions) = (String::new(), BTreeMap::new());
        for (index, bytes) in wanted.into_iter().zip(encoded) {
            let data = STANDARD.encode(bytes);
            // Writing to a `String` cannot fail.
            let _ =
                writeln!(style, ".i{index}{{background-image:url(data:image/jpeg;base64,{data})}}");
            let label = dataset.label(index as usize).map(|label| label as usize);
            let class = label.and_then(|label| found.classes.get(label)).cloned();
            let name = dataset.name(index as usize);
            captions.insert(index, Caption { class: class.unwrap_or_default(), name });
        }
        let patch_grid = found.result.patch_grid;
        Ok(Self { components: components.len(), style, captions, patch_grid })
    }

    /// The images of a component, nearest first; of patches each in its image, framed.
    pub(super) fn strip(&self, component: &Component) -> String {
        let Component { nearest, nearest_patches, .. } = component;
        let cell = |(place, index): (usize, &u32)| {
            let Some(Caption { class, name }) = self.captions.get(index) else {
                return String::new();
            };
            let patch = self.patch_grid.zip(nearest_patches.get(place));
            let (frame, words) = match patch {
                Some((side, &patch)) => framed(side, patch as usize),
                None => (String::new(), String::new()),
            };
            let (class, name) = (escape(class), escape(name) + &words);
            format!(
                "<span><i class='i{index}' role='img' title='{name}' aria-label='{name}'>{frame}</i>\
                 {class}</span>"
            )
        };
        nearest.iter().enumerate().map(cell).collect()
    }
}

/// A frame around a patch of an image with `side` patches on a side, and its place in words.
fn framed(side: usize, patch: usize) -> (String, String) {
    let (row, column) = (patch / side, patch % side);
    let percent = |part: usize| 100.0 * part as f64 / side as f64;
    let (top, left, size) = (percent(row), percent(column), percent(1));
    let frame =
        format!("<b style='top:{top:.2}%;left:{left:.2}%;width:{size:.2}%;height:{size:.2}%'></b>");
    (frame, format!(", patch in row {} and column {}", row + 1, column + 1))
}

/// A view as a small JPEG, in gray unless it has colors.
fn encode(view: &Image8) -> Result<Vec<u8>> {
    let side = view.width().min(SIDE);
    let small = crop_resize(view, Rect::whole(view), side, side);
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    if small.is_rgb() {
        encoder.write_image(small.pixels(), side, side, ExtendedColorType::Rgb8)?;
    } else {
        let first = small.pixels().chunks_exact(small.channels()).map(|pixel| pixel[0]);
        let gray: Vec<u8> = first.collect();
        encoder.write_image(&gray, side, side, ExtendedColorType::L8)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_lies_wordsits_patch_does() {
        let (frame, place) = framed(4, 7);
        assert_eq!(frame, "<b style='top:25.00%;left:75.00%;width:25.00%;height:25.00%'></b>");
        assert_eq!(place, ", patch in row 2 and column 4");
    }

    #[test]
    fn views_of_any_number_of_channels_become_pictures() {
        for channels in [1, 2, 3, 4, 5] {
            let view = Image8::filled(96, 96, &vec![90; channels]);
            let decoded = image::load_from_memory(&encode(&view).unwrap()).unwrap();
            assert_eq!((decoded.width(), decoded.height()), (SIDE, SIDE));
            assert_eq!(decoded.color().has_color(), channels == 3);
        }
    }
}
