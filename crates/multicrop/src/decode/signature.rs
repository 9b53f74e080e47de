//! Detects image formats by their first bytes.

/// The supported image formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JPEG, JFIF.
    Jpeg,
    /// PNG; of animations the first image.
    Png,
    /// WebP.
    WebP,
    /// GIF.
    Gif,
    /// Windows and OS/2 bitmaps with their file header.
    Bmp,
    /// A bitmap without its file header.
    Dib,
    /// TIFF, BigTIFF.
    Tiff,
    /// PBM, PGM and PPM.
    Pnm,
    /// JPEG XL, with or without its container.
    JpegXl,
}

/// Number of first bytes that are enough to detect a format.
const START: usize = 16;

impl Format {
    /// The format of a file with these first bytes; 16 are enough.
    pub(super) fn detect(start: &[u8]) -> Option<Self> {
        Some(match start {
            [0xFF, 0xD8, 0xFF, ..] => Self::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Self::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            // Pillow also accepts a version in the wrong byte order
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Self::Tiff,
            [b'I', b'I', 0, 42, ..] | [b'M', b'M', 42, 0, ..] => Self::Tiff,
            [b'I', b'I', 43, 0, 8, 0, ..] | [b'M', b'M', 0, 43, 0, 8, ..] => Self::Tiff,
            [b'P', b'1'..=b'6', space, ..] if space.is_ascii_whitespace() => Self::Pnm,
            [0xFF, 0x0A, ..] => Self::JpegXl,
            _ if start.starts_with(b"\0\0\0\x0CJXL \r\n\x87\n") => Self::JpegXl,
            [b'B', b'M', ..] => Self::Bmp,
            _ if is_dib(start) => Self::Dib,
            _ => return None,
        })
    }
}

/// True for a bitmap header: its size, then one plane of 1 to 32 bits.
fn is_dib(start: &[u8]) -> bool {
    let Some(start) = start.first_chunk::<START>() else { return false };
    let short = |at: usize| u16::from_le_bytes([start[at], start[at + 1]]);
    let (planes, bits) = match start[..4] {
        [12, 0, 0, 0] => (short(8), short(10)),
        [40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0] => (short(12), short(14)),
        _ => return false,
    };
    planes == 1 && matches!(bits, 1 | 4 | 8 | 16 | 24 | 32)
}

/// The name of an image format that is known but not supported.
pub(super) fn unread(start: &[u8]) -> Option<&'static str> {
    // `ftyp` of an ISO media file: the main brand is at offset 8, others follow
    if start.get(4..8) == Some(b"ftyp") {
        let len = u32::from_be_bytes(*start.first_chunk()?) as usize;
        let brands = start.get(8..len.clamp(12, 64).min(start.len()))?.as_chunks::<4>().0;
        let general = brands.iter().any(|brand| matches!(brand, b"mif1" | b"msf1"));
        return brands.iter().find_map(brand).or(general.then_some("HEIF"));
    }
    let known: &[(&[u8], &str)] = &[
        (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
        (&[0xFF, 0x4F, 0xFF, 0x51], "JPEG 2000"),
        (&[0xFF, 0xD8, 0xFF, 0xF7], "JPEG-LS"),
        (b"II\xBC", "JPEG XR"),
        (b"8BPS", "PSD (Photoshop)"),
        (b"gimp xcf", "XCF (GIMP)"),
        (b"\0\0\x01\0", "ICO"),
        (b"\0\0\x02\0", "CUR"),
        (b"icns", "ICNS"),
        (b"%!PS", "EPS"),
        (&[0xC5, 0xD0, 0xD3, 0xC6], "EPS"),
        (b"%PDF", "PDF"),
        (b"#?RADIANCE", "Radiance HDR"),
        (b"#?RGBE", "Radiance HDR"),
        (&[0x76, 0x2F, 0x31, 0x01], "OpenEXR"),
        (b"DDS ", "DDS"),
        (b"qoif", "QOI"),
        (b"farbfeld", "farbfeld"),
        (b"SIMPLE  =", "FITS"),
        (b"BPG\xFB", "BPG"),
        (b"FLIF", "FLIF"),
        (b"AT&TFORM", "DjVu"),
        (b"P7\n", "PAM"),
        (b"Pf\n", "PFM"),
        (b"PF\n", "PFM"),
        (&[0x59, 0xA6, 0x6A, 0x95], "Sun raster"),
        (&[0x01, 0xDA], "SGI"),
        (b"\x8AMNG", "MNG"),
        (b"\x8BJNG", "JNG"),
        (&[0xD7, 0xCD, 0xC6, 0x9A], "WMF"),
        (b"/* XPM */", "XPM"),
        (b"P7 332", "XV thumbnail"),
        (b"BLP1", "BLP"),
        (b"BLP2", "BLP"),
        (b"FTEX", "FTEX"),
        (b"DanM", "MSP"),
        (b"LinS", "MSP"),
        (&[0xB1, 0x68, 0xDE, 0x3A], "DCX"),
        (&[0x80, 0xE8, 0, 0], "PIXAR raster"),
        (b"\0\0\0\0\0\0\0\x04", "McIDAS area"),
        (b"Image type: ", "IM"),
        (b"#define ", "XBM"),
    ];
    if let Some((_, name)) = known.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(name);
    }
    match start {
        [0x0A, 0..=5, 0 | 1, 1 | 2 | 4 | 8, ..] => Some("PCX"),
        [_, _, _, _, 0x11 | 0x12, 0xAF, ..] => Some("FLI or FLC"),
        _ if start.get(20..24) == Some(b"GIMP") => Some("GIMP brush"),
        _ if start.get(2048..2052) == Some(b"PCD_") => Some("Photo CD"),
        _ if is_svg(start) => Some("SVG"),
        _ => None,
    }
}

