//! Code shared by all entropy decoders: MCUs, restart intervals, lost data (T.81, A.2 and E.2.4).

use crate::bits::Bits;
use crate::error::Error;
use crate::frame::{Block, Component};
use crate::header::{Scan, ScanComponent};
use crate::source::Source;

/// Storage for the coefficients of one block.
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
    /// Starts an MCU, reading a restart marker if one is due. False if the data of the interval
    /// have ended, so that the MCU is not decoded.
    fn begin(&mut self) -> Result<bool, Error>;

    /// Decodes a block of component `slot` of the scan. `sink` holds the coefficients of earlier
    /// scans, or zeros. False if the block certainly has no AC coefficient.
    fn block(&mut self, slot: usize, sink: &mut impl Sink) -> bool;

    /// Ends an MCU.
    fn end(&mut self) -> Result<(), Error>;

    /// Returns the position after the last MCU.
    fn finish(self) -> Result<Source<'a>, Error>;

    /// True if no following MCU changes anything.
    fn is_done(&self) -> bool {
        false
    }
}

/// The restart intervals of a Huffman-coded scan.
///
/// If a marker comes before the end of an interval, zeros complete the current MCU and the
/// remaining MCUs are not decoded, as in libjpeg.
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

    /// True if a restart marker is due before the next MCU.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        self.to_go == 0 && self.interval > 0
    }

    /// Reads the restart marker.
    #[cold]
    pub(crate) fn read_marker(&mut self, bits: &mut Bits<'_>) -> Result<(), Error> {
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

    /// True if the data of this interval have ended and no other interval follows.
    pub(crate) fn is_over(&self) -> bool {
        self.is_empty && self.interval == 0
    }
}

/// Decodes a scan into the coefficients of the whole image. Returns the MCU row of the last MCU
/// that began before the data ended, and the position after the scan.
pub(crate) fn decode_coefficients<'a, C: Coder<'a>>(
    mut coder: C,
    scan: &Scan,
    components: &mut [Component],
    mcus: (usize, usize),
) -> Result<(usize, Source<'a>), Error> {
    let mut last_good_row = 0;
    if let [ScanComponent { index, .. }] = scan.components[..] {
        let component = &mut components[index];
        let (columns, rows) = component.blocks;
        'rows: for row in 0..rows {
            let start = row * component.stride_blocks;
            for block in &mut component.coefficients[start..start + columns] {
                if coder.is_done() {
                    break 'rows;
                }
                if coder.begin()? {
                    last_good_row = row / component.v;
                    coder.block(0, block);
                }
                coder.end()?;
            }
        }
        return Ok((last_good_row, coder.finish()?));
    }
    'image: for row in 0..mcus.1 {
        for column in 0..mcus.0 {
            if coder.is_done() {
                break 'image;
            }
            if coder.begin()? {
                last_good_row = row;
                for (slot, &ScanComponent { index, .. }) in scan.components.iter().enumerate() {
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
    Ok((last_good_row, coder.finish()?))
}
