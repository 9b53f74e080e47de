//! Decodes strips and tiles that are complete JPEG or WebP files.

use super::super::jpeg::{self, frame_size};
use super::super::samples::Layout;
use super::super::{Options, webp};
use super::compression::WEBP;
use super::directory::Directory;
use super::page::{Color, Page};
use super::{damaged, unsupported};
use crate::error::SampleError;

/// Tag of the JPEG tables that all chunks share.
const JPEG_TABLES: u16 = 347;
const START: [u8; 2] = [0xFF, 0xD8];
const END: [u8; 2] = [0xFF, 0xD9];

/// Decodes a chunk to pixels, `[rows, chunk_width, samples]`, and returns the number of samples
/// too.
pub(super) fn decompress(
    page: &Page,
    directory: &Directory<'_>,
    raw: &[u8],
    rows: usize,
) -> Result<(Vec<u8>, usize), SampleError> {
    let samples = page.samples_in_chunk();
    if page.bits != 8 {
        return Err(unsupported("TIFF with JPEG or WebP of other than 8 bits"));
    }
    let options = Options { channels: samples, ..Options::default() };
    let decoded = if page.compression == WEBP {
        webp::read(raw, &options)?
    } else {
        let file = whole_file(page, directory, raw)?;
        check_frame(page, &file, rows)?;
        jpeg::read(&file, &options)?
    };
    let found = decoded.into_bytes()?;
    let (width, height) = (found.width as usize, found.height as usize);
    if width != page.chunk_width || height < rows {
        return Err(damaged(format!(
            "an image of {width} x {height} pixels in a strip or tile of {} x {rows}",
            page.chunk_width
        )));
    }
    let mut values = match (found.layout, samples) {
        (Layout::Gray, 1) | (Layout::Rgb, 3) | (Layout::Rgba, 4) => found.values,
        (Layout::Rgb, 4) if page.compression == WEBP => found.into_image(4)?.into_pixels(),
        // undo the inversion: the JPEG decoder assumes inverted inks, as in separate JPEG files
        (Layout::Cmyk, 4) => found.values.into_iter().map(|value| 255 - value).collect(),
        (layout, _) => {
            let what = format!("TIFF with {samples} samples in chunks of {layout:?}");
            return Err(unsupported(what));
        }
    };
    values.truncate(rows * width * samples);
    Ok((values, samples))
}

/// Turns a chunk into a complete JPEG file: adds the shared tables, and Adobe's marker for the
/// color space, which a TIFF stores in its directory.
fn whole_file(page: &Page, directory: &Directory<'_>, raw: &[u8]) -> Result<Vec<u8>, SampleError> {
    let body = raw.strip_prefix(&START).ok_or_else(|| damaged("a strip or tile is not a JPEG"))?;
    let transform = u8::from(page.color == Color::YCbCr);
    let mut file = START.to_vec();
    file.extend([0xFF, 0xEE, 0, 14]);
    file.extend(b"Adobe\0\x64\0\0\0\0");
    file.push(transform);
    if let Some(tables) = directory.bytes(JPEG_TABLES) {
        let tables = tables.strip_prefix(&START).unwrap_or(tables);
        file.extend(tables.strip_suffix(&END).unwrap_or(tables));
    }
    file.extend(without_application_markers(body));
    Ok(file)
}

/// The JPEG without JFIF's and Adobe's markers at its start, which could contradict the directory.
fn without_application_markers(mut body: &[u8]) -> &[u8] {
    while let [0xFF, 0xE0..=0xEF, high, low, ..] = *body {
        match body.get(2 + usize::from(u16::from_be_bytes([high, low]))..) {
            Some(rest) => body = rest,
            None => break,
        }
    }
    body
}

/// Refuses a JPEG that declares a larger size than the chunk, before allocating.
fn check_frame(page: &Page, file: &[u8], rows: usize) -> Result<(), SampleError> {
    let (width, height) =
        frame_size(file).ok_or_else(|| damaged("a strip or tile is not a JPEG"))?;
    let most = page.chunk_height.max(rows).next_multiple_of(16);
    if width as usize != page.chunk_width || height as usize > most {
        return Err(damaged(format!(
            "a JPEG of {width} x {height} pixels in a strip or tile of {} x {}",
            page.chunk_width, page.chunk_height
        )));
    }
    Ok(())
}
