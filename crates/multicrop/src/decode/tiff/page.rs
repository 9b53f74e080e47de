//! [`Page`] holds the layout of the pixels of a page of a TIFF, as its directory describes it.

use super::compression::{self, check_compression, has_predictor};
use super::directory::Directory;
use super::fax::Coding;
use super::{Kind, damaged, unsupported};
use crate::error::SampleError;

/// Tags.
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_LENGTHS: u16 = 279;
const PLANES: u16 = 284;
const GROUP_3_OPTIONS: u16 = 292;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
const SUBSAMPLING: u16 = 530;

/// The color space of a pixel, without its extra samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
}

impl Color {
    /// Number of samples of a pixel, without extra samples.
    pub(super) fn samples(self) -> usize {
        match self {
            Self::WhiteIsZero | Self::BlackIsZero | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

/// The layout of a page.
pub(super) struct Page {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) color: Color,
    /// Bits of a sample: 1, 2, 4, 8, 16, 32 or 64.
    pub(super) bits: usize,
    pub(super) kind: Kind,
    /// Number of samples of a pixel, including extra samples.
    pub(super) samples: usize,
    /// The types of the extra samples; empty if the file does not specify them.
    pub(super) extra: Vec<u64>,
    pub(super) big_endian: bool,
    pub(super) compression: u64,
    /// 1, or 2 for differences along a row, or 3 for those of the bytes of floats.
    pub(super) predictor: u64,
    pub(super) reversed_bits: bool,
    /// Whether each sample has separate chunks.
    pub(super) planes: bool,
    two_dimensional_fax: bool,
    /// Size of a strip or tile in pixels.
    pub(super) chunk_width: usize,
    pub(super) chunk_height: usize,
    pub(super) tiled: bool,
    /// Offsets of the chunks, ordered from left to right, then down, then by plane.
    offsets: Vec<u64>,
    /// Lengths of the chunks in bytes; empty if unknown.
    lengths: Vec<u64>,
    /// Pixels that share a chroma sample, across and down.
    pub(super) subsampling: (usize, usize),
}

impl Page {
    pub(super) fn read(directory: &Directory<'_>) -> Result<Self, SampleError> {
        let number = |tag| directory.number(tag);
        let compression = number(COMPRESSION).unwrap_or(compression::NONE);
        check_compression(compression)?;
        let [width, height] = [WIDTH, HEIGHT].map(|tag| size(number(tag)));
        let (width, height) = (width?, height?);
        let samples = number(SAMPLES).unwrap_or(1) as usize;
        let color = color(number(PHOTOMETRIC).unwrap_or(0), samples)?;
        let tiled = number(TILE_WIDTH).is_some();
        let (chunk_width, chunk_height) = if tiled {
            (size(number(TILE_WIDTH))?, size(number(TILE_HEIGHT))?)
        } else {
            let rows = number(ROWS_PER_STRIP).unwrap_or(u64::from(u32::MAX));
            (width, size(Some(rows.min(height as u64)))?)
        };
        let subsampling = directory.numbers(SUBSAMPLING).unwrap_or_default();
        let page = Self {
            width,
            height,
            color,
            bits: bits(directory, samples)?,
            kind: kind(directory)?,
            samples,
            extra: directory.numbers(EXTRA_SAMPLES).unwrap_or_default(),
            big_endian: directory.big_endian,
            compression,
            predictor: number(PREDICTOR).filter(|_| has_predictor(compression)).unwrap_or(1),
            reversed_bits: number(FILL_ORDER) == Some(2),
            planes: number(PLANES) == Some(2) && samples > 1,
            two_dimensional_fax: number(GROUP_3_OPTIONS).is_some_and(|options| options & 1 == 1),
            chunk_width,
            chunk_height,
            tiled,
            offsets: first(directory, [TILE_OFFSETS, STRIP_OFFSETS])
                .ok_or_else(|| damaged("it has no offsets of strips or tiles"))?,
            lengths: first(directory, [TILE_LENGTHS, STRIP_LENGTHS]).unwrap_or_default(),
            subsampling: match subsampling[..] {
                [across, down, ..] => (across as usize, down as usize),
                _ => (2, 2),
            },
        };
        page.check()?;
        Ok(page)
    }

    fn check(&self) -> Result<(), SampleError> {
        if self.samples < self.color.samples() {
            return Err(damaged(format!("{} samples are too few for its color", self.samples)));
        }
        self.check_values()?;
        if self.offsets.len() < self.chunks() {
            return Err(damaged(format!(
                "{} strips or tiles where {} are needed",
                self.offsets.len(),
                self.chunks()
            )));
        }
        Ok(())
    }

    fn check_values(&self) -> Result<(), SampleError> {
        let Self { bits, samples, predictor, .. } = *self;
        if bits < 8 && (samples > 1 || predictor != 1 || self.kind != Kind::Unsigned) {
            return Err(unsupported(format!("TIFF with {samples} samples of {bits} bits")));
        }
        let floats = self.kind == Kind::Float;
        if floats && bits < 16 {
            return Err(unsupported(format!("TIFF with floats of {bits} bits")));
        }
        if !(matches!(predictor, 1 | 2) || predictor == 3 && floats) {
            return Err(unsupported(format!("TIFF with predictor {predictor}")));
        }
        if matches!(self.color, Color::Palette | Color::YCbCr) && self.is_deep() {
            return Err(unsupported("TIFF with palette or YCbCr of more than 8 bits"));
        }
        if self.color == Color::WhiteIsZero && self.kind != Kind::Unsigned {
            return Err(unsupported("TIFF whose signed integers or floats are inverted"));
        }
        Ok(())
    }

    /// Whether a sample is anything but an unsigned integer of at most 8 bits.
    pub(super) fn is_deep(&self) -> bool {
        self.bits > 8 || self.kind != Kind::Unsigned
    }

    /// Number of chunks in a row.
    pub(super) fn across(&self) -> usize {
        self.width.div_ceil(self.chunk_width)
    }

    /// Number of chunks of a plane, or of the image if it has no planes.
    pub(super) fn in_plane(&self) -> usize {
        self.across() * self.height.div_ceil(self.chunk_height)
    }

    fn chunks(&self) -> usize {
        self.in_plane() * if self.planes { self.samples } else { 1 }
    }

    /// Number of samples of a pixel in one chunk.
    pub(super) fn samples_in_chunk(&self) -> usize {
        if self.planes { 1 } else { self.samples }
    }

    /// Length of a row of a chunk, in bytes.
    pub(super) fn row_len(&self) -> usize {
        (self.chunk_width * self.samples_in_chunk() * self.bits).div_ceil(8)
    }

    /// Number of rows to read of chunk `index` of a plane: a strip ends with the image, a tile does
    /// not.
    pub(super) fn rows(&self, index: usize) -> usize {
        let top = index / self.across() * self.chunk_height;
        // an uncompressed tile may lack the rows below the image
        let whole = self.tiled && self.compression != compression::NONE;
        if whole { self.chunk_height } else { self.chunk_height.min(self.height - top) }
    }

    /// The compressed bytes of a chunk.
    pub(super) fn raw<'a>(&self, bytes: &'a [u8], index: usize) -> Result<&'a [u8], SampleError> {
        let outside = || damaged("a strip or tile is outside the file");
        let offset = usize::try_from(self.offsets[index]).map_err(|_| outside())?;
        let from = bytes.get(offset..).ok_or_else(outside)?;
        // the length of uncompressed data follows from their size, so ignore the declared length
        let len = self
            .lengths
            .get(index)
            .filter(|&&len| len > 0 && self.compression != compression::NONE);
        match len {
            Some(&len) => usize::try_from(len).ok().and_then(|len| from.get(..len)),
            None => Some(from),
        }
        .ok_or_else(outside)
    }

