//! The bytes of a file, read marker by marker (T.81, B.1.1).

use crate::error::Error;

/// First restart marker; eight follow each other (T.81, table B.1).
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
/// First start of frame; markers below it are reserved.
const SOF0: u8 = 0xC0;

/// A place in the file, and the marker in front of it that nobody has used yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) pos: usize,
    /// A marker that was read and not used; 0 if there is none.
    pub(crate) marker: u8,
}

impl<'a> Source<'a> {
    pub(crate) fn new(data: &'a [u8], pos: usize) -> Self {
        Self { data, pos, marker: 0 }
    }

    /// Moves behind the next marker and returns its code. Bytes that belong to no marker are skipped.
    pub(crate) fn next_marker(&mut self) -> Result<u8, Error> {
        loop {
            let rest = self.data.get(self.pos..).ok_or_else(Error::truncated)?;
            let start = rest.iter().position(|&byte| byte == 0xFF).ok_or_else(Error::truncated)?;
            let fill = rest[start..].iter().position(|&byte| byte != 0xFF);
            let at = start + fill.ok_or_else(Error::truncated)?;
            self.pos += at + 1;
            if rest[at] != 0 {
                self.marker = rest[at];
                return Ok(rest[at]);
            }
        }
    }

    /// The contents of the segment that starts here; moves behind it.
    pub(crate) fn segment(&mut self) -> Result<&'a [u8], Error> {
        let rest = self.data.get(self.pos..).ok_or_else(Error::truncated)?;
        let len =
            usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or_else(Error::truncated)?));
        if len < 2 {
            return Err(Error::damaged("a JPEG segment says that it has less than 2 bytes"));
        }
        let body = rest.get(2..len).ok_or_else(Error::truncated)?;
        self.pos += len;
        Ok(body)
    }

    /// As [`segment`](Self::segment), for contents that nobody needs: an impossible length is taken as
    /// that of nothing, as in libjpeg.
    pub(crate) fn optional_segment(&mut self) -> Result<&'a [u8], Error> {
        match self.data.get(self.pos..) {
            Some([0, 0 | 1, ..]) => {
                self.pos += 2;
                Ok(&[])
            }
            _ => self.segment(),
        }
    }

    /// Moves behind the restart marker number `expected` (0 to 7), or decides where to go on if
    /// another marker is found.
    ///
    /// The rule is libjpeg's: of the next eight numbers, the two before `expected` are skipped, and
    /// the two after it stay unused, so that the interval in between counts as lost.
    pub(crate) fn restart(&mut self, expected: u8) -> Result<(), Error> {
        let mut marker = if self.marker == 0 { self.next_marker()? } else { self.marker };
        if marker == RST0 + expected {
            self.marker = 0;
            return Ok(());
        }
        loop {
            let ahead = marker.wrapping_sub(RST0).wrapping_sub(expected) & 7;
            match marker {
                ..SOF0 => {}
                RST0..=RST7 if matches!(ahead, 6 | 7) => {}
                RST0..=RST7 if !matches!(ahead, 1 | 2) => {
                    self.marker = 0;
                    return Ok(());
                }
                _ => return Ok(()),
            }
            marker = self.next_marker()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_behind_fill_bytes_and_junk() {
        let mut source = Source::new(&[1, 2, 0xFF, 0, 0xFF, 0xFF, 0xDA, 0, 4, 7, 8, 9], 0);
        assert_eq!(source.next_marker(), Ok(0xDA));
        assert_eq!(source.segment(), Ok(&[7, 8][..]));
        assert_eq!(source.pos, 11);
        assert!(source.next_marker().is_err());
    }

    #[test]
    fn a_later_restart_marker_waits_for_its_turn_and_an_earlier_one_is_skipped() {
        let mut source = Source::new(&[0xFF, 0xD2, 5], 0);
        assert_eq!(source.restart(1), Ok(()));
        assert_eq!(source.marker, 0xD2, "number 2 stays for the next interval");
        assert_eq!(source.restart(2), Ok(()));
        assert_eq!(source.marker, 0);
        let mut source = Source::new(&[0xFF, 0xD0, 0xFF, 0xD1], 0);
        assert_eq!((source.restart(1), source.pos), (Ok(()), 4));
    }
}
