//! A bit reader for entropy-coded segments (T.81, F.2.2.5).
//!
//! A 64-bit [`Window`] holds the next bits at its top. The reader skips a byte of 0 after 0xFF. A
//! marker ends the data; from there on it returns zeros, and counts them.

use crate::error::Error;
use crate::source::Source;

/// The next bits of the data. Decoders keep a copy of the window in registers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    bits: u64,
    /// Number of valid bits.
    count: u32,
}

impl Window {
    /// The next `n` bits, 1 to 32, without consuming them.
    #[inline(always)]
    pub(crate) fn peek(self, n: u32) -> usize {
        (self.bits >> (64 - n)) as usize
    }

    /// Drops `n` bits.
    #[inline(always)]
    pub(crate) fn consume(&mut self, n: u32) {
        self.bits <<= n;
        self.count = self.count.wrapping_sub(n);
    }

    /// Consumes `n` bits as an unsigned number, `n` from 1 to 16.
    #[inline(always)]
    pub(crate) fn take(&mut self, n: u32) -> u32 {
        let value = self.peek(n) as u32;
        self.consume(n);
        value
    }

    /// Consumes `size` bits as a signed number (T.81, F.2.2.1, EXTEND), `size` from 1 to 15.
    #[inline(always)]
    pub(crate) fn signed(&mut self, size: u32) -> i32 {
        let negative = !((self.bits as i64 >> 63) as i32);
        self.take(size) as i32 + (negative & (1 - (1 << size)))
    }
}

/// A reader of bits.
#[derive(Debug)]
pub(crate) struct Bits<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) window: Window,
    /// Zero bits that were added after the end of the data since the last restart.
    padding: u32,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        Self { source, window: Window::default(), padding: 0 }
    }

    /// Discards the remaining bits of the window.
    pub(crate) fn clear(&mut self) {
        (self.window, self.padding) = (Window::default(), 0);
    }

    /// Fills a window to at least 32 bits: enough for one code of 16 bits and a value of 15 bits.
    #[inline(always)]
    pub(crate) fn refill(&mut self, window: &mut Window) {
        if window.count >= 32 {
            return;
        }
        let pos = self.source.pos;
        if let Some(bytes) = self.source.data.get(pos..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*bytes);
            // the carry trick: a byte of `!word` is 0 where `word` has 0xFF
            let has_ff = (!word).wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080;
            if has_ff == 0 && self.source.marker == 0 {
                window.bits |= word >> window.count;
                let bytes = (63 - window.count) >> 3;
                self.source.pos = pos + bytes as usize;
                window.count += 8 * bytes;
                return;
            }
        }
        *window = self.refill_by_bytes(*window);
    }

    #[cold]
    #[inline(never)]
    fn refill_by_bytes(&mut self, mut window: Window) -> Window {
        while window.count <= 56 {
            let byte = match self.next_byte() {
                Some(byte) => byte,
                None => {
                    self.padding += 8;
                    0
                }
            };
            // the fast path may have left a part of this byte in the bits after `count`
            window.bits &= !(u64::MAX >> window.count);
            window.bits |= u64::from(byte) << (56 - window.count);
            window.count += 8;
        }
        window
    }

    /// The next byte of data, `None` at a marker or at the end of the file.
    fn next_byte(&mut self) -> Option<u8> {
        let source = &mut self.source;
        if source.marker != 0 {
            return None;
        }
        let byte = *source.data.get(source.pos)?;
        source.pos += 1;
        if byte != 0xFF {
            return Some(byte);
        }
        let rest = &source.data[source.pos..];
        let Some(fill) = rest.iter().position(|&byte| byte != 0xFF) else {
            source.pos = source.data.len();
            return None;
        };
        source.pos += fill + 1;
        if rest[fill] == 0 {
            return Some(0xFF);
        }
        source.marker = rest[fill];
        None
    }

    /// Reads one bit.
    #[inline(always)]
    pub(crate) fn bit(&mut self, window: &mut Window) -> bool {
        self.refill(window);
        window.take(1) != 0
    }

    /// True if more bits were read than the data have.
    #[inline(always)]
    pub(crate) fn is_overrun(&self) -> bool {
        self.window.count < self.padding
    }

    /// An error if bits were read past the end of the file and no marker ended the data before.
    #[inline(always)]
    pub(crate) fn check_end(&self) -> Result<(), Error> {
        if self.is_overrun() && self.source.marker == 0 {
            return Err(Error::truncated());
        }
        Ok(())
    }

    /// True if a marker or at least 7 bytes follow the bits read so far. That is about what libjpeg
    /// reads ahead, which is why it refuses files that end right after their last block.
    pub(crate) fn has_more(&self) -> bool {
        let in_window = self.window.count.saturating_sub(self.padding) as usize / 8;
        self.source.marker != 0 || in_window + (self.source.data.len() - self.source.pos) >= 7 || {
            self.source
        }
        .next_marker()
        .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bits: &mut Bits<'_>, n: u32) -> u32 {
        let mut window = bits.window;
        bits.refill(&mut window);
        let value = window.take(n);
        bits.window = window;
        value
    }

    #[test]
    fn stuffed_zeros_are_skipped_and_a_marker_ends_the_data() {
        let data = [0xAB, 0xFF, 0x00, 0x12, 0xFF, 0xD9, 0x77];
        let mut bits = Bits::new(Source::new(&data, 0));
        assert_eq!(take(&mut bits, 16), 0xABFF);
        assert_eq!(take(&mut bits, 8), 0x12);
        assert!(!bits.is_overrun());
        assert_eq!(take(&mut bits, 1), 0);
        assert!(bits.is_overrun());
        assert_eq!(bits.source.marker, 0xD9);
        assert_eq!(bits.check_end(), Ok(()), "the marker says that it ends here");
    }

    #[test]
    fn words_and_single_bytes_give_the_same_bits() {
        let data: Vec<u8> = (0..40).map(|i| (i * 37 % 251) as u8).collect();
        let mut bits = Bits::new(Source::new(&data, 0));
        let mut seen = Vec::new();
        for n in [3, 13, 7, 1, 16, 11, 5, 8].repeat(5) {
            let value = take(&mut bits, n);
            seen.extend((0..n).rev().map(|bit| (value >> bit & 1) as u8));
        }
        let all = data.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
        assert!(all.eq(seen));
        assert_eq!(bits.check_end(), Ok(()));
        take(&mut bits, 1);
        assert!(bits.check_end().is_err());
    }

    #[test]
    fn numbers_with_a_leading_zero_are_negative() {
        let mut bits = Bits::new(Source::new(&[0b0010_1101; 9], 0));
        let mut window = bits.window;
        bits.refill(&mut window);
        assert_eq!(window.signed(3), -6);
        assert_eq!(window.signed(2), -2);
        assert_eq!(window.signed(3), 5);
    }
}
