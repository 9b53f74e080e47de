//! The arithmetic entropy decoder, sequential and progressive (T.81, annex D, F.1.4, F.2.4, G.1.3).

use crate::error::Error;
use crate::header::{Conditioning, Process, Scan, Tables, ZIGZAG};
use crate::progressive::Pass;
use crate::scan::{Coder, Sink};
use crate::source::Source;
use states::{FIXED, STATES};

mod states;

/// Statistics bins of DC differences: five bins for each of five contexts, then the magnitudes.
const DC_BINS: usize = 64;
const AC_BINS: usize = 256;
/// First bin of DC magnitudes (T.81, table F.4).
const DC_MAGNITUDES: usize = 20;
/// First bins of AC magnitudes, of low and of high frequencies (T.81, table F.5).
const AC_MAGNITUDES: [usize; 2] = [189, 217];
/// Distance from the bin of a magnitude's size to the bin of its bits.
const TO_BITS: usize = 14;

/// One bin: the more probable decision in the top bit, the state of its estimate in the others.
type Bin = u8;

/// Decodes the blocks of one scan.
pub(crate) struct Arithmetic<'a> {
    register: Register<'a>,
    interval: u32,
    to_go: u32,
    next_restart: u8,
    /// True after an impossible decision: the rest of the interval is not decoded.
    is_lost: bool,
    conditioning: Conditioning,
    /// `None` for sequential coding.
    pass: Option<Pass>,
    band: (usize, usize),
    low: u8,
    components: Vec<Component>,
    dc_bins: [[Bin; DC_BINS]; 16],
    ac_bins: [[Bin; AC_BINS]; 16],
}

#[derive(Debug, Clone, Copy)]
struct Component {
    dc: usize,
    ac: usize,
    last: i32,
    context: usize,
}

/// The decoder's registers (T.81, D.2.6): `code` is the base of the interval followed by `bits`
/// bits that were read ahead; `size` is the interval's size.
#[derive(Debug, Clone, Copy)]
struct Register<'a> {
    source: Source<'a>,
    code: u64,
    size: u32,
    bits: i32,
    /// True if the file ended before a byte that was needed.
    is_cut: bool,
}

/// The decoder met a decision that no encoder makes: the data are damaged.
struct ImpossibleDecision;

impl<'a> Register<'a> {
    fn new(source: Source<'a>) -> Self {
        Self { source, code: 0, size: 0, bits: -16, is_cut: false }
    }

    /// The next byte of data; after a marker, zeros.
    fn byte(&mut self) -> u8 {
        if self.source.marker != 0 {
            return 0;
        }
        let Some(&byte) = self.source.data.get(self.source.pos) else {
            self.is_cut = true;
            return 0;
        };
        self.source.pos += 1;
        if byte != 0xFF {
            return byte;
        }
        loop {
            let Some(&byte) = self.source.data.get(self.source.pos) else {
                self.is_cut = true;
                return 0;
            };
            self.source.pos += 1;
            match byte {
                0xFF => {}
                0 => return 0xFF,
                marker => {
                    self.source.marker = marker;
                    return 0;
                }
            }
        }
    }

    /// Decodes one binary decision (T.81, figures D.16 to D.18).
    #[inline]
    fn decide(&mut self, bin: &mut Bin) -> bool {
        while self.size < 0x8000 {
            self.bits -= 1;
            if self.bits < 0 {
                self.code = self.code << 8 | u64::from(self.byte());
                self.bits += 8;
                if self.bits < 0 {
                    self.bits += 1;
                    if self.bits == 0 {
                        self.size = 0x8000;
                    }
                }
            }
            self.size <<= 1;
        }
        let state = &STATES[usize::from(*bin & 0x7F)];
        let probable = *bin >> 7;
        self.size -= u32::from(state.size);
        let base = u64::from(self.size) << self.bits;
        let is_upper = self.code >= base;
        if !is_upper && self.size >= 0x8000 {
            return probable != 0;
        }
        let is_larger = self.size < u32::from(state.size);
        if is_upper {
            self.code -= base;
            self.size = u32::from(state.size);
        }
        // the upper part belongs to the less probable decision, unless it is the larger part
        if is_upper == is_larger {
            *bin = probable << 7 | state.after_probable;
            return probable != 0;
        }
        *bin = (probable ^ u8::from(state.exchange)) << 7 | state.after_other;
        probable == 0
    }
}

