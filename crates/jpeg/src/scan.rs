//! What all entropy decoders have in common: MCUs, restart intervals, lost data (T.81, A.2 and E.2.4).

use crate::bits::Bits;
use crate::error::Error;
use crate::frame::Component;
use crate::header::Scan;
use crate::source::Source;

/// Coefficients of one block, in rows of eight.
pub(crate) type Block = [i16; 64];

/// Where a block's coefficients go.
pub(crate) trait Sink {
    fn set(&mut self, position: usize, value: i16);
    fn get(&self, position: usize) -> i16;
}

impl Sink for Block {
    #[inline(always)]
    fn set(&mut self, position: usize, value: i16) {
        self[position & 63] = value;
    }

    #[inline(always)]
    fn get(&self, position: usize) -> i16 {
        self[position & 63]
    }
}

/// An entropy decoder.
pub(crate) trait Coder<'a> {
    /// Starts an MCU: passes a restart marker if one is due. False if the data of its interval have
    /// ended, so that the MCU stays as it is.
    fn begin(&mut self) -> Result<bool, Error>;

    /// Decodes a block of the scan's component number `slot`; what `sink` has was zero or is what
    /// earlier scans said. False if it surely has no AC coefficient.
    fn block(&mut self, slot: usize, sink: &mut impl Sink) -> bool;

    /// Ends an MCU.
    fn end(&mut self) -> Result<(), Error>;

    /// Where the file goes on after the last MCU.
    fn finish(self) -> Result<Source<'a>, Error>;

    /// True if no MCU that follows changes anything.
    fn is_done(&self) -> bool {
        false
    }
}

/// Restart intervals of a Huffman-coded scan.
///
/// Where a marker stands before the end of an interval, zeros complete the MCU that was begun, and
/// the others stay as they are: libjpeg's rule.
pub(crate) struct Restarts {
    interval: u32,
    to_go: u32,
    next: u8,
    /// True if the data of this interval have ended.
    pub(crate) is_empty: bool,
}

impl Restarts {
    pub(crate) fn new(interval: u32) -> Self {
        Self { interval, to_go: interval, next: 0, is_empty: false }
    }

    /// True if a restart marker stands before the next MCU.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        self.to_go == 0 && self.interval > 0
    }

    /// Moves behind the restart marker.
    #[cold]
    pub(crate) fn pass(&mut self, bits: &mut Bits<'_>) -> Result<(), Error> {
        bits.clear();
        bits.source.restart(self.next)?;
        self.next = (self.next + 1) % 8;
        self.to_go = self.interval;
        if bits.source.marker == 0 {
            self.is_empty = false;
        }
        Ok(())
    }

    /// Counts an MCU that was decoded with `bits`.
    #[inline(always)]
    pub(crate) fn count(&mut self, bits: &Bits<'_>) -> Result<(), Error> {
        self.to_go = self.to_go.wrapping_sub(1);
        if bits.is_overrun() {
            self.is_empty = true;
            return bits.check_end();
        }
        Ok(())
    }

    /// True if no interval follows and the data of this one have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.is_empty && self.interval == 0
    }
}

/// Decodes a scan into the coefficients of the whole image. Returns the iMCU row of the last MCU that
/// began before the data ended, and where the file goes on.
pub(crate) fn into_image<'a, C: Coder<'a>>(
    mut coder: C,
    scan: &Scan,
    components: &mut [Component],
    mcus: (usize, usize),
) -> Result<(usize, Source<'a>), Error> {
    let mut good = 0;
    if let [(index, ..)] = scan.components[..] {
        let component = &mut components[index];
        let (columns, rows) = component.blocks;
        'rows: for row in 0..rows {
            let start = row * component.stride_blocks;
            for block in &mut component.coefficients[start..start + columns] {
                if coder.is_done() {
                    break 'rows;
                }
                if coder.begin()? {
                    good = row / component.v;
                    coder.block(0, block);
                }
                coder.end()?;
            }
        }
        return Ok((good, coder.finish()?));
    }
    'image: for row in 0..mcus.1 {
        for column in 0..mcus.0 {
            if coder.is_done() {
                break 'image;
            }
            if coder.begin()? {
                good = row;
                for (slot, &(index, ..)) in scan.components.iter().enumerate() {
                    let component = &mut components[index];
                    for y in 0..component.v {
                        let at = (row * component.v + y) * component.stride_blocks;
                        let at = at + column * component.h;
                        for block in &mut component.coefficients[at..at + component.h] {
                            coder.block(slot, block);
                        }
                    }
                }
            }
            coder.end()?;
        }
    }
    Ok((good, coder.finish()?))
}
