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

use super::super::Opened;
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
}

/// What stands at an image.
struct Caption {
    class: String,
    name: String,
}

impl Gallery {
    /// Reads the images of at most `most` components.
    pub(super) fn new(found: &Found<'_>, opened: &Opened, most: usize) -> Result<Self> {
        let components = &found.mixture.components[..most.min(found.mixture.components.len())];
        let mut wanted: Vec<u32> = components.iter().flat_map(|c| &c.nearest).copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let dataset = opened.images.dataset();
        let encoded = wanted.par_iter().map(|&index| {
            let image = opened.images.load(index as usize, &opened.viewer.decode)?;
            encode(&opened.viewer.view.view(&image))
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
        Ok(Self { components: components.len(), style, captions })
    }

    /// The images of a component, nearest first.
    pub(super) fn strip(&self, component: &Component) -> String {
        let cell = |index: &u32| {
            let Some(Caption { class, name }) = self.captions.get(index) else {
                return String::new();
            };
            let (class, name) = (escape(class), escape(name));
            format!(
                "<span><i class='i{index}' role='img' title='{name}' aria-label='{name}'></i>\
                 {class}</span>"
            )
        };
        component.nearest.iter().map(cell).collect()
    }
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
    fn views_of_any_number_of_channels_become_pictures() {
        for channels in [1, 2, 3, 4, 5] {
            let view = Image8::filled(96, 96, &vec![90; channels]);
            let decoded = image::load_from_memory(&encode(&view).unwrap()).unwrap();
            assert_eq!((decoded.width(), decoded.height()), (SIDE, SIDE));
            assert_eq!(decoded.color().has_color(), channels == 3);
        }
    }
}
