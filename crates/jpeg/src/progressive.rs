//! The progressive Huffman decoder (T.81, G.1.2 and G.2): spectral selection and successive
//! approximation.

use crate::bits::{Bits, Window};
use crate::error::Error;
use crate::header::{Scan, Tables, ZIGZAG};
use crate::huffman::Table;
use crate::scan::{Coder, Restarts, Sink};
use crate::sequential;
use crate::source::Source;

/// Decodes the blocks of one scan.
pub(crate) struct Progressive<'a> {
    bits: Bits<'a>,
    restarts: Restarts,
    pass: Pass,
    /// DC scans have a table for each component of the scan, AC scans have one.
    tables: Vec<Table>,
    last: [i32; 4],
    band: (usize, usize),
    /// Position of the lowest bit in this scan.
    low: u8,
    /// Number of following blocks without a new coefficient.
    run: u32,
}

/// The kind of a progressive scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    DcFirst,
    DcRefine,
    AcFirst,
    AcRefine,
}

impl Pass {
    /// Checks the scan's parameters and returns its kind.
    pub(crate) fn from_scan(scan: &Scan) -> Result<Self, Error> {
        let (first, last) = scan.band;
        let band = match first {
            0 => last == 0,
            _ => first <= last && last < 64 && scan.components.len() == 1,
        };
        let bits = scan.low <= 13 && (scan.high == 0 || scan.high - 1 == scan.low);
        if !band || !bits {
            return Err(Error::damaged("a progressive JPEG scan is not valid"));
        }
        Ok(match (first, scan.high) {
            (0, 0) => Self::DcFirst,
            (0, _) => Self::DcRefine,
            (_, 0) => Self::AcFirst,
            (_, _) => Self::AcRefine,
        })
    }
}

impl<'a> Progressive<'a> {
    pub(crate) fn new(tables: &Tables<'a>, scan: &Scan, source: Source<'a>) -> Result<Self, Error> {
        let pass = Pass::from_scan(scan)?;
        let needed = scan.components.iter().map(|component| match pass {
            Pass::DcFirst => sequential::table(tables, true, component.dc),
            _ => sequential::table(tables, false, component.ac),
        });
        let tables_of_scan = match pass {
            Pass::DcRefine => Vec::new(),
            _ => needed.collect::<Result<_, _>>()?,
        };
        Ok(Self {
            bits: Bits::new(source),
            restarts: Restarts::new(tables.restart_interval),
            pass,
            tables: tables_of_scan,
            last: [0; 4],
            band: scan.band,
            low: scan.low,
            run: 0,
        })
    }

    fn dc_first(&mut self, slot: usize, sink: &mut impl Sink) {
        let mut window = self.bits.window;
        self.bits.refill(&mut window);
        let size = self.tables[slot].symbol(&mut window);
        let difference = if size == 0 { 0 } else { window.signed(size) };
        self.bits.window = window;
        self.last[slot] = self.last[slot].wrapping_add(difference);
        sink.set(0, (self.last[slot] << self.low) as i16);
    }

    fn dc_refine(&mut self, sink: &mut impl Sink) {
        let mut window = self.bits.window;
        if self.bits.bit(&mut window) {
            sink.set(0, sink.get(0) | 1 << self.low);
        }
        self.bits.window = window;
    }

    /// Reads the number of blocks without a further coefficient, including this one (T.81, table
    /// G.1).
    fn read_run(window: &mut Window, size: u32) -> u32 {
        (1 << size) + if size == 0 { 0 } else { window.take(size) }
    }

    fn ac_first(&mut self, sink: &mut impl Sink) {
        if self.run > 0 {
            self.run -= 1;
            return;
        }
        let bits = &mut self.bits;
        let mut window = bits.window;
        let (mut k, last) = self.band;
        while k <= last {
            bits.refill(&mut window);
            let symbol = self.tables[0].symbol(&mut window);
            let (run, size) = (symbol >> 4, symbol & 0xF);
            if size != 0 {
                k += run as usize;
                let value = window.signed(size);
                sink.set(usize::from(ZIGZAG[k & 127]), (value << self.low) as i16);
                k += 1;
            } else if run == 15 {
                k += 16;
            } else {
                self.run = Self::read_run(&mut window, run) - 1;
                break;
            }
        }
        bits.window = window;
    }

    /// Refines known coefficients and adds new ones (T.81, G.1.2.3 and figure G.7).
    fn ac_refine(&mut self, sink: &mut impl Sink) {
        let bits = &mut self.bits;
        let mut window = bits.window;
        let (mut k, last) = self.band;
        let one = 1_i16 << self.low;
        while k <= last && self.run == 0 {
            bits.refill(&mut window);
            let symbol = self.tables[0].symbol(&mut window);
            let (mut zeros, size) = (symbol >> 4, symbol & 0xF);
            let value = if size != 0 {
                if bits.bit(&mut window) { one } else { -one }
            } else if zeros != 15 {
                self.run = Self::read_run(&mut window, zeros);
                break;
            } else {
                0
            };
            while k <= last {
                let position = usize::from(ZIGZAG[k & 127]);
                if sink.get(position) != 0 {
                    correct(bits, &mut window, sink, position, one);
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if value != 0 {
                sink.set(usize::from(ZIGZAG[k & 127]), value);
            }
            k += 1;
        }
        if self.run > 0 {
            for &position in ZIGZAG.get(k..=last).unwrap_or_default() {
                if sink.get(usize::from(position)) != 0 {
                    correct(bits, &mut window, sink, usize::from(position), one);
                }
            }
            self.run -= 1;
        }
        bits.window = window;
    }
}

/// Reads the next bit of a nonzero coefficient.
#[inline(always)]
fn correct(
    bits: &mut Bits<'_>,
    window: &mut Window,
    sink: &mut impl Sink,
    position: usize,
    one: i16,
) {
    if bits.bit(window) {
        let value = sink.get(position);
        if value & one == 0 {
            let change = if value >= 0 { one } else { -one };
            sink.set(position, value.wrapping_add(change));
        }
    }
}

impl<'a> Coder<'a> for Progressive<'a> {
    fn begin(&mut self) -> Result<bool, Error> {
        if self.restarts.is_due() {
            self.restarts.read_marker(&mut self.bits)?;
            self.last = [0; 4];
            self.run = 0;
        }
        Ok(!self.restarts.is_empty)
    }

    fn block(&mut self, slot: usize, sink: &mut impl Sink) -> bool {
        match self.pass {
            Pass::DcFirst => self.dc_first(slot, sink),
            Pass::DcRefine => self.dc_refine(sink),
            Pass::AcFirst => self.ac_first(sink),
            Pass::AcRefine => self.ac_refine(sink),
        }
        true
    }

    fn end(&mut self) -> Result<(), Error> {
        self.restarts.count(&self.bits)
    }

    fn is_done(&self) -> bool {
        self.restarts.is_over()
    }

    fn finish(self) -> Result<Source<'a>, Error> {
        Ok(self.bits.source)
    }
}
