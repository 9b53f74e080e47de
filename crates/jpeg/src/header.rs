//! The parser of the segments before and between scans: tables, frame header, scan header and
//! application data (T.81, B.2).

use crate::error::Error;
use crate::huffman::Code;
use crate::source::Source;

/// Positions of the coefficients in zigzag order (T.81, figure 5), in rows of eight. Indices past
/// the last coefficient map to it, so a run that is too long stays in bounds.
pub(crate) const ZIGZAG: [u8; 128] = {
    let mut order = [63; 128];
    let (mut row, mut column, mut k) = (0_i32, 0_i32, 0);
    while k < 64 {
        order[k] = (8 * row + column) as u8;
        // even diagonals go up, odd ones go down
        let step = if (row + column) % 2 == 0 { -1 } else { 1 };
        let (next_row, next_column) = (row + step, column - step);
        if next_row > 7 {
            column += 1;
        } else if next_column > 7 {
            row += 1;
        } else {
            row = if next_row < 0 { 0 } else { next_row };
            column = if next_column < 0 { 0 } else { next_column };
        }
        k += 1;
    }
    order
};

/// Quantization steps in rows of eight.
pub(crate) type Quant = [u16; 64];

/// How coefficients are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) progressive: bool,
    pub(crate) arithmetic: bool,
}

/// A component in the frame header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameComponent {
    pub(crate) id: u8,
    pub(crate) h: usize,
    pub(crate) v: usize,
    pub(crate) quant: u8,
}

/// The frame header (T.81, B.2.2).
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) process: Process,
    pub(crate) components: Vec<FrameComponent>,
}

/// A component in the scan header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanComponent {
    /// Index of the component in the frame.
    pub(crate) index: usize,
    /// Index of its DC table.
    pub(crate) dc: u8,
    /// Index of its AC table.
    pub(crate) ac: u8,
}

/// The scan header (T.81, B.2.3).
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) components: Vec<ScanComponent>,
    /// First and last coefficient, in zigzag order.
    pub(crate) band: (usize, usize),
    /// Lowest bit of the previous scan of these coefficients; 0 for their first scan.
    pub(crate) high: u8,
    /// Lowest bit of this scan.
    pub(crate) low: u8,
}

/// Parameters of the statistical model of arithmetic coding (T.81, F.1.4.4.1.4 and F.1.4.4.2.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditioning {
    /// Lower and upper bound of small DC differences, as exponents of two.
    pub(crate) dc: [(u8, u8); 16],
    /// Last coefficient that uses the statistics of low frequencies.
    pub(crate) ac: [u8; 16],
}

/// The contents of all segments read so far.
#[derive(Debug, Clone)]
pub(crate) struct Tables<'a> {
    pub(crate) quant: [Option<Quant>; 4],
    pub(crate) dc: [Option<Code>; 4],
    pub(crate) ac: [Option<Code>; 4],
    pub(crate) conditioning: Conditioning,
    /// MCUs between restart markers, 0 for none.
    pub(crate) restart_interval: u32,
    pub(crate) jfif: bool,
    /// The color transform in Adobe's segment.
    pub(crate) adobe: Option<u8>,
    pub(crate) frame: Option<Frame>,
    /// The EXIF data of all EXIF segments joined, without their names.
    pub(crate) exif: Vec<u8>,
    pub(crate) xmp: Option<&'a [u8]>,
}

/// Names at the start of EXIF and XMP segments.
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

impl<'a> Tables<'a> {
    pub(crate) fn new() -> Self {
        Self {
            quant: [None; 4],
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            conditioning: Conditioning { dc: [(0, 1); 16], ac: [5; 16] },
            restart_interval: 0,
            jfif: false,
            adobe: None,
            frame: None,
            exif: Vec::new(),
            xmp: None,
        }
    }

    /// Reads segments up to the next scan header; `None` at the end of the image.
    pub(crate) fn next_scan(&mut self, source: &mut Source<'a>) -> Result<Option<Scan>, Error> {
        loop {
            let marker = if source.marker == 0 { source.next_marker()? } else { source.marker };
            source.marker = 0;
            match marker {
                0xD9 => return Ok(None),
                0xDA => {
                    check_scan_length(source)?;
                    return self.scan(source.segment()?).map(Some);
                }
                0x01 | 0xD0..=0xD7 => {}
                0xD8 => return Err(Error::damaged("a second JPEG starts inside of this one")),
                0xC4 => {
                    check_code_length(source)?;
                    self.huffman(source.segment()?)?;
                }
                0xCC => self.conditioning(source.segment()?)?,
                0xC0..=0xCF => {
                    let process = self.process(marker)?;
                    self.frame(process, source.segment()?)?;
                }
                0xDB => self.quant(source.segment()?)?,
                0xDD => self.restart(source.segment()?)?,
                0xDE | 0xDF => return Err(Error::unsupported("hierarchical JPEG")),
                0xE0..=0xEF => self.application(marker, source.optional_segment()?),
                0xDC | 0xFE => drop(source.optional_segment()?),
                _ => return Err(Error::damaged(format!("unknown JPEG marker FF {marker:02X}"))),
            }
        }
    }

