//! The decoder of PBM, PGM and PPM files, text and binary, with the pixels of Pillow's
//! `PpmImagePlugin`.

use ::image::metadata::Orientation;

use super::samples::{Layout, Samples};
use super::stored::{Kind, ValueType};
use super::{Decoded, Depth, Options, damaged};
use crate::error::SampleError;

/// Limit on the digits of a number.
const MAX_DIGITS: usize = 10;

/// Reads the formats P1 to P6. As bytes, values are scaled to 0..=255, and gray with more than 8 bits
/// is reduced to the high byte. In full depth, values above 255 are kept as they are stored.
pub(super) fn read(bytes: &[u8], options: &Options, depth: Depth) -> Result<Decoded, SampleError> {
    let form = bytes.get(1).copied().unwrap_or(0);
    let mut text = Text { rest: &bytes[2..] };
    let width = side(text.header_number()?)?;
    let height = side(text.header_number()?)?;
    let bitmap = matches!(form, b'1' | b'4');
    let largest = if bitmap { 1 } else { text.header_number()? };
    if !(1..=65_535).contains(&largest) {
        return Err(damaged(format!("its largest value is {largest}, not 1 to 65535")));
    }
    let layout = if matches!(form, b'3' | b'6') { Layout::Rgb } else { Layout::Gray };
    options.check_size(width, height, layout.len() as u64)?;
    let len = width as usize * height as usize * layout.len();
    if largest > 255 && depth == Depth::Full {
        let values = match form {
            b'2' | b'3' => text.values(len, largest as u16)?,
            _ => wide(text.rest, len)?.collect(),
        };
        let values = values.into_iter().map(f32::from).collect();
        let white = largest as f32;
        let bits = largest.ilog2() as usize + 1;
        let value_type = ValueType { kind: Kind::Unsigned, bits, full: [0.0, white] };
        let samples = Samples { width, height, layout, values, white };
        return Ok(Decoded::deep(samples, value_type, Orientation::NoTransforms));
    }
    let values = match form {
        b'1' => text.bits(len)?,
        b'2' | b'3' => {
            let values = text.values(len, largest as u16)?;
            values.into_iter().map(|value| rescale(value, largest as u16, layout)).collect()
        }
        b'4' => unpack(text.rest, width as usize, height as usize)?,
        _ => read_binary(text.rest, len, largest as u16, layout)?,
    };
    let samples = Samples::bytes(width, height, layout, values);
    Ok(Decoded::new(samples, Orientation::NoTransforms))
}

fn side(number: u64) -> Result<u32, SampleError> {
    u32::try_from(number)
        .ok()
        .filter(|&side| side > 0)
        .ok_or_else(|| damaged(format!("a side of {number} pixels")))
}

fn cut() -> SampleError {
    damaged("the pixels end too early")
}

/// Unpacks eight pixels per byte; each row starts at a byte, and a set bit is black.
fn unpack(packed: &[u8], width: usize, height: usize) -> Result<Vec<u8>, SampleError> {
    let row_len = width.div_ceil(8);
    let packed = packed.get(..row_len * height).ok_or_else(cut)?;
    let bit = |row: &[u8], x: usize| if row[x / 8] << (x % 8) & 0x80 == 0 { 255 } else { 0 };
    Ok(packed.chunks_exact(row_len).flat_map(|row| (0..width).map(|x| bit(row, x))).collect())
}

/// Reads values of one byte each, or of two if `largest` needs them.
fn read_binary(
    bytes: &[u8],
    len: usize,
    largest: u16,
    layout: Layout,
) -> Result<Vec<u8>, SampleError> {
    if largest < 256 {
        let bytes = bytes.get(..len).ok_or_else(cut)?;
        if largest == 255 {
            return Ok(bytes.to_vec());
        }
        let table: Vec<u8> = (0..256).map(|v| rescale(v, largest, layout)).collect();
        return Ok(bytes.iter().map(|&v| table[usize::from(v)]).collect());
    }
    Ok(wide(bytes, len)?.map(|value| rescale(value, largest, layout)).collect())
}

/// Values of two bytes each.
fn wide(bytes: &[u8], len: usize) -> Result<impl Iterator<Item = u16>, SampleError> {
    let pairs = bytes.as_chunks::<2>().0.get(..len).ok_or_else(cut)?;
    Ok(pairs.iter().map(|&pair| u16::from_be_bytes(pair)))
}

