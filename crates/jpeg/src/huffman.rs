//! Huffman decoding tables (T.81, C.2 and F.2.2.3).
//!
//! The next nine bits index a look-up table. An entry holds a symbol, and also the value of a
//! coefficient if code and value together fit in nine bits. Longer codes are found by comparing
//! with the largest code of each length.

use crate::bits::Window;
use crate::error::Error;

/// Number of bits that index the look-up table.
const LOOK: u32 = 9;

/// A Huffman code as the file defines it: the number of codes of each length, and their symbols in
/// order.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) counts: [u8; 16],
    pub(crate) symbols: [u8; 256],
}

/// A table for decoding.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// `value << 16 | symbol << 8 | length`. If `value` is not 0, `length` counts its bits too.
    look: Box<[u32; 1 << LOOK]>,
    /// The largest code of each length, -1 if there is none.
    largest: [i32; 17],
    /// Index of a code's symbol minus the code, for each length.
    offset: [i32; 17],
    symbols: [u8; 256],
}

impl Table {
    /// Builds the table; with `dc` its symbols must be sizes of differences, 0 to 15.
    pub(crate) fn new(code: &Code, dc: bool) -> Result<Self, Error> {
        let bad = || Error::damaged("a JPEG Huffman table is not valid");
        let total: usize = code.counts.iter().map(|&count| usize::from(count)).sum();
        if total > 256 || dc && code.symbols[..total].iter().any(|&size| size > 15) {
            return Err(bad());
        }
        let (mut largest, mut offset) = ([-1; 17], [0; 17]);
        let mut look = Box::new([0; 1 << LOOK]);
        let (mut next, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(&code.counts) {
            let count = usize::from(count);
            if count > 0 {
                offset[length as usize] = index as i32 - next as i32;
                if length <= LOOK {
                    let first = (next as usize) << (LOOK - length);
                    let span = 1_usize << (LOOK - length);
                    let entries = look.get_mut(first..first + count * span).ok_or_else(bad)?;
                    let symbols = &code.symbols[index..index + count];
                    for (entries, &symbol) in entries.chunks_exact_mut(span).zip(symbols) {
                        fill(entries, symbol, length);
                    }
                }
                next += count as u32;
                index += count;
                largest[length as usize] = next as i32 - 1;
                // a code of only ones is not allowed, so `next` must still fit in `length` bits
                if next >= 1 << length {
                    return Err(bad());
                }
            }
            next <<= 1;
        }
        Ok(Self { look, largest, offset, symbols: code.symbols })
    }

    /// The look-up entry of the next bits, which are not consumed; 0 for a longer code.
    #[inline(always)]
    pub(crate) fn look(&self, window: Window) -> u32 {
        self.look[window.peek(LOOK)]
    }

    /// Consumes the next code and returns its symbol. The window must hold at least 17 bits.
    #[inline(always)]
    pub(crate) fn symbol(&self, window: &mut Window) -> u32 {
        let entry = self.look(*window);
        let (symbol, length) = match entry {
            0 => self.long(*window),
            _ if entry >> 16 == 0 => (entry >> 8 & 0xFF, entry & 0x1F),
            // `length` includes the value's bits, which are not consumed
            _ => (entry >> 8 & 0xFF, (entry & 0x1F) - (entry >> 8 & 0xF)),
        };
        window.consume(length);
        symbol
    }

    /// Symbol and length of a code that is too long for the look-up; symbol 0 if there is none.
    #[cold]
    #[inline(never)]
    pub(crate) fn long(&self, window: Window) -> (u32, u32) {
        for length in LOOK + 1..=16 {
            let code = window.peek(length) as i32;
            if code <= self.largest[length as usize] {
                let index = (code + self.offset[length as usize]) as usize & 0xFF;
                return (u32::from(self.symbols[index]), length);
            }
        }
        (0, 17)
    }
}

/// Fills the look-up entries of one code: all nine-bit indices that start with it.
fn fill(entries: &mut [u32], symbol: u8, length: u32) {
    let size = u32::from(symbol & 0xF);
    let plain = u32::from(symbol) << 8 | length;
    entries.fill(plain);
    let remaining = LOOK - length;
    if size == 0 || size > remaining {
        return;
    }
    for (value, same) in entries.chunks_exact_mut(1 << (remaining - size)).enumerate() {
        let value = value as i32;
        let value = if value < 1 << (size - 1) { value + 1 - (1 << size) } else { value };
        same.fill((value as u32) << 16 | (plain + size));
    }
}

/// The standard tables of T.81, K.3, which a file may omit (Motion JPEG does).
pub(crate) fn standard(dc: bool, chroma: bool) -> Code {
    let mut symbols = [0; 256];
    let (counts, listed): ([u8; 16], &[u8]) = match (dc, chroma) {
        (true, false) => ([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &DC_SIZES),
        (true, true) => ([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &DC_SIZES),
        (false, false) => ([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125], &AC_LUMA),
        (false, true) => ([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119], &AC_CHROMA),
    };
    symbols[..listed.len()].copy_from_slice(listed);
    Code { counts, symbols }
}

const DC_SIZES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Table K.5: run << 4 | size, most frequent first.
const AC_LUMA: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1, 0x15, 0x52, 0xD1, 0xF0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0A, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2A, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7,
    0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3, 0xC4, 0xC5,
    0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA, 0xE1, 0xE2,
    0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
    0xF9, 0xFA,
];

/// Table K.6: run << 4 | size, most frequent first.
const AC_CHROMA: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xA1, 0xB1, 0xC1, 0x09, 0x23, 0x33, 0x52, 0xF0,
    0x15, 0x62, 0x72, 0xD1, 0x0A, 0x16, 0x24, 0x34, 0xE1, 0x25, 0xF1, 0x17, 0x18, 0x19, 0x1A, 0x26,
    0x27, 0x28, 0x29, 0x2A, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4A, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5A, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6A, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7A, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8A, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0xA2, 0xA3, 0xA4, 0xA5,
    0xA6, 0xA7, 0xA8, 0xA9, 0xAA, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xB8, 0xB9, 0xBA, 0xC2, 0xC3,
    0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8, 0xD9, 0xDA,
    0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8,
    0xF9, 0xFA,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::Bits;
    use crate::source::Source;

    #[test]
    fn every_code_of_the_standard_tables_gives_its_symbol() {
        for (dc, chroma) in [(true, false), (true, true), (false, false), (false, true)] {
            let code = standard(dc, chroma);
            let table = Table::new(&code, dc).unwrap();
            let (mut next, mut index) = (0_u32, 0);
            for (length, &count) in (1_u32..).zip(&code.counts) {
                for _ in 0..count {
                    let word = (next << (16 - length)) as u16;
                    let [high, low] = word.to_be_bytes();
                    let data =
                        [high, low, 0, 0, 0, 0, 0, 0, 0].map(|b| if b == 255 { 254 } else { b });
                    if data[..2] == [high, low] {
                        let mut bits = Bits::new(Source::new(&data, 0));
                        let mut window = bits.window;
                        bits.refill(&mut window);
                        assert_eq!(table.symbol(&mut window), u32::from(code.symbols[index]));
                    }
                    next += 1;
                    index += 1;
                }
                next <<= 1;
            }
        }
    }

    #[test]
    fn too_many_codes_of_a_length_are_refused() {
        let mut code = standard(true, false);
        code.counts[0] = 2;
        assert!(Table::new(&code, true).is_err());
        code.counts = [255; 16];
        assert!(Table::new(&code, true).is_err());
    }
}
