//! The decoder of TIFF and BigTIFF files; of several pages it reads the first.
//!
//! This module reads the directory, the layout of strips, tiles and planes, and the meaning of
//! samples; libraries do the decompression. Extra samples are dropped when strips and tiles are
//! copied.

use super::samples::{Layout, Samples};
use super::{Decoded, Options, damaged, unsupported};
use crate::error::SampleError;
use page::{Color, Page};

mod chunk;
mod color;
mod compression;
pub(super) mod directory;
mod fax;
mod jpeg;
mod page;
mod ycbcr;

use directory::Directory;

/// Tags.
const COLOR_MAP: u16 = 320;
const XMP: u16 = 700;
/// Values of the tag for extra samples: unspecified, and alpha with or without premultiplied
/// colors.
const UNSPECIFIED: u64 = 0;
const PREMULTIPLIED: u64 = 1;
const ALPHA: u64 = 2;
/// Corel Draw's value for alpha in the same tag.
const ALPHA_OF_COREL: u64 = 999;

/// Reads a TIFF file. Four or more samples are returned unchanged if `options` ask for that number
/// of channels.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let directory = Directory::read(bytes)?;
    let page = Page::read(&directory)?;
    let (layout, kept) = meaning(&page, options.channels);
    check_memory(&page, kept, options)?;
    ycbcr::check(&page, &directory)?;
    let mut values = vec![0; page.width * page.height * kept];
    for index in 0..page.in_plane() {
        read_chunk(&page, &directory, bytes, index, &mut values, kept)?;
    }
    let samples = Samples { width: page.width as u32, height: page.height as u32, layout, values };
    let samples = into_color(samples, &page, &directory)?;
    let orientation = super::metadata::orientation(Some(&directory), directory.bytes(XMP));
    Ok(Decoded { samples, orientation })
}

/// Number of channels of the file, including extra samples; a palette counts with the channels of
/// its colors.
pub(super) fn channels(bytes: &[u8]) -> Option<usize> {
    let page = Page::read(&Directory::read(bytes).ok()?).ok()?;
    let more = page.samples - page.color.samples();
    Some(if page.color == Color::Palette { 3 + more } else { page.samples })
}

/// The meaning of the samples of a pixel, and how many of them are needed.
fn meaning(page: &Page, wanted: usize) -> (Layout, usize) {
    let extra = page.extra.first().copied();
    let has_alpha = matches!(extra, Some(PREMULTIPLIED | ALPHA | ALPHA_OF_COREL));
    let unspecified = extra == Some(UNSPECIFIED) || !has_alpha && extra.is_some();
    let all = match page.color {
        Color::Rgb => page.samples == wanted && (wanted > 4 || wanted == 4 && unspecified),
        _ => page.samples == wanted && wanted > 4,
    };
    let colors = page.color.samples();
    let more = page.samples > colors;
    let layout = match page.color {
        _ if all => Layout::Bands(page.samples),
        Color::WhiteIsZero | Color::BlackIsZero if !more => Layout::Gray,
        Color::WhiteIsZero | Color::BlackIsZero if has_alpha => Layout::GrayAlpha,
        Color::WhiteIsZero | Color::BlackIsZero => Layout::Bands(page.samples),
        Color::Palette if more && has_alpha => Layout::GrayAlpha, // an index and alpha
        Color::Palette => Layout::Gray,
        Color::Cmyk => Layout::Cmyk,
        // like Pillow, treat a fourth sample that the file does not describe as alpha
        Color::Rgb if more && !unspecified => Layout::Rgba,
        Color::Rgb | Color::YCbCr => Layout::Rgb,
    };
    (layout, layout.len())
}

