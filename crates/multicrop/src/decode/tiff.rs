//! TIFF, of several pages the first.

use std::io::Cursor;

use ::image::metadata::Orientation;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::Tag;
use ::tiff::{ColorType, TiffError};

use super::jpeg::frame_size;
use super::samples::{Layout, Samples};
use super::{Decoded, MAX_BYTES, check_size, damaged, unsupported};
use crate::error::SampleError;

mod color;
mod relabel;

/// Values of the tag that says what samples mean.
const RGB: u16 = 2;
const PALETTE: u16 = 3;
/// Value of the tag on compression: each chunk is a JPEG.
const JPEG: u16 = 7;
/// Value of the tag on extra samples: alpha with which the colors are already multiplied.
const PREMULTIPLIED: u16 = 1;
/// Value of the tag on extra samples: alpha beside full colors.
const ALPHA: u16 = 2;

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// Reads a TIFF. Four colored samples are taken as they are if `wanted` is four, and so are more.
pub(super) fn read(bytes: &[u8], wanted: usize) -> Result<Decoded, SampleError> {
    let mut decoder = open(bytes)?;
    check_jpeg_chunks(&mut decoder, bytes)?;
    let meaning = number(&mut decoder, Tag::PhotometricInterpretation)?;
    let samples_per_pixel = number(&mut decoder, Tag::SamplesPerPixel)?.unwrap_or(1);
    let extra = first_extra_sample(&mut decoder)?;
    let orientation = number(&mut decoder, Tag::Orientation)?
        .and_then(|tag| Orientation::from_exif(u8::try_from(tag).ok()?))
        .unwrap_or(Orientation::NoTransforms);
    let all_bands = meaning == Some(RGB)
        && samples_per_pixel > 3
        && usize::from(samples_per_pixel) == wanted
        && !matches!(extra, Some(PREMULTIPLIED | ALPHA));
    let samples = if meaning == Some(PALETTE) {
        let palette = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(explain)?;
        let gray = relabel::as_gray(bytes).ok_or_else(|| damaged("its directory is broken"))?;
        color::look_up(read_samples(&mut open(&gray)?, true)?, &palette)?
    } else if all_bands {
        let gray = relabel::as_gray(bytes).ok_or_else(|| damaged("its directory is broken"))?;
        read_samples(&mut open(&gray)?, false)?
    } else {
        read_samples(&mut decoder, false)?
    };
    let samples = match (samples.layout, extra) {
        (Layout::Rgba, Some(PREMULTIPLIED)) => color::divide_by_alpha(samples),
        (Layout::Bands(2), Some(PREMULTIPLIED | ALPHA)) => {
            Samples { layout: Layout::GrayAlpha, ..samples }
        }
        _ => samples,
    };
    Ok(Decoded { samples, orientation })
}

fn open(bytes: &[u8]) -> Result<Reader<'_>, SampleError> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_BYTES as usize;
    Ok(Decoder::new(Cursor::new(bytes)).map_err(explain)?.with_limits(limits))
}

fn number(decoder: &mut Reader<'_>, tag: Tag) -> Result<Option<u16>, SampleError> {
    decoder.find_tag_unsigned(tag).map_err(explain)
}

fn first_extra_sample(decoder: &mut Reader<'_>) -> Result<Option<u16>, SampleError> {
    let extra = decoder.find_tag_unsigned_vec(Tag::ExtraSamples).map_err(explain)?;
    Ok(extra.and_then(|extra: Vec<u16>| extra.first().copied()))
}

/// Refuses JPEG chunks that say to be larger than the directory has them: the decoder would take the
/// memory for that before it sees that they do not fit.
fn check_jpeg_chunks(decoder: &mut Reader<'_>, bytes: &[u8]) -> Result<(), SampleError> {
    if number(decoder, Tag::Compression)? != Some(JPEG) {
        return Ok(());
    }
    let (width, height) = decoder.chunk_dimensions();
    check_size(width, height, 8)?;
    for tag in [Tag::StripOffsets, Tag::TileOffsets] {
        let offsets: Option<Vec<u64>> = decoder.find_tag_unsigned_vec(tag).map_err(explain)?;
        for at in offsets.unwrap_or_default() {
            let chunk = usize::try_from(at).ok().and_then(|at| bytes.get(at..));
            let (frame_width, frame_height) = chunk
                .and_then(frame_size)
                .ok_or_else(|| damaged("a strip or tile is no JPEG, as it should be"))?;
            if frame_width > width || frame_height > height {
                return Err(damaged(format!(
                    "a JPEG of {frame_width} x {frame_height} pixels in a strip or tile of {width} x \
                     {height}"
                )));
            }
        }
    }
    Ok(())
}

/// All samples of the page, interleaved, 8 bits each; few bits stay as they are if they are `indices`
/// and are spread over 0..=255 if not.
fn read_samples(decoder: &mut Reader<'_>, indices: bool) -> Result<Samples, SampleError> {
    let (width, height) = decoder.dimensions().map_err(explain)?;
    let color = decoder.colortype().map_err(explain)?;
    let (layout, bits) = layout(color)?;
    check_size(width, height, (layout.len() * usize::from(bits.div_ceil(8))) as u64)?;
    let formats: Option<Vec<u16>> =
        decoder.find_tag_unsigned_vec(Tag::SampleFormat).map_err(explain)?;
    if formats.is_some_and(|formats| formats.iter().any(|&format| format != 1)) {
        return Err(unsupported("TIFF with signed or floating-point samples"));
    }
    let mut buffer = DecodingResult::U8(Vec::new());
    let planes = decoder.read_image_to_buffer(&mut buffer).map_err(explain)?.planes;
    let values = match buffer {
        DecodingResult::U8(values) if bits < 8 => {
            color::unpack(&values, width as usize * layout.len(), bits, indices)
        }
        DecodingResult::U8(values) => values,
        DecodingResult::U16(values) => values.into_iter().map(|value| (value >> 8) as u8).collect(),
        _ => return Err(unsupported(format!("TIFF with pixels of the form {color:?}"))),
    };
    let values = if planes > 1 { color::interleave(&values, planes) } else { values };
    let values = match color {
        ColorType::YCbCr(_) => color::rgb_of_ycbcr(values),
        _ => values,
    };
    Ok(Samples { width, height, layout, values })
}

/// What the decoder returns, and the bits of a sample.
fn layout(color: ColorType) -> Result<(Layout, u8), SampleError> {
    Ok(match color {
        ColorType::Gray(bits @ (1 | 2 | 4 | 8 | 16)) => (Layout::Gray, bits),
        ColorType::GrayA(bits @ (8 | 16)) => (Layout::GrayAlpha, bits),
        ColorType::RGB(bits @ (8 | 16)) => (Layout::Rgb, bits),
        ColorType::RGBA(bits @ (8 | 16)) => (Layout::Rgba, bits),
        ColorType::CMYK(bits @ (8 | 16)) => (Layout::Cmyk, bits),
        ColorType::YCbCr(8) => (Layout::Rgb, 8),
        ColorType::Multiband { bit_depth: bits @ (8 | 16), num_samples } => {
            (Layout::Bands(usize::from(num_samples)), bits)
        }
        color => return Err(unsupported(format!("TIFF with pixels of the form {color:?}"))),
    })
}

fn explain(error: TiffError) -> SampleError {
    match error {
        TiffError::UnsupportedError(error) => unsupported(error),
        error => damaged(error),
    }
}