    /// The process of a start-of-frame marker (T.81, table B.1).
    fn process(&self, marker: u8) -> Result<Process, Error> {
        let (progressive, arithmetic) = match marker {
            0xC0 | 0xC1 => (false, false),
            0xC2 => (true, false),
            0xC9 => (false, true),
            0xCA => (true, true),
            0xC3 | 0xCB => return Err(Error::unsupported("lossless JPEG")),
            0xC8 => return Err(Error::unsupported("JPEG extensions")),
            _ => return Err(Error::unsupported("hierarchical JPEG")),
        };
        if self.frame.is_some() {
            return Err(Error::damaged("the JPEG has two frame headers"));
        }
        Ok(Process { progressive, arithmetic })
    }

    fn frame(&mut self, process: Process, segment: &[u8]) -> Result<(), Error> {
        let &[bits, h1, h0, w1, w0, count, ref rest @ ..] = segment else {
            return Err(Error::damaged("the JPEG frame header is too short"));
        };
        let [width, height] =
            [[w1, w0], [h1, h0]].map(|side| usize::from(u16::from_be_bytes(side)));
        match (bits, count) {
            (8, 1 | 3 | 4) => {}
            (8, _) => return Err(Error::unsupported("JPEG with other than 1, 3 or 4 components")),
            (12 | 16, _) => {
                return Err(Error::unsupported("JPEG with more than 8 bits per sample"));
            }
            _ => return Err(Error::damaged("the JPEG frame header is not valid")),
        }
        if width == 0 {
            return Err(Error::damaged("the JPEG frame header has a width of 0"));
        }
        if height == 0 {
            return Err(Error::unsupported("JPEG whose height follows its first scan (DNL)"));
        }
        let (components, rest) = rest.as_chunks::<3>();
        if components.len() != usize::from(count) || !rest.is_empty() {
            return Err(Error::damaged("the JPEG frame header has the wrong length"));
        }
        let components = components.iter().map(|&[id, factors, quant]| FrameComponent {
            id,
            h: usize::from(factors >> 4),
            v: usize::from(factors & 0xF),
            quant,
        });
        let mut components: Vec<_> = components.collect();
        if components.iter().any(|c| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v)) {
            return Err(Error::damaged("a JPEG sampling factor is not 1 to 4"));
        }
        if let [component] = &mut components[..] {
            // factors are relative, and an MCU of a single component is one block
            (component.h, component.v) = (1, 1);
        }
        self.frame = Some(Frame { width, height, process, components });
        Ok(())
    }

    fn scan(&self, segment: &[u8]) -> Result<Scan, Error> {
        let frame = self.frame.as_ref();
        let frame =
            frame.ok_or_else(|| Error::damaged("a JPEG scan comes before the frame header"))?;
        let bad = || Error::damaged("a JPEG scan header is not valid");
        let (&count, rest) = segment.split_first().ok_or_else(bad)?;
        let (pairs, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(bad)?;
        let (&[first, last, bits], 1..=4) = (rest, count) else {
            return Err(bad());
        };
        let mut components: Vec<ScanComponent> = Vec::new();
        for &[id, tables] in pairs.as_chunks::<2>().0 {
            // libjpeg requires the frame's order: the n-th component of a scan is at least the n-th
            // of the frame
            let index = (components.len()..frame.components.len())
                .find(|&index| frame.components[index].id == id)
                .filter(|&index| components.iter().all(|used| used.index != index))
                .ok_or_else(bad)?;
            components.push(ScanComponent { index, dc: tables >> 4, ac: tables & 0xF });
        }
        let band = (usize::from(first), usize::from(last));
        Ok(Scan { components, band, high: bits >> 4, low: bits & 0xF })
    }

    fn huffman(&mut self, mut segment: &[u8]) -> Result<(), Error> {
        let bad = || Error::damaged("a JPEG Huffman table is not valid");
        while segment.len() > 16 {
            let (&place, rest) = segment.split_first().ok_or_else(bad)?;
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(bad)?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (listed, rest) = rest.split_at_checked(total).ok_or_else(bad)?;
            let mut symbols = [0; 256];
            symbols.get_mut(..total).ok_or_else(bad)?.copy_from_slice(listed);
            let tables = if place & 0x10 == 0 { &mut self.dc } else { &mut self.ac };
            let table = tables.get_mut(usize::from(place & !0x10)).ok_or_else(bad)?;
            *table = Some(Code { counts: *counts, symbols });
            segment = rest;
        }
        if segment.is_empty() { Ok(()) } else { Err(bad()) }
    }

    fn quant(&mut self, mut segment: &[u8]) -> Result<(), Error> {
        let bad = || Error::damaged("a JPEG quantization table is not valid");
        while let Some((&place, rest)) = segment.split_first() {
            let table = self.quant.get_mut(usize::from(place & 0xF)).ok_or_else(bad)?;
            let bytes = if place >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * bytes).ok_or_else(bad)?;
            let mut steps = [0; 64];
            for (value, &position) in values.chunks_exact(bytes).zip(&ZIGZAG) {
                let step = value.iter().fold(0, |step, &byte| step << 8 | u16::from(byte));
                steps[usize::from(position)] = step;
            }
            *table = Some(steps);
            segment = rest;
        }
        Ok(())
    }

    fn conditioning(&mut self, segment: &[u8]) -> Result<(), Error> {
        let bad = || Error::damaged("a JPEG arithmetic conditioning table is not valid");
        let (pairs, []) = segment.as_chunks::<2>() else {
            return Err(bad());
        };
        for &[place, value] in pairs {
            match place {
                0..16 if value & 0xF > value >> 4 => return Err(bad()),
                0..16 => self.conditioning.dc[usize::from(place)] = (value & 0xF, value >> 4),
                16..32 => self.conditioning.ac[usize::from(place - 16)] = value,
                _ => return Err(bad()),
            }
        }
        Ok(())
    }

    fn restart(&mut self, segment: &[u8]) -> Result<(), Error> {
        let &[high, low] = segment else {
            return Err(Error::damaged("the JPEG restart interval is not valid"));
        };
        self.restart_interval = u32::from(u16::from_be_bytes([high, low]));
        Ok(())
    }

    fn application(&mut self, marker: u8, segment: &'a [u8]) {
        match marker {
            0xE0 if segment.len() >= 14 && segment.starts_with(b"JFIF\0") => self.jfif = true,
            0xE1 => match segment.strip_prefix(EXIF) {
                Some(part) => self.exif.extend_from_slice(part),
                None => self.xmp = segment.strip_prefix(XMP).or(self.xmp),
            },
            0xEE if segment.len() >= 12 && segment.starts_with(b"Adobe") => {
                self.adobe = Some(segment[11]);
            }
            _ => {}
        }
    }
}