/// Refuses a file that would take too much memory or time: checks the image, a chunk, and all
/// chunks together, whose edges may extend far outside the image.
fn check_memory(page: &Page, kept: usize, options: &Options) -> Result<(), SampleError> {
    options.check_size(page.width as u32, page.height as u32, kept as u64)?;
    let pixels = page.chunk_width as u64 * page.chunk_height as u64;
    let stored = (page.samples_in_chunk() * page.bits.div_ceil(8)) as u64;
    let all = pixels.saturating_mul(stored).saturating_mul(page.in_plane() as u64);
    // 64 is an image of `max_pixels` pixels with 16 samples of 2 bytes, in tiles that are half
    // empty
    if all > options.max_pixels.saturating_mul(64) {
        return Err(damaged(format!(
            "strips or tiles of {} x {} pixels for {} x {}",
            page.chunk_width, page.chunk_height, page.width, page.height
        )));
    }
    Ok(())
}

/// Reads chunk `index` of each plane into `values`, `[height, width, kept]`.
fn read_chunk(
    page: &Page,
    directory: &Directory<'_>,
    bytes: &[u8],
    index: usize,
    values: &mut [u8],
    kept: usize,
) -> Result<(), SampleError> {
    let rows = page.rows(index);
    let planes = if page.planes { kept } else { 1 };
    for plane in 0..planes {
        let raw = page.raw(bytes, plane * page.in_plane() + index)?;
        // [rows, chunk_width, samples], 8 bits
        let (samples, stored) = match page.compression {
            compression::JPEG | compression::WEBP => jpeg::decompress(page, directory, raw, rows)?,
            _ if ycbcr::is_subsampled(page) => (ycbcr::decompress(page, raw, rows)?, 3),
            _ => {
                let packed = chunk::decompress(page, raw, rows)?;
                (color::to_bytes(packed, page), page.samples_in_chunk())
            }
        };
        place(page, index, &samples, stored, &mut values[plane..], kept);
    }
    Ok(())
}

/// Copies the samples of a chunk, `stored` of each pixel, to their place in the image.
fn place(page: &Page, index: usize, samples: &[u8], stored: usize, values: &mut [u8], kept: usize) {
    let (top, left) =
        (index / page.across() * page.chunk_height, index % page.across() * page.chunk_width);
    let width = page.chunk_width.min(page.width - left);
    let height = page.rows(index).min(page.height - top);
    let copied = if page.planes { 1 } else { kept };
    let rows = samples.chunks_exact(page.chunk_width * stored);
    for (row, y) in rows.take(height).zip(top..) {
        let out = &mut values[(y * page.width + left) * kept..];
        if stored == kept && copied == kept {
            out[..width * kept].copy_from_slice(&row[..width * kept]);
            continue;
        }
        for (pixel, out) in row.chunks_exact(stored).zip(out.chunks_mut(kept)).take(width) {
            out[..copied].copy_from_slice(&pixel[..copied]);
        }
    }
}

/// Converts samples from their meaning in a TIFF to the meaning in [`Samples`].
fn into_color(
    mut samples: Samples,
    page: &Page,
    directory: &Directory<'_>,
) -> Result<Samples, SampleError> {
    if page.color == Color::WhiteIsZero {
        let step = if samples.layout == Layout::GrayAlpha { 2 } else { 1 };
        samples.values.iter_mut().step_by(step).for_each(|value| *value = 255 - *value);
    }
    if page.color == Color::Palette {
        let palette = directory.numbers(COLOR_MAP).ok_or_else(|| damaged("it has no palette"))?;
        return Ok(color::look_up(samples, &palette));
    }
    if page.color == Color::YCbCr && !matches!(page.compression, compression::JPEG if !page.planes)
    {
        samples.values = color::rgb_of_ycbcr(samples.values);
    }
    if page.extra.first() == Some(&PREMULTIPLIED) {
        match samples.layout {
            Layout::Rgba => color::divide_by_alpha::<4>(&mut samples.values),
            Layout::GrayAlpha => color::divide_by_alpha::<2>(&mut samples.values),
            _ => {}
        }
    }
    Ok(samples)
}
