//! Reads the orientation from a file's metadata, from all places where Pillow looks for it: EXIF
//! first, then XMP.

use ::image::metadata::Orientation;

use super::tiff::directory::Directory;

/// Name at the start of JPEG's EXIF segments.
const EXIF: &[u8] = b"Exif\0\0";

/// The orientation in an EXIF block or an XMP packet, if there are any.
pub(super) fn from_blocks(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let directory = exif.and_then(|mut exif| {
        // some programs write JPEG's segment name in other formats too
        while let Some(rest) = exif.strip_prefix(EXIF) {
            exif = rest;
        }
        Directory::read(exif).ok()
    });
    orientation(directory.as_ref(), xmp)
}

/// The orientation in a directory, or in an XMP packet if the directory has no such tag.
pub(super) fn orientation(directory: Option<&Directory<'_>>, xmp: Option<&[u8]>) -> Orientation {
    let tag = directory.and_then(Directory::orientation).or_else(|| from_xmp(xmp?));
    tag.and_then(|tag| Orientation::from_exif(u8::try_from(tag).ok()?))
        .unwrap_or(Orientation::NoTransforms)
}

/// The digit after `tiff:Orientation="` or `<tiff:Orientation>`.
fn from_xmp(packet: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut places = packet.windows(NAME.len()).enumerate().filter(|(_, part)| *part == NAME);
    places.find_map(|(at, _)| match packet[at + NAME.len()..] {
        [b'=', b'"', digit @ b'0'..=b'9', ..] | [b'>', digit @ b'0'..=b'9', ..] => {
            Some(u64::from(digit - b'0'))
        }
        _ => None,
    })
}

/// The orientation in a WebP file.
pub(super) fn from_webp(bytes: &[u8]) -> Orientation {
    from_blocks(webp_chunk(bytes, b"EXIF"), webp_chunk(bytes, b"XMP "))
}

/// The body of a chunk. Not read with the decoder, which allocates the size that the chunk
/// declares.
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
        assert_eq!(from_blocks(Some(TURNED), Some(xmp)), Orientation::Rotate90);
        assert_eq!(from_blocks(None, Some(xmp)), Orientation::Rotate180);
        let mut upright = TURNED.to_vec();
        upright[19] = 1;
        assert_eq!(from_blocks(Some(&upright), Some(xmp)), Orientation::NoTransforms);
        let named = [EXIF, EXIF, TURNED].concat();
        assert_eq!(from_blocks(Some(&named), None), Orientation::Rotate90);
    }

    #[test]
    fn both_forms_of_xmp_are_found() {
        assert_eq!(from_xmp(b"<tiff:Orientation>8</tiff:Orientation>"), Some(8));
        assert_eq!(from_xmp(b"tiff:Orientation='8' tiff:Orientation=\"2\""), Some(2));
        assert_eq!(from_xmp(b"tiff:Orientation"), None);
    }
}
