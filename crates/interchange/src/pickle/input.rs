//! `Input` reads the arguments of opcodes and never goes past the end.

use super::{Failure, Result};

/// The bytes of a pickle and a position in them.
#[derive(Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.get(..count) else {
            let reason = format!("{count} bytes are announced, but {} are left", rest.len());
            return Err(Failure::damaged(self.position, reason));
        };
        self.position += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<usize> {
        Ok(usize::from(self.array::<1>()?[0]))
    }

    pub(super) fn u32(&mut self) -> Result<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    /// A length of 8 bytes.
    pub(super) fn u64(&mut self) -> Result<usize> {
        let at = self.position;
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length)
            .map_err(|_| Failure::damaged(at, format!("{length} bytes are announced")))
    }

    /// Text of `count` bytes.
    pub(super) fn text(&mut self, count: usize) -> Result<&'a str> {
        let at = self.position;
        let bytes = self.take(count)?;
        // Python writes lone surrogates, which UTF-8 does not have; weights have no use for them.
        std::str::from_utf8(bytes).map_err(|_| Failure::damaged(at, "text is not UTF-8".to_owned()))
    }

    /// Text up to the end of the line.
    pub(super) fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.position..];
        let Some(count) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(Failure::damaged(self.position, "a line has no end".to_owned()));
        };
        let line = self.text(count)?;
        self.position += 1;
        Ok(line)
    }
}
