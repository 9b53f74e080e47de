//! A reader of markers and segments (T.81, B.1.1).

use crate::error::Error;

/// First and last of the eight restart markers (T.81, table B.1).
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
/// First start-of-frame marker; markers below it are reserved.
const SOF0: u8 = 0xC0;

/// A position in the file, and a marker that was read but not used yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) pos: usize,
    /// A marker that was read but not used yet; 0 if there is none.
    pub(crate) marker: u8,
}

impl<'a> Source<'a> {
    pub(crate) fn new(data: &'a [u8], pos: usize) -> Self {
        Self { data, pos, marker: 0 }
    }

    /// Skips to the next marker, moves past it and returns its code.
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

    /// Returns the contents of the segment that starts here, and moves past it.
    pub(crate) fn segment(&mut self) -> Result<&'a [u8], Error> {
        let rest = self.data.get(self.pos..).ok_or_else(Error::truncated)?;
        let len =
            usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or_else(Error::truncated)?));
        if len < 2 {
            return Err(Error::damaged("a JPEG segment has a length below 2"));
        }
        let body = rest.get(2..len).ok_or_else(Error::truncated)?;
        self.pos += len;
        Ok(body)
    }

    /// As [`segment`](Self::segment), for segments that are not needed: an impossible length counts
    /// as an empty segment, as in libjpeg.
    pub(crate) fn optional_segment(&mut self) -> Result<&'a [u8], Error> {
        match self.data.get(self.pos..) {
            Some([0, 0 | 1, ..]) => {
                self.pos += 2;
                Ok(&[])
            }
            _ => self.segment(),
        }
    }

    /// Moves past restart marker `expected` (0 to 7), or chooses where to resume if another marker
    /// is found.
    ///
    /// The rule is libjpeg's. The two markers before `expected` are skipped. The two after it are
    /// kept for later, so that the interval in between counts as lost.
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
    fn markers_are_found_after_fill_bytes_and_junk() {
        let mut source = Source::new(&[1, 2, 0xFF, 0, 0xFF, 0xFF, 0xDA, 0, 4, 7, 8, 9], 0);
        assert_eq!(source.next_marker(), Ok(0xDA));
        assert_eq!(source.segment(), Ok(&[7, 8][..]));
        assert_eq!(source.pos, 11);
        assert!(source.next_marker().is_err());
    }

    #[test]
    fn a_later_restart_marker_is_kept_and_an_earlier_one_is_skipped() {
        let mut source = Source::new(&[0xFF, 0xD2, 5], 0);
        assert_eq!(source.restart(1), Ok(()));
        assert_eq!(source.marker, 0xD2, "number 2 stays for the next interval");
        assert_eq!(source.restart(2), Ok(()));
        assert_eq!(source.marker, 0);
        let mut source = Source::new(&[0xFF, 0xD0, 0xFF, 0xD1], 0);
        assert_eq!((source.restart(1), source.pos), (Ok(()), 4));
    }
}
