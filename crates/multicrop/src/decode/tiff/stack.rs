//! Reads all pages of a TIFF as the channels of one image.

use super::super::samples::{Layout, Samples};
use super::directory::Directory;
use super::page::Page;
use super::{AnySamples, Decoded, Depth, Options, channels, damaged, read_page};
use crate::error::SampleError;

/// Reads the pages in their order. A page with several samples gives as many channels.
///
/// # Errors
/// If a page cannot be read, or has another size or type than the first.
pub(super) fn read(
    bytes: &[u8],
    pages: &[Directory<'_>],
    options: &Options,
    depth: Depth,
) -> Result<Decoded, SampleError> {
    let mut read = Vec::with_capacity(pages.len());
    let mut total = 0;
    for directory in pages {
        let page = Page::read(directory)?;
        total += channels(&page);
        let per_pixel = if page.is_deep() { 4 * total } else { total };
        options.check_size(page.width as u32, page.height as u32, per_pixel as u64)?;
        read.push(read_page(bytes, directory, options, channels(&page), depth)?);
    }
    let orientation = read[0].orientation;
    let samples = if read.iter().all(|page| matches!(page.samples, AnySamples::Bytes(_))) {
        let pages: Result<Vec<_>, _> = read.into_iter().map(Decoded::into_bytes).collect();
        AnySamples::Bytes(interleaved(pages?)?)
    } else {
        let mut types = Vec::new();
        let pages = read.into_iter().filter_map(|page| match page.samples {
            AnySamples::Deep(samples, value_type) => {
                types.push(value_type);
                Some(samples)
            }
            AnySamples::Bytes(_) => None,
        });
        let samples = interleaved(pages.collect())?;
        let first = types[0];
        if samples.layout.len() < total || types.iter().any(|other| *other != first) {
            return Err(damaged("its pages have different types, so they are not channels"));
        }
        AnySamples::Deep(samples, first)
    };
    Ok(Decoded { samples, orientation, channels: Some(total), pages: pages.len() })
}

/// Joins pages of equal size to one image with all of their samples.
fn interleaved<T: Copy + Default>(pages: Vec<Samples<T>>) -> Result<Samples<T>, SampleError> {
    let Samples { width, height, white, .. } = pages[0];
    if let Some(other) = pages.iter().find(|page| (page.width, page.height) != (width, height)) {
        return Err(damaged(format!(
            "a page of {} x {} pixels and one of {width} x {height} are not channels of one image; \
             `data.pages` can also be `first` or `images`",
            other.width, other.height
        )));
    }
    let total: usize = pages.iter().map(|page| page.layout.len()).sum();
    let mut values = vec![T::default(); width as usize * height as usize * total];
    let mut first = 0;
    for page in pages {
        let len = page.layout.len();
        let pixels = page.values.chunks_exact(len);
        for (out, pixel) in values.chunks_exact_mut(total).zip(pixels) {
            out[first..first + len].copy_from_slice(pixel);
        }
        first += len;
    }
    Ok(Samples { width, height, layout: Layout::Bands(total), values, white })
}