fn brand(brand: &[u8; 4]) -> Option<&'static str> {
    match brand {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some("HEIC"),
        b"jp2 " | b"jpx " | b"jpm " => Some("JPEG 2000"),
        b"crx " => Some("Canon CR3"),
        _ => None,
    }
}

/// True for a TGA file, which has its signature at the end.
pub(super) fn is_tga(bytes: &[u8]) -> bool {
    bytes.ends_with(b"TRUEVISION-XFILE.\0")
}

/// True for XML with an `<svg` element near its start.
fn is_svg(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    let window = &start[..start.len().min(1024)];
    start.starts_with(b"<") && window.windows(4).any(|part| part == b"<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_formats_have_a_name() {
        let avif = b"\0\0\0\x1Cftypavif\0\0\0\0mif1";
        let heic = b"\0\0\0\x18ftypmif1\0\0\0\0heic";
        let svg = b"<?xml version=\"1.0\"?>\n<!-- a -->\n<svg xmlns=\"\">";
        assert_eq!(unread(avif), Some("AVIF"));
        assert_eq!(unread(heic), Some("HEIC"));
        assert_eq!(unread(b"8BPS\0\x01"), Some("PSD (Photoshop)"));
        assert_eq!(unread(svg), Some("SVG"));
        assert_eq!(unread(b"<html><body>"), None);
        assert_eq!(unread(b"\0\0\0\x1Cftypisom\0\0\0\0mp42"), None);
        assert_eq!(unread(b"hello"), None);
        assert_eq!(unread(b""), None);
    }

    #[test]
    fn a_bitmap_without_its_file_header_needs_a_plausible_one() {
        let mut header = [0; 16];
        header[0] = 40;
        assert_eq!(Format::detect(&header), None);
        header[12] = 1;
        header[14] = 24;
        assert_eq!(Format::detect(&header), Some(Format::Dib));
        assert_eq!(Format::detect(&header[..15]), None);
    }

    #[test]
    fn bigtiff_is_a_tiff() {
        assert_eq!(Format::detect(b"II\x2B\0\x08\0\0\0"), Some(Format::Tiff));
        assert_eq!(Format::detect(b"MM\0\x2B\0\x08\0\0"), Some(Format::Tiff));
        assert_eq!(Format::detect(b"II\x2C\0\x08\0\0\0"), None);
    }
}
