//! The sequential Huffman decoder (T.81, F.2.2).

use crate::bits::Bits;
use crate::error::Error;
use crate::header::{Scan, Tables, ZIGZAG};
use crate::huffman::{self, Table};
use crate::scan::{Coder, Restarts, Sink};
use crate::source::Source;

/// Decodes the blocks of one scan.
pub(crate) struct Sequential<'a> {
    bits: Bits<'a>,
    restarts: Restarts,
    /// For each component of the scan: its tables and the last DC value.
    components: Vec<Component>,
}

struct Component {
    dc: Table,
    ac: Table,
    last: i32,
}

impl<'a> Sequential<'a> {
    pub(crate) fn new(tables: &Tables<'a>, scan: &Scan, source: Source<'a>) -> Result<Self, Error> {
        let components = scan.components.iter().map(|component| {
            let dc = table(tables, true, component.dc)?;
            Ok(Component { dc, ac: table(tables, false, component.ac)?, last: 0 })
        });
        Ok(Self {
            bits: Bits::new(source),
            restarts: Restarts::new(tables.restart_interval),
            components: components.collect::<Result<_, Error>>()?,
        })
    }
}

/// Table `number` of a file. Tables 0 and 1 default to the standard's if the file defines none.
pub(crate) fn table(tables: &Tables<'_>, dc: bool, number: u8) -> Result<Table, Error> {
    let defined = if dc { &tables.dc } else { &tables.ac };
    match defined.get(usize::from(number)) {
        Some(Some(code)) => Table::new(code, dc),
        Some(None) if number < 2 && !is_progressive(tables) => {
            Table::new(&huffman::standard(dc, number == 1), dc)
        }
        _ => Err(Error::damaged("a JPEG scan uses a Huffman table that the file does not define")),
    }
}

fn is_progressive(tables: &Tables<'_>) -> bool {
    tables.frame.as_ref().is_some_and(|frame| frame.process.progressive)
}

impl<'a> Coder<'a> for Sequential<'a> {
    #[inline(always)]
    fn begin(&mut self) -> Result<bool, Error> {
        if self.restarts.is_due() {
            self.restarts.read_marker(&mut self.bits)?;
            self.components.iter_mut().for_each(|component| component.last = 0);
        }
        Ok(!self.restarts.is_empty)
    }

    #[inline(always)]
    fn block(&mut self, slot: usize, sink: &mut impl Sink) -> bool {
        let component = &mut self.components[slot];
        let bits = &mut self.bits;
        let mut window = bits.window;
        bits.refill(&mut window);
        let size = component.dc.symbol(&mut window);
        let difference = if size == 0 { 0 } else { window.signed(size) };
        component.last = component.last.wrapping_add(difference);
        sink.set(0, component.last as i16);
        let ac = &component.ac;
        let mut k = 1;
        while k < 64 {
            bits.refill(&mut window);
            let entry = ac.look(window);
            if entry >> 16 != 0 {
                k += (entry >> 12 & 0xF) as usize;
                window.consume(entry & 0x1F);
                sink.set(usize::from(ZIGZAG[k & 127]), (entry >> 16) as i16);
                k += 1;
                continue;
            }
            let (symbol, length) =
                if entry == 0 { ac.long(window) } else { (entry >> 8, entry & 0x1F) };
            window.consume(length);
            let (run, size) = ((symbol >> 4) as usize, symbol & 0xF);
            if size == 0 {
                if run != 15 {
                    break;
                }
                k += 16;
                continue;
            }
            k += run;
            let value = window.signed(size);
            sink.set(usize::from(ZIGZAG[k & 127]), value as i16);
            k += 1;
        }
        bits.window = window;
        k > 1
    }

    #[inline(always)]
    fn end(&mut self) -> Result<(), Error> {
        self.restarts.count(&self.bits)
    }

    fn is_done(&self) -> bool {
        self.restarts.is_over()
    }

    fn finish(self) -> Result<Source<'a>, Error> {
        if self.bits.has_more() { Ok(self.bits.source) } else { Err(Error::truncated()) }
    }
}
