//! JPEG.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::samples::{Layout, Samples};
use super::{Decoded, Options, check_size, damaged, exif_orientation, unsupported};
use crate::error::SampleError;
use crate::image::RGB;

mod reduced;

/// Most pixels for each byte of compressed data. A block of 64 pixels takes one bit at least.
const MAX_PIXELS_PER_BYTE: u64 = 8 * 64;

/// Reads a JPEG, smaller than it is if that was asked for.
pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Decoded, SampleError> {
    let header = Header::read(bytes)?;
    let samples = match options.reduced_for {
        Some(side) if reduced::is_worthwhile(&header, side) => reduced::read(bytes, &header, side)?,
        _ => read_all(bytes, &header, options.channels)?,
    };
    Ok(Decoded { samples, orientation: exif_orientation(header.exif) })
}

/// All pixels; gray as one sample unless `wanted` is 3, as the decoder repeats it at no cost.
///
/// CMYK and YCCK become red, green and blue by Pillow's formula, the stored values taken as 255 less
/// the ink; the decoder's formula has the same results.
fn read_all(bytes: &[u8], header: &Header<'_>, wanted: usize) -> Result<Samples, SampleError> {
    let (layout, space) = match header.components {
        1 if wanted != RGB => (Layout::Gray, ColorSpace::Luma),
        _ => (Layout::Rgb, ColorSpace::RGB),
    };
    let options = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let values = decoder.decode().map_err(|error| match error {
        DecodeErrors::Unsupported(what) => unsupported(format!("{what:?}")),
        error => damaged(format!("{error:?}")),
    })?;
    Ok(Samples { width: header.width, height: header.height, layout, values })
}

/// What stands before the compressed data.
struct Header<'a> {
    width: u32,
    height: u32,
    components: u8,
    exif: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Reads the segments up to the compressed data, and looks for their end: the decoder fills what
    /// is missing with gray.
    fn read(bytes: &'a [u8]) -> Result<Self, SampleError> {
        let cut = || damaged("the JPEG data end too early");
        let (mut frame, mut exif) = (None, None);
        let mut rest = &bytes[2..];
        loop {
            let (marker, segment, after) = next_segment(rest).ok_or_else(cut)?;
            rest = after;
            match marker {
                0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                    frame = Some(read_frame(segment)?);
                }
                0xE1 if exif.is_none() && segment.starts_with(b"Exif\0\0") => exif = Some(segment),
                0xDA => break,
                _ => {}
            }
        }
        // inside the compressed data 0xFF is always followed by zero or another marker
        if !rest.windows(2).rev().any(|pair| pair == [0xFF, 0xD9]) {
            return Err(cut());
        }
        let (width, height, components) =
            frame.ok_or_else(|| damaged("there is no JPEG frame header before the data"))?;
        if u64::from(width) * u64::from(height) > MAX_PIXELS_PER_BYTE * rest.len() as u64 {
            return Err(damaged(format!("{} bytes for {width} x {height} pixels", rest.len())));
        }
        Ok(Self { width, height, components, exif })
    }
}

/// Width and height in the frame header, if one stands before the compressed data.
pub(super) fn frame_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut rest = bytes.get(2..)?;
    loop {
        let (marker, segment, after) = next_segment(rest)?;
        rest = after;
        match (marker, segment) {
            (0xC4 | 0xC8 | 0xCC, _) => {}
            (0xC0..=0xCF, &[_, h1, h0, w1, w0, ..]) => {
                let side = |bytes| u32::from(u16::from_be_bytes(bytes));
                return Some((side([w1, w0]), side([h1, h0])));
            }
            (0xDA, _) => return None,
            _ => {}
        }
    }
}

/// The next marker that has a segment, the segment, and what follows it.
fn next_segment(mut bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    loop {
        // any number of fill bytes may stand before a marker
        let start = bytes.iter().position(|&byte| byte == 0xFF)?;
        let skip = bytes[start..].iter().position(|&byte| byte != 0xFF)?;
        let marker = bytes[start + skip];
        bytes = &bytes[start + skip + 1..];
        if !matches!(marker, 0x00 | 0x01 | 0xD0..=0xD8) {
            let len = usize::from(u16::from_be_bytes(*bytes.first_chunk()?));
            return Some((marker, bytes.get(2..len)?, &bytes[len..]));
        }
    }
}

/// A frame header: bits, height, width, number of components.
fn read_frame(segment: &[u8]) -> Result<(u32, u32, u8), SampleError> {
    let &[bits, h1, h0, w1, w0, components, ..] = segment else {
        return Err(damaged("the JPEG frame header is too short"));
    };
    match (bits, components) {
        (8, 1 | 3 | 4) => {}
        (8, _) => return Err(unsupported("JPEG with other than 1, 3 or 4 components")),
        (12 | 16, _) => return Err(unsupported("JPEG with more than 8 bits per sample")),
        _ => return Err(damaged("the JPEG frame header is not valid")),
    }
    let [width, height] = [[w1, w0], [h1, h0]].map(|side| u32::from(u16::from_be_bytes(side)));
    // a progressive image keeps 2 bytes of coefficients for each sample until its end
    check_size(width, height, 2 * u64::from(components))?;
    Ok((width, height, components))
}
