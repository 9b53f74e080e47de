//! The images nearest to prototypes as small JPEGs. The page holds each image once, however many
//! prototypes it is near to.

use std::collections::BTreeMap;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use probe::analysis::mixture::Component;
use rayon::prelude::*;

use super::record::Record;
use crate::commands::analyze::subject::Input;
use crate::commands::pictures::thumbnail::{fit, jpeg};

/// Largest side of a thumbnail in pixels.
const SIDE: u32 = 64;

/// The nearest images of the components with the largest mass.
pub(super) struct Gallery {
    /// Number of components that have images, from the first on.
    pub(super) components: usize,
    /// By index in the source.
    images: BTreeMap<u32, Image>,
    /// Patches per side of an image, if patches are assigned.
    patch_grid: Option<usize>,
}

struct Image {
    jpeg: String,
    class: String,
    name: String,
}

/// The pixels of an image, for a rule of the style sheet.
pub(super) struct ImageRule<'a> {
    pub(super) index: u32,
    /// JPEG in base64.
    pub(super) jpeg: &'a str,
}

/// An image near a prototype.
pub(super) struct Thumbnail<'a> {
    /// Index of its [`ImageRule`].
    pub(super) index: u32,
    /// Name of its class. Empty without labels.
    pub(super) class: &'a str,
    /// Name of its file, and which patch is framed.
    pub(super) title: String,
    pub(super) frame: Option<Frame>,
}

/// A frame around a patch, in percent of the image.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) top: f64,
    pub(super) left: f64,
    pub(super) size: f64,
}

impl Gallery {
    /// Reads the nearest images of the first `max_components` components.
    ///
    /// # Errors
    /// An image cannot be read.
    pub(super) fn read(
        record: &Record<'_>,
        input: &Input<'_>,
        max_components: usize,
    ) -> Result<Self> {
        let components = &record.analysis.mixture.components;
        let components = &components[..max_components.min(components.len())];
        let mut indices: Vec<u32> = components.iter().flat_map(|c| &c.nearest).copied().collect();
        indices.sort_unstable();
        indices.dedup();
        let dataset = input.images.dataset();
        let images = indices.into_par_iter().map(|index| {
            let place = index as usize;
            let image = input.images.load(place, &input.preprocess.decode)?;
            let jpeg = STANDARD
                .encode(jpeg(&fit(&input.preprocess.view.view(&image).into_8_bits(), SIDE))?);
            let label = dataset.label(place).map(|label| label as usize);
            let class = label.and_then(|label| record.classes.get(label)).cloned();
            let class = class.unwrap_or_default();
            Ok((index, Image { jpeg, class, name: dataset.name(place) }))
        });
        let images = images.collect::<Result<BTreeMap<_, _>>>()?;
        let patch_grid = record.analysis.patch_grid;
        Ok(Self { components: components.len(), images, patch_grid })
    }

    /// All images.
    pub(super) fn rules(&self) -> impl Iterator<Item = ImageRule<'_>> {
        self.images.iter().map(|(&index, image)| ImageRule { index, jpeg: &image.jpeg })
    }

    /// The images of a component, nearest first. For patches, each image has a frame around its patch.
    pub(super) fn thumbnails(&self, component: &Component) -> Vec<Thumbnail<'_>> {
        let Component { nearest, nearest_patches, .. } = component;
        let thumbnail = |(place, &index): (usize, &u32)| {
            let Image { class, name, .. } = self.images.get(&index)?;
            let patch = self.patch_grid.zip(nearest_patches.get(place));
            let patch = patch.map(|(side, &patch)| (side, patch as usize));
            let position = patch.map(|(side, patch)| {
                format!(", patch in row {} and column {}", patch / side + 1, patch % side + 1)
            });
            Some(Thumbnail {
                index,
                class,
                title: name.clone() + &position.unwrap_or_default(),
                frame: patch.map(|(side, patch)| Frame::of(side, patch)),
            })
        };
        nearest.iter().enumerate().filter_map(thumbnail).collect()
    }
}

impl Frame {
    /// The frame of patch `patch` in an image with `side` patches per side, counted row by row.
    fn of(side: usize, patch: usize) -> Self {
        let percent = |patches: usize| 100.0 * patches as f64 / side as f64;
        Self { top: percent(patch / side), left: percent(patch % side), size: percent(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_covers_its_patch() {
        assert_eq!(Frame::of(4, 7), Frame { top: 25.0, left: 75.0, size: 25.0 });
    }
}