/// Scales a value from `0..=largest` to `0..=255`.
///
/// Color is rounded to the nearest value, halves to even. Gray of more than 8 bits is scaled to 16
/// bits first, as in Pillow, and then reduced to the high byte.
fn rescale(value: u16, largest: u16, layout: Layout) -> u8 {
    let fraction = f64::from(value) / f64::from(largest);
    if largest > 255 && layout == Layout::Gray {
        let wide = (fraction * 65_535.0).round_ties_even().min(65_535.0);
        return (wide as u16 >> 8) as u8;
    }
    (fraction * 255.0).round_ties_even().min(255.0) as u8
}

/// A parser of numbers in text.
struct Text<'a> {
    rest: &'a [u8],
}

impl Text<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// Reads a number of the header, and one blank after it. A comment may be anywhere, even inside
    /// a number.
    fn header_number(&mut self) -> Result<u64, SampleError> {
        let mut digits = Vec::new();
        while let Some(byte) = self.next() {
            match byte {
                b'#' => while !matches!(self.next(), None | Some(b'\r' | b'\n')) {},
                _ if is_blank(byte) && digits.is_empty() => {}
                _ if is_blank(byte) => break,
                _ if digits.len() > MAX_DIGITS => break,
                _ => digits.push(byte),
            }
        }
        number(&digits)
    }

    /// Reads the next number between blanks and comments.
    fn number(&mut self) -> Result<u64, SampleError> {
        self.skip_blanks();
        let is_end = |byte: &u8| is_blank(*byte) || *byte == b'#';
        let len = self.rest.iter().position(is_end).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        if digits.is_empty() { Err(cut()) } else { number(digits) }
    }

    fn skip_blanks(&mut self) {
        while let Some(&byte) = self.rest.first() {
            if byte == b'#' {
                while !matches!(self.next(), None | Some(b'\r' | b'\n')) {}
            } else if is_blank(byte) {
                self.rest = &self.rest[1..];
            } else {
                break;
            }
        }
    }

    /// Reads `len` digits, with or without blanks between them; 1 is black.
    fn bits(&mut self, len: usize) -> Result<Vec<u8>, SampleError> {
        let mut values = Vec::with_capacity(len.min(self.rest.len()));
        while values.len() < len {
            self.skip_blanks();
            values.push(match self.next().ok_or_else(cut)? {
                b'0' => 255,
                b'1' => 0,
                _ => return Err(damaged("a pixel is neither 0 nor 1")),
            });
        }
        Ok(values)
    }

    fn values(&mut self, len: usize, largest: u16) -> Result<Vec<u16>, SampleError> {
        let mut values = Vec::with_capacity(len.min(self.rest.len()));
        while values.len() < len {
            let value = self.number()?;
            let value = u16::try_from(value).ok().filter(|&value| value <= largest);
            let value = value.ok_or_else(|| damaged("a value is above the largest"))?;
            values.push(value);
        }
        Ok(values)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn number(digits: &[u8]) -> Result<u64, SampleError> {
    let text = std::str::from_utf8(digits).ok().filter(|_| digits.len() <= MAX_DIGITS);
    let digits_only = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits_only
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged("a number is missing or not valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(file: &[u8]) -> Result<Vec<u8>, SampleError> {
        let decoded = read(file, &Options::default(), Depth::Bytes)?;
        decoded.into_bytes().map(|samples| samples.values)
    }

    #[test]
    fn text_has_comments_and_any_blanks() {
        assert_eq!(values(b"P2\n# two\n2 1\n255\n7\t#c\n 9").unwrap(), [7, 9]);
        assert_eq!(values(b"P1 3 1\n1 01").unwrap(), [0, 255, 0]);
        assert_eq!(values(b"P3 1 1 15 0 15 7").unwrap(), [0, 255, 119]);
    }

    #[test]
    fn values_are_scaled_to_a_byte() {
        assert_eq!(values(b"P5 2 1 1\n\0\x01").unwrap(), [0, 255]);
        assert_eq!(values(b"P5 1 1 65535\n\x12\x34").unwrap(), [0x12]);
        assert_eq!(values(b"P6 1 1 1023\n\x03\xFF\0\0\x02\0").unwrap(), [255, 0, 128]);
        assert_eq!(values(b"P4 9 1\n\x80\x80").unwrap(), [0, 255, 255, 255, 255, 255, 255, 255, 0]);
    }

    #[test]
    fn broken_headers_and_missing_pixels_are_refused() {
        for file in
            [&b"P5 2 1 255\n\x07"[..], b"P5 0 1 255\n", b"P5 1 1 0\n\0", b"P5 1 1 70000\n\0"]
        {
            assert!(values(file).is_err(), "{file:?}");
        }
        for file in [&b"P2 2 1 9 1"[..], b"P2 1 1 9 10", b"P1 1 1 2", b"P5 1", b"P2 1 1 9 -1"] {
            assert!(values(file).is_err(), "{file:?}");
        }
    }
}