impl<'a> Arithmetic<'a> {
    pub(crate) fn new(
        tables: &Tables<'a>,
        process: Process,
        scan: &Scan,
        source: Source<'a>,
    ) -> Result<Self, Error> {
        let pass = if process.progressive { Some(Pass::from_scan(scan)?) } else { None };
        let components = scan.components.iter().map(|component| Component {
            dc: usize::from(component.dc),
            ac: usize::from(component.ac),
            last: 0,
            context: 0,
        });
        Ok(Self {
            register: Register::new(source),
            interval: tables.restart_interval,
            to_go: tables.restart_interval,
            next_restart: 0,
            is_lost: false,
            conditioning: tables.conditioning,
            pass,
            band: if pass.is_some() { scan.band } else { (1, 63) },
            low: if pass.is_some() { scan.low } else { 0 },
            components: components.collect(),
            dc_bins: [[0; DC_BINS]; 16],
            ac_bins: [[0; AC_BINS]; 16],
        })
    }

    /// Decodes a DC value as a difference from the last one (T.81, figures F.19 to F.24).
    fn dc(&mut self, slot: usize) -> Result<i16, ImpossibleDecision> {
        let component = &mut self.components[slot];
        let bins = &mut self.dc_bins[component.dc];
        let register = &mut self.register;
        let mut at = component.context;
        if register.decide(&mut bins[at]) {
            let negative = register.decide(&mut bins[at + 1]);
            at += 2 + usize::from(negative);
            let mut magnitude = i32::from(register.decide(&mut bins[at]));
            if magnitude != 0 {
                at = DC_MAGNITUDES;
                magnitude = grow(register, bins, &mut at, magnitude)?;
            }
            let (lower, upper) = self.conditioning.dc[component.dc];
            let sign = 4 * usize::from(negative);
            component.context = match magnitude {
                _ if magnitude < (1 << lower) >> 1 => 0,
                _ if magnitude > (1 << upper) >> 1 => 12 + sign,
                _ => 4 + sign,
            };
            let value = refine(register, &mut bins[at + TO_BITS], magnitude);
            let value = if negative { -value } else { value };
            component.last = (component.last + value) & 0xFFFF;
        } else {
            component.context = 0;
        }
        Ok((component.last << self.low) as i16)
    }

    /// Decodes the coefficients of the scan's band (T.81, figure F.20).
    fn ac(&mut self, slot: usize, sink: &mut impl Sink) -> Result<(), ImpossibleDecision> {
        let table = self.components[slot].ac;
        let bins = &mut self.ac_bins[table];
        let register = &mut self.register;
        let (mut k, last) = self.band;
        while k <= last {
            let mut at = 3 * (k - 1);
            if register.decide(&mut bins[at]) {
                break;
            }
            while !register.decide(&mut bins[at + 1]) {
                (k, at) = (k + 1, at + 3);
                if k > last {
                    return Err(ImpossibleDecision);
                }
            }
            let negative = register.decide(&mut { FIXED });
            at += 2;
            let mut magnitude = i32::from(register.decide(&mut bins[at]));
            if magnitude != 0 && register.decide(&mut bins[at]) {
                at = AC_MAGNITUDES[usize::from(k > usize::from(self.conditioning.ac[table]))];
                magnitude = grow(register, bins, &mut at, 2)?;
            }
            let value = refine(register, &mut bins[at + TO_BITS], magnitude);
            let value = if negative { -value } else { value };
            sink.set(usize::from(ZIGZAG[k]), (value << self.low) as i16);
            k += 1;
        }
        Ok(())
    }