    pub(super) fn fax_coding(&self) -> Coding {
        match (self.compression, self.two_dimensional_fax) {
            (compression::FAX_RLE, _) => Coding::Rle,
            (compression::FAX_3, false) => Coding::Group3,
            (compression::FAX_3, true) => Coding::Group3TwoDimensional,
            _ => Coding::Group4,
        }
    }
}

fn first(directory: &Directory<'_>, tags: [u16; 2]) -> Option<Vec<u64>> {
    tags.into_iter().find_map(|tag| directory.numbers(tag))
}

fn size(number: Option<u64>) -> Result<usize, SampleError> {
    let size = number.and_then(|size| u32::try_from(size).ok()).filter(|&size| size > 0);
    size.map(|size| size as usize).ok_or_else(|| damaged("a size is missing or out of range"))
}

fn color(photometric: u64, samples: usize) -> Result<Color, SampleError> {
    let name = match photometric {
        0 => return Ok(Color::WhiteIsZero),
        1 => return Ok(Color::BlackIsZero),
        2 => return Ok(Color::Rgb),
        3 => return Ok(Color::Palette),
        5 => return Ok(Color::Cmyk),
        6 if samples == 1 => return Ok(Color::BlackIsZero),
        6 => return Ok(Color::YCbCr),
        4 => "a transparency mask",
        8..=10 => "L*a*b* colors",
        32803 => "a color filter array (camera raw)",
        32844 | 32845 => "LogLuv colors",
        34892 => "linear raw colors",
        other => return Err(unsupported(format!("TIFF with photometric interpretation {other}"))),
    };
    Err(unsupported(format!("TIFF with {name}")))
}

/// Number of bits of a sample, which must be equal for all samples of a pixel.
fn bits(directory: &Directory<'_>, samples: usize) -> Result<usize, SampleError> {
    let bits = directory.numbers(BITS).unwrap_or_else(|| vec![1]);
    let bits = &bits[..bits.len().min(samples)];
    let Some(&first) = bits.first() else {
        return Err(damaged("a pixel has no samples"));
    };
    if bits.iter().any(|&bits| bits != first) {
        return Err(unsupported("TIFF with samples of different widths"));
    }
    if bits.len() > 1 && bits.len() < samples {
        return Err(damaged(format!("the widths of {} of {samples} samples", bits.len())));
    }
    match first {
        1 | 2 | 4 | 8 | 16 | 32 | 64 => Ok(first as usize),
        other => Err(unsupported(format!("TIFF with {other} bits per sample"))),
    }
}

/// The kind of the samples, which must be equal for all samples of a pixel.
fn kind(directory: &Directory<'_>) -> Result<Kind, SampleError> {
    let formats = directory.numbers(SAMPLE_FORMAT).unwrap_or_default();
    let first = formats.first().copied().unwrap_or(1);
    if formats.iter().any(|&format| format != first) {
        return Err(unsupported("TIFF with samples of different types"));
    }
    match first {
        // 4 is "undefined", which programs write for integers
        1 | 4 => Ok(Kind::Unsigned),
        2 => Ok(Kind::Signed),
        3 => Ok(Kind::Float),
        _ => Err(unsupported("TIFF with complex samples")),
    }
}
