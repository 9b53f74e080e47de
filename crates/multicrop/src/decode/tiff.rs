//! The decoder of TIFF and BigTIFF files.
//!
//! This module reads the directory, the layout of strips, tiles and planes, and the meaning of
//! samples; libraries do the decompression. Extra samples are dropped when strips and tiles are
//! copied.

use super::samples::{Layout, Samples};
use super::stored::{Kind, ValueType};
use super::{AnySamples, Decoded, Depth, Options, Pages, damaged, unsupported};
use crate::error::SampleError;
use page::{Color, Page};

mod chunk;
mod color;
mod compression;
pub(super) mod directory;
mod fax;
mod jpeg;
mod page;
mod stack;
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
pub(super) fn read(bytes: &[u8], options: &Options, depth: Depth) -> Result<Decoded, SampleError> {
    let directories: Vec<_> = Directory::pages(bytes)?.collect();
    let pages = directories.len();
    let decoded = if options.pages == Pages::Channels && pages > 1 {
        stack::read(bytes, &directories, options, depth)
    } else {
        let index = match options.pages {
            Pages::One(index) => index,
            Pages::Channels => 0,
        };
        let directory = directories.get(index).ok_or_else(|| match pages {
            0 => damaged("its directory is outside the file"),
            pages => damaged(format!("it has no page {}, but {pages}", index + 1)),
        })?;
        read_page(bytes, directory, options, options.channels, depth)
    };
    decoded.map(|decoded| Decoded { pages, ..decoded })
}

/// Number of pages, without reduced copies and masks; 1 if the file is damaged.
pub(super) fn page_count(bytes: &[u8]) -> usize {
    Directory::pages(bytes).map_or(0, Iterator::count).max(1)
}

/// Reads the page that `directory` describes, for an image of `wanted` channels.
fn read_page(
    bytes: &[u8],
    directory: &Directory<'_>,
    options: &Options,
    wanted: usize,
    depth: Depth,
) -> Result<Decoded, SampleError> {
    let page = Page::read(directory)?;
    let (layout, kept) = meaning(&page, wanted);
    check_memory(&page, kept, options)?;
    ycbcr::check(&page, directory)?;
    let only_high = page.bits == 16 && page.kind == Kind::Unsigned;
    let samples = match depth {
        Depth::Bytes if page.is_deep() && !only_high => {
            let value_type = ValueType::new(page.kind, page.bits);
            return Err(unsupported(format!("TIFF of {value_type} as 8 bits")));
        }
        Depth::Full if page.is_deep() => read_deep(&page, bytes, layout, kept)?,
        _ => {
            let values = read_chunks(
                &page,
                kept,
                |raw, rows| decompress_bytes(&page, directory, raw, rows),
                bytes,
            )?;
            let (width, height) = (page.width as u32, page.height as u32);
            let samples = Samples::bytes(width, height, layout, values);
            AnySamples::Bytes(into_color(samples, &page, directory)?)
        }
    };
    let orientation = super::metadata::orientation(Some(directory), directory.bytes(XMP));
    Ok(Decoded { samples, orientation, channels: Some(channels(&page)), pages: 1 })
}

/// Number of channels of a page, including extra samples; a palette counts with the channels of its
/// colors.
fn channels(page: &Page) -> usize {
    let more = page.samples - page.color.samples();
    if page.color == Color::Palette { 3 + more } else { page.samples }
}

/// Reads a page of more than 8 bits, in the units of the file.
fn read_deep(
    page: &Page,
    bytes: &[u8],
    layout: Layout,
    kept: usize,
) -> Result<AnySamples, SampleError> {
    if matches!(page.compression, compression::JPEG | compression::WEBP) {
        return Err(unsupported("TIFF with JPEG or WebP of other than 8 bits"));
    }
    let decompress = |raw: &[u8], rows| {
        let packed = chunk::decompress(page, raw, rows)?;
        Ok((color::to_floats(&packed, page), page.samples_in_chunk()))
    };
    let mut values = read_chunks(page, kept, decompress, bytes)?;
    let value_type = ValueType::new(page.kind, page.bits);
    let [_, white] = value_type.full;
    if page.color == Color::WhiteIsZero {
        let step = if layout == Layout::GrayAlpha { 2 } else { 1 };
        values.iter_mut().step_by(step).for_each(|value| *value = white - *value);
    }
    if page.extra.first() == Some(&PREMULTIPLIED) {
        match layout {
            Layout::Rgba => color::divide_floats_by_alpha::<4>(&mut values, white),
            Layout::GrayAlpha => color::divide_floats_by_alpha::<2>(&mut values, white),
            _ => {}
        }
    }
    let (width, height) = (page.width as u32, page.height as u32);
    Ok(AnySamples::Deep(Samples { width, height, layout, values, white }, value_type))
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
    let bytes = if page.is_deep() { 4 * kept } else { kept };
    options.check_size(page.width as u32, page.height as u32, bytes as u64)?;
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

/// Reads all chunks of all needed planes, `[height, width, kept]`. `decompress` returns the samples of
/// a chunk with some rows, and their number for each pixel.
fn read_chunks<T: Copy + Default>(
    page: &Page,
    kept: usize,
    decompress: impl Fn(&[u8], usize) -> Result<(Vec<T>, usize), SampleError>,
    bytes: &[u8],
) -> Result<Vec<T>, SampleError> {
    let mut values = vec![T::default(); page.width * page.height * kept];
    let planes = if page.planes { kept } else { 1 };
    for index in 0..page.in_plane() {
        for plane in 0..planes {
            let raw = page.raw(bytes, plane * page.in_plane() + index)?;
            let (samples, stored) = decompress(raw, page.rows(index))?;
            place(page, index, &samples, stored, &mut values[plane..], kept);
        }
    }
    Ok(values)
}

/// Decompresses a chunk to 8-bit samples, `[rows, chunk_width, samples]`, and returns their number too.
fn decompress_bytes(
    page: &Page,
    directory: &Directory<'_>,
    raw: &[u8],
    rows: usize,
) -> Result<(Vec<u8>, usize), SampleError> {
    match page.compression {
        compression::JPEG | compression::WEBP => jpeg::decompress(page, directory, raw, rows),
        _ if ycbcr::is_subsampled(page) => Ok((ycbcr::decompress(page, raw, rows)?, 3)),
        _ => {
            let packed = chunk::decompress(page, raw, rows)?;
            Ok((color::to_bytes(packed, page), page.samples_in_chunk()))
        }
    }
}

/// Copies the samples of a chunk, `stored` of each pixel, to their place in the image.
fn place<T: Copy>(
    page: &Page,
    index: usize,
    samples: &[T],
    stored: usize,
    values: &mut [T],
    kept: usize,
) {
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
