//! The orientation that a file's metadata asks for, from every place where Pillow looks for it: EXIF
//! first, and XMP if EXIF says nothing.

use ::image::metadata::Orientation;

use super::tiff::directory::Directory;

/// Names at the start of JPEG's metadata segments.
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// The orientation that an EXIF block or an XMP packet asks for, if there are any.
pub(super) fn of_blocks(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let directory = exif.and_then(|mut exif| {
        // some programs write JPEG's name of the block into other formats too
        while let Some(rest) = exif.strip_prefix(EXIF) {
            exif = rest;
        }
        Directory::read(exif).ok()
    });
    orientation(directory.as_ref(), xmp)
}

/// The orientation that a directory asks for, or if it has no such tag, an XMP packet.
pub(super) fn orientation(directory: Option<&Directory<'_>>, xmp: Option<&[u8]>) -> Orientation {
    let tag = directory.and_then(Directory::orientation).or_else(|| of_xmp(xmp?));
    tag.and_then(|tag| Orientation::from_exif(u8::try_from(tag).ok()?))
        .unwrap_or(Orientation::NoTransforms)
}

/// The digit behind `tiff:Orientation="` or `<tiff:Orientation>`.
fn of_xmp(packet: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut places = packet.windows(NAME.len()).enumerate().filter(|(_, part)| *part == NAME);
    places.find_map(|(at, _)| match packet[at + NAME.len()..] {
        [b'=', b'"', digit @ b'0'..=b'9', ..] | [b'>', digit @ b'0'..=b'9', ..] => {
            Some(u64::from(digit - b'0'))
        }
        _ => None,
    })
}

/// The orientation in a JPEG: an EXIF block may be spread over several segments.
pub(super) fn of_jpeg(bytes: &[u8]) -> Orientation {
    let (mut exif, mut xmp) = (Vec::new(), None);
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some((marker, segment, after)) = next_segment(rest) {
        rest = after;
        match marker {
            0xE1 if segment.starts_with(EXIF) => exif.extend_from_slice(&segment[EXIF.len()..]),
            0xE1 if segment.starts_with(XMP) => xmp = Some(&segment[XMP.len()..]),
            0xDA => break,
            _ => {}
        }
    }
    of_blocks(Some(&exif), xmp)
}

/// The next marker that has a segment, the segment, and what follows it.
fn next_segment(mut bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    loop {
        let start = bytes.iter().position(|&byte| byte == 0xFF)?;
        // any number of fill bytes may stand before a marker
        let fill = bytes[start..].iter().position(|&byte| byte != 0xFF)?;
        let marker = bytes[start + fill];
        bytes = &bytes[start + fill + 1..];
        if !matches!(marker, 0x00 | 0x01 | 0xD0..=0xD8) {
            let len = usize::from(u16::from_be_bytes(*bytes.first_chunk()?));
            return Some((marker, bytes.get(2..len)?, &bytes[len..]));
        }
    }
}

/// The orientation in a WebP.
pub(super) fn of_webp(bytes: &[u8]) -> Orientation {
    of_blocks(webp_chunk(bytes, b"EXIF"), webp_chunk(bytes, b"XMP "))
}

/// The body of a chunk. The decoder's own access would take as much memory as the chunk says it has.
fn webp_chunk<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(12..)?; // `RIFF`, size, `WEBP`
    loop {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (len, body) = after.split_first_chunk()?;
        let len = u32::from_le_bytes(*len) as usize;
        if name == wanted {
            return body.get(..len);
        }
        rest = body.get(len.checked_next_multiple_of(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNED: &[u8] = b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

    #[test]
    fn exif_goes_before_xmp() {
        let xmp: &[u8] = b"<x tiff:Orientation=\"3\"/>";
        assert_eq!(of_blocks(Some(TURNED), Some(xmp)), Orientation::Rotate90);
        assert_eq!(of_blocks(None, Some(xmp)), Orientation::Rotate180);
        let mut upright = TURNED.to_vec();
        upright[19] = 1;
        assert_eq!(of_blocks(Some(&upright), Some(xmp)), Orientation::NoTransforms);
        let named = [EXIF, EXIF, TURNED].concat();
        assert_eq!(of_blocks(Some(&named), None), Orientation::Rotate90);
    }

    #[test]
    fn both_forms_of_xmp_are_found() {
        assert_eq!(of_xmp(b"<tiff:Orientation>8</tiff:Orientation>"), Some(8));
        assert_eq!(of_xmp(b"tiff:Orientation='8' tiff:Orientation=\"2\""), Some(2));
        assert_eq!(of_xmp(b"tiff:Orientation"), None);
    }

    #[test]
    fn a_block_may_be_spread_over_segments_of_a_jpeg() {
        let mut jpeg = vec![0xFF, 0xD8];
        for part in [&TURNED[..10], &TURNED[10..]] {
            let len = (2 + EXIF.len() + part.len()) as u16;
            jpeg.extend([0xFF, 0xE1]);
            jpeg.extend(len.to_be_bytes());
            jpeg.extend([EXIF, part].concat());
        }
        assert_eq!(of_jpeg(&jpeg), Orientation::Rotate90);
        assert_eq!(of_jpeg(&jpeg[..20]), Orientation::NoTransforms);
        assert_eq!(of_jpeg(&[]), Orientation::NoTransforms);
    }
}