/// Refuses a scan header whose length does not fit its number of components, even if the file ends
/// inside it. After the pixels a cut segment is ignored, but a scan must be refused.
fn check_scan_length(source: &Source<'_>) -> Result<(), Error> {
    match source.data.get(source.pos..).and_then(|rest| rest.first_chunk()) {
        Some(&[high, low, count])
            if u16::from_be_bytes([high, low]) != 2 * u16::from(count) + 6 =>
        {
            Err(Error::damaged("a JPEG scan header is not valid"))
        }
        _ => Ok(()),
    }
}

/// Refuses a Huffman table with too many codes, even if the file ends inside it.
fn check_code_length(source: &Source<'_>) -> Result<(), Error> {
    let head = source.data.get(source.pos..).and_then(|rest| rest.first_chunk::<19>());
    let Some([high, low, _, counts @ ..]) = head else { return Ok(()) };
    let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if len > 18 && (total > 256 || total + 19 > len) {
        return Err(Error::damaged("a JPEG Huffman table is not valid"));
    }
    Ok(())
}

/// Width and height in the frame header, if there is one before the first scan.
pub fn frame_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut source = Source::new(bytes, 2);
    loop {
        match source.next_marker().ok()? {
            0x01 | 0xD0..=0xD8 => {}
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let &[_, h1, h0, w1, w0, ..] = source.segment().ok()? else { return None };
                return Some(([w1, w0], [h1, h0]))
                    .map(|(w, h)| (u16::from_be_bytes(w).into(), u16::from_be_bytes(h).into()));
            }
            0xD9 | 0xDA => return None,
            _ => drop(source.segment().ok()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zigzag_order_is_the_standards() {
        assert_eq!(ZIGZAG[..12], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25]);
        assert_eq!(ZIGZAG[56..64], [53, 60, 61, 54, 47, 55, 62, 63]);
        let mut all = ZIGZAG[..64].to_vec();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..64));
    }

    #[test]
    fn exif_may_be_spread_over_segments() {
        let mut bytes = vec![0xFF, 0xD8];
        for part in [&b"first "[..], b"and last"] {
            let len = (2 + EXIF.len() + part.len()) as u16;
            bytes.extend([0xFF, 0xE1]);
            bytes.extend(len.to_be_bytes());
            bytes.extend([EXIF, part].concat());
        }
        let exif = |bytes: &[u8]| {
            let mut tables = Tables::new();
            assert!(tables.next_scan(&mut Source::new(bytes, 2)).is_err());
            tables.exif
        };
        assert_eq!(exif(&bytes), b"first and last");
        assert_eq!(exif(&bytes[..20]), b"first ");
        assert_eq!(exif(&bytes[..12]), b"");
    }

    #[test]
    fn unsupported_processes_are_named() {
        for (marker, name) in [(0xC3, "lossless"), (0xCB, "lossless"), (0xC5, "hierarchical")] {
            let mut bytes = vec![0xFF, 0xD8, 0xFF, marker, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0];
            let mut source = Source::new(&bytes, 2);
            let error = Tables::new().next_scan(&mut source).unwrap_err();
            assert!(matches!(&error, Error::Unsupported(what) if what.contains(name)), "{error}");
            assert_eq!(frame_size(&bytes), Some((1, 1)));
            bytes.truncate(9);
            assert_eq!(frame_size(&bytes), None);
        }
    }
}
