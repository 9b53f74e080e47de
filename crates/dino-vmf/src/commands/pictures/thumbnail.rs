//! Small copies of images.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use multicrop::image::Rect;
use multicrop::resize::crop_resize;
use multicrop::{Dataset, Image8, decode};
use rayon::prelude::*;

/// Quality of the JPEGs. As PNG, a page with hundreds of photographs would exceed 10 MB.
const QUALITY: u8 = 90;
/// Longest side of a picture on a board, in pixels.
const SIDE: u32 = 112;

/// Small copies of the images at these places of a source.
///
/// # Errors
/// An image cannot be read.
pub(crate) fn load(
    dataset: &dyn Dataset,
    decode: &decode::Options,
    mut places: Vec<usize>,
) -> Result<BTreeMap<usize, Image8>> {
    places.sort_unstable();
    places.dedup();
    let load = |place: usize| {
        let image = dataset.load(place, decode);
        let image = image.with_context(|| format!("cannot read `{}`", dataset.name(place)))?;
        Ok((place, fit(&image.into_8_bits(), SIDE)))
    };
    places.into_par_iter().map(load).collect()
}

/// The whole image, with sides of at most `side` pixels. Small images are not enlarged.
pub(crate) fn fit(image: &Image8, side: u32) -> Image8 {
    let longest = image.width().max(image.height());
    if longest <= side {
        return image.clone();
    }
    let scaled = |length: u32| {
        let length = f64::from(length) * f64::from(side) / f64::from(longest);
        (length.round() as u32).max(1)
    };
    crop_resize(image, Rect::whole(image), scaled(image.width()), scaled(image.height()))
}

/// Encodes an image as JPEG: in color if it has three channels, otherwise its first channel in gray.
///
/// # Errors
/// If the encoder refuses it.
pub(crate) fn jpeg(image: &Image8) -> Result<Vec<u8>> {
    let (width, height) = (image.width(), image.height());
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    if image.is_rgb() {
        encoder.write_image(image.pixels(), width, height, ExtendedColorType::Rgb8)?;
    } else {
        let first = image.pixels().chunks_exact(image.channels()).map(|pixel| pixel[0]);
        let gray: Vec<u8> = first.collect();
        encoder.write_image(&gray, width, height, ExtendedColorType::L8)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_with_any_number_of_channels_are_encoded() {
        for channels in [1, 2, 3, 4, 5] {
            let image = Image8::filled(300, 150, &vec![90; channels]);
            let encoded = jpeg(&fit(&image, 64)).unwrap();
            let decoded = image::load_from_memory(&encoded).unwrap();
            assert_eq!((decoded.width(), decoded.height()), (64, 32));
            assert_eq!(decoded.color().has_color(), channels == 3);
        }
    }

    #[test]
    fn small_images_keep_their_size_and_thin_ones_a_pixel() {
        let size = |width, height| {
            let image = fit(&Image8::filled(width, height, &[1, 2, 3]), 100);
            (image.width(), image.height())
        };
        assert_eq!([size(32, 20), size(1000, 1), size(50, 200)], [(32, 20), (100, 1), (25, 100)]);
    }
}