    /// Decodes one more bit of each coefficient of the scan's band (T.81, figure G.10).
    fn ac_refine(&mut self, sink: &mut impl Sink) -> Result<(), ImpossibleDecision> {
        let bins = &mut self.ac_bins[self.components[0].ac];
        let register = &mut self.register;
        let (mut k, last) = self.band;
        let one = 1_i16 << self.low;
        let known = (1..=last).rev().find(|&k| sink.get(usize::from(ZIGZAG[k])) != 0).unwrap_or(0);
        while k <= last {
            let mut at = 3 * (k - 1);
            if k > known && register.decide(&mut bins[at]) {
                break;
            }
            loop {
                let position = usize::from(ZIGZAG[k]);
                let value = sink.get(position);
                if value != 0 {
                    if register.decide(&mut bins[at + 2]) {
                        let change = if value < 0 { -one } else { one };
                        sink.set(position, value.wrapping_add(change));
                    }
                    break;
                }
                if register.decide(&mut bins[at + 1]) {
                    let negative = register.decide(&mut { FIXED });
                    sink.set(position, if negative { -one } else { one });
                    break;
                }
                (k, at) = (k + 1, at + 3);
                if k > last {
                    return Err(ImpossibleDecision);
                }
            }
            k += 1;
        }
        Ok(())
    }

    fn decode(&mut self, slot: usize, sink: &mut impl Sink) -> Result<(), ImpossibleDecision> {
        match self.pass {
            None => {
                sink.set(0, self.dc(slot)?);
                self.ac(slot, sink)
            }
            Some(Pass::DcFirst) => {
                sink.set(0, self.dc(slot)?);
                Ok(())
            }
            Some(Pass::DcRefine) => {
                if self.register.decide(&mut { FIXED }) {
                    sink.set(0, sink.get(0) | 1 << self.low);
                }
                Ok(())
            }
            Some(Pass::AcFirst) => self.ac(slot, sink),
            Some(Pass::AcRefine) => self.ac_refine(sink),
        }
    }
}

/// Reads the size of a magnitude, doubling `magnitude` at each decision (T.81, figure F.23).
fn grow(
    register: &mut Register<'_>,
    bins: &mut [Bin],
    at: &mut usize,
    mut magnitude: i32,
) -> Result<i32, ImpossibleDecision> {
    while register.decide(&mut bins[*at]) {
        magnitude <<= 1;
        if magnitude == 0x8000 {
            return Err(ImpossibleDecision);
        }
        *at += 1;
    }
    Ok(magnitude)
}

/// Reads the bits of a magnitude below its highest bit; the result is at least 1 (T.81, figure
/// F.24).
fn refine(register: &mut Register<'_>, bin: &mut Bin, magnitude: i32) -> i32 {
    let (mut value, mut bit) = (magnitude, magnitude >> 1);
    while bit != 0 {
        if register.decide(bin) {
            value |= bit;
        }
        bit >>= 1;
    }
    value + 1
}

impl<'a> Coder<'a> for Arithmetic<'a> {
    fn begin(&mut self) -> Result<bool, Error> {
        if self.interval > 0 {
            if self.to_go == 0 {
                self.register.source.restart(self.next_restart)?;
                self.next_restart = (self.next_restart + 1) % 8;
                self.dc_bins = [[0; DC_BINS]; 16];
                self.ac_bins = [[0; AC_BINS]; 16];
                for component in &mut self.components {
                    (component.last, component.context) = (0, 0);
                }
                self.register = Register::new(self.register.source);
                self.is_lost = false;
                self.to_go = self.interval;
            }
            self.to_go -= 1;
        }
        Ok(!self.is_lost)
    }

    fn block(&mut self, slot: usize, sink: &mut impl Sink) -> bool {
        if !self.is_lost && self.decode(slot, sink).is_err() {
            self.is_lost = true;
        }
        true
    }

    fn end(&mut self) -> Result<(), Error> {
        if self.register.is_cut { Err(Error::truncated()) } else { Ok(()) }
    }

    fn is_done(&self) -> bool {
        self.is_lost && self.interval == 0
    }

    fn finish(self) -> Result<Source<'a>, Error> {
        Ok(self.register.source)
    }
}
