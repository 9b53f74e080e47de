//! Checks, repairs and reads the chunks of a PNG file that the decoder of pixels ignores.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::{damaged, unsupported};
use crate::error::SampleError;

/// Length of the signature.
const SIGNATURE: usize = 8;
/// The last chunk.
const END: [u8; 12] = [0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xAE, 0x42, 0x60, 0x82];
/// The color type of palette indices.
const INDEXED: u8 = 3;
/// Limit on the bytes of a compressed text: Pillow's limit.
const MAX_TEXT: u64 = 1 << 20;

struct Chunk<'a> {
    kind: [u8; 4],
    body: &'a [u8],
    checksum: u32,
    /// Its offset in the file.
    at: usize,
}

/// The complete chunks of a file, up to the first that is cut off.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = SIGNATURE;
    std::iter::from_fn(move || {
        let (len, rest) = bytes.get(at..)?.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let (body, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        let checksum = u32::from_be_bytes(*rest.first_chunk()?);
        let chunk = Chunk { kind: *kind, body, checksum, at };
        at += 12 + body.len();
        Some(chunk)
    })
}

/// Refuses a wrong checksum in a header chunk before the pixels, and palette indices without a
/// palette.
pub(super) fn check_headers(bytes: &[u8]) -> Result<(), SampleError> {
    let mut indexed = false;
    let headers = chunks(bytes).take_while(|chunk| chunk.kind != *b"IDAT");
    for chunk in headers.filter(|chunk| matches!(&chunk.kind, b"IHDR" | b"PLTE" | b"tRNS")) {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&chunk.kind);
        hasher.update(chunk.body);
        if hasher.finalize() != chunk.checksum {
            let name = chunk.kind.escape_ascii();
            return Err(damaged(format!("the checksum of its chunk {name} is wrong")));
        }
        match &chunk.kind {
            b"IHDR" => indexed = chunk.body.get(9) == Some(&INDEXED),
            b"PLTE" => indexed = false,
            _ => {}
        }
    }
    if indexed {
        return Err(unsupported("PNG with palette indices and no palette"));
    }
    Ok(())
}

/// Adds an end chunk if the file has none, for example because it was cut off. Without it, the
/// decoder would not return pixels even if all are present. A last chunk that is cut off is kept up
/// to the cut.
pub(super) fn closed(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut end = SIGNATURE;
    for chunk in chunks(bytes) {
        if chunk.kind == *b"IEND" {
            return Cow::Borrowed(bytes);
        }
        end = chunk.at + 12 + chunk.body.len();
    }
    let mut whole = bytes[..end].to_vec();
    if let Some((_, rest)) = bytes[end..].split_first_chunk::<4>()
        && let Some(body) = rest.strip_prefix(b"IDAT")
    {
        whole.extend((body.len() as u32).to_be_bytes());
        whole.extend(rest);
        whole.extend([0; 4]); // checksums of pixels are ignored
    }
    whole.extend(END);
    Cow::Owned(whole)
}

/// Masks the transparent gray to the bit depth of the pixels: the standard ignores the other bits,
/// but the decoder compares them.
pub(super) fn with_small_gray(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let Some((at, gray)) = large_gray(&bytes) else { return bytes };
    let mut whole = bytes.into_owned();
    whole[at..at + 2].copy_from_slice(&gray);
    Cow::Owned(whole)
}

/// Offset and corrected value of a transparent gray that has more bits than the pixels.
fn large_gray(bytes: &[u8]) -> Option<(usize, [u8; 2])> {
    let mut headers = chunks(bytes).take_while(|chunk| chunk.kind != *b"IDAT");
    let [bits @ (1 | 2 | 4), 0] = *headers.next()?.body.get(8..10)? else { return None };
    let transparent = headers.find(|chunk| chunk.kind == *b"tRNS")?;
    let stored = *transparent.body.first_chunk::<2>()?;
    let gray = [0, stored[1] & !(u8::MAX << bits)];
    (gray != stored).then_some((transparent.at + 8, gray))
}

/// Metadata that may contain an orientation.
#[derive(Default)]
pub(super) struct Metadata {
    pub(super) exif: Option<Vec<u8>>,
    pub(super) xmp: Option<Vec<u8>>,
}

impl Metadata {
    /// Reads the EXIF chunk, and the text chunks that ImageMagick and Adobe use.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let (mut found, mut raw_profile) = (Self::default(), None);
        // Pillow ignores everything after the first image of an animation
        let animated = chunks(bytes).any(|chunk| chunk.kind == *b"acTL");
        let mut seen_pixels = false;
        for chunk in chunks(bytes) {
            seen_pixels |= chunk.kind == *b"IDAT";
            if animated && seen_pixels && chunk.kind == *b"fcTL" {
                break;
            }
            if chunk.kind == *b"eXIf" {
                found.exif = Some(chunk.body.to_vec());
            }
            let Some((keyword, text)) = text(&chunk) else { continue };
            match keyword {
                b"exif" => found.exif = Some(text),
                b"Raw profile type exif" => raw_profile = Some(text),
                b"XML:com.adobe.xmp" => found.xmp = Some(text),
                _ => {}
            }
        }
        found.exif = found.exif.or_else(|| bytes_of_profile(&raw_profile?));
        found
    }
}

/// Keyword and text of a text chunk.
fn text<'a>(chunk: &Chunk<'a>) -> Option<(&'a [u8], Vec<u8>)> {
    if !matches!(&chunk.kind, b"tEXt" | b"zTXt" | b"iTXt") {
        return None;
    }
    let (keyword, rest) = split_at_zero(chunk.body)?;
    if !matches!(keyword, b"exif" | b"Raw profile type exif" | b"XML:com.adobe.xmp") {
        return None;
    }
    let text = match &chunk.kind {
        b"tEXt" => rest.to_vec(),
        b"zTXt" => unpack(rest.strip_prefix(&[0])?)?,
        _ => {
            let (&[compressed, _], rest) = rest.split_first_chunk()?;
            let (_language, rest) = split_at_zero(rest)?;
            let (_translated_keyword, rest) = split_at_zero(rest)?;
            if compressed == 0 { rest.to_vec() } else { unpack(rest)? }
        }
    };
    Some((keyword, text))
}

fn split_at_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(MAX_TEXT).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Parses a profile as ImageMagick writes it: an empty line, its name, its length, and lines of
/// hexadecimal digits.
fn bytes_of_profile(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text.split(|&byte| byte == b'\n').skip(3);
    let digits: Vec<u8> =
        lines.flatten().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.as_chunks::<2>().0.iter();
    pairs.map(|&[high, low]| Some((digit(high)? * 16 + digit(low)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes()[..], kind, body, &[0; 4]].concat()
    }

    #[test]
    fn a_cut_file_gets_an_end() {
        let start = [&[0; SIGNATURE][..], &chunk(b"IDAT", b"ab")].concat();
        assert_eq!(closed(&start), [&start[..], &END].concat());
        assert_eq!(
            closed(&start[..start.len() - 5]),
            [&start[..SIGNATURE + 3], b"\x01IDATa\0\0\0\0", &END].concat()
        );
        let whole = [&start[..], &END].concat();
        assert!(matches!(closed(&whole), Cow::Borrowed(_)));
    }

    #[test]
    fn profiles_in_text_are_hexadecimal() {
        assert_eq!(bytes_of_profile(b"\nexif\n       3\n4d4d\n00\n").unwrap(), [0x4D, 0x4D, 0]);
        assert_eq!(bytes_of_profile(b"\nexif\n3\nxx"), None);
    }
}
