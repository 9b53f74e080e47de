//! A file from its first byte to the pixels.

use crate::arithmetic::Arithmetic;
use crate::color::Space;
use crate::error::Error;
use crate::frame::{self, Component, Geometry, Scale};
use crate::header::{Frame, Scan, Tables};
use crate::output::{Image, Output};
use crate::progressive::Progressive;
use crate::scan::{self, Coder};
use crate::sequential::Sequential;
use crate::smooth::{self, Progress};
use crate::source::Source;
use crate::upsample;

/// Most scans of a file. Encoders write about ten; every scan may take as long as decoding everything.
const MAX_SCANS: usize = 500;

/// Most pixels for each byte of Huffman-coded data: a block of 64 takes one bit at least. Files that
/// are cut short have more, so it holds for images of more than [`FREE_PIXELS`] alone.
const MAX_PIXELS_PER_BYTE: u64 = 8 * 64;

/// Pixels for which memory is taken however few the data are.
const FREE_PIXELS: u64 = 1 << 20;

/// Bytes that Pillow reads at a time.
const PILLOW_BLOCK: usize = 1 << 16;

/// A JPEG file whose headers have been read.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    tables: Tables<'a>,
    frame: Frame,
    scan: Scan,
    source: Source<'a>,
}

impl<'a> Decoder<'a> {
    /// Reads everything in front of the first scan.
    ///
    /// # Errors
    /// If the headers are damaged, or describe a process that is not decoded.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if !bytes.starts_with(&[0xFF, 0xD8]) {
            return Err(Error::damaged("this is no JPEG: it does not start with FF D8"));
        }
        let mut source = Source::new(bytes, 2);
        let mut tables = Tables::new();
        let scan = tables.next_scan(&mut source)?;
        let (Some(scan), Some(frame)) = (scan, tables.frame.clone()) else {
            return Err(Error::damaged("the JPEG ends before its first scan"));
        };
        Ok(Self { tables, frame, scan, source })
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.frame.width as u32
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.frame.height as u32
    }

    /// Components: 1, 3 or 4.
    pub fn components(&self) -> usize {
        self.frame.components.len()
    }

    /// True if the coefficients of the whole image are kept while it is decoded, at any scale.
    pub fn has_several_scans(&self) -> bool {
        self.frame.process.progressive || self.scan.components.len() < self.components()
    }

    /// EXIF, the parts of all its segments joined, without their names; empty if there is none.
    pub fn exif(&self) -> &[u8] {
        &self.tables.exif
    }

    /// The last XMP segment, without its name.
    pub fn xmp(&self) -> Option<&'a [u8]> {
        self.tables.xmp
    }

    /// Decodes the image.
    ///
    /// Takes `width · height` bytes for each component, and three times that for files of several
    /// scans: check the size before.
    ///
    /// # Errors
    /// If the data end before the last block, or break the standard in a way that libjpeg does not
    /// repair.
    pub fn decode(self, scale: Scale) -> Result<Image, Error> {
        let rest = self.source.data.len() - self.source.pos;
        let pixels = u64::from(self.width()) * u64::from(self.height());
        let limit = FREE_PIXELS.max(MAX_PIXELS_PER_BYTE * rest as u64);
        if !self.frame.process.arithmetic && pixels > limit {
            let (width, height) = (self.width(), self.height());
            let reason = format!("{rest} bytes for {width} x {height} pixels");
            return Err(Error::damaged(reason));
        }
        let (geometry, components) = frame::measure(&self.frame, scale);
        let is_whole = self.scan.components.len() == components.len();
        if is_whole && !self.frame.process.progressive {
            self.decode_rows(&geometry, components)
        } else {
            self.decode_scans(&geometry, components)
        }
    }

    fn space(&self) -> Space {
        let ids: Vec<u8> = self.frame.components.iter().map(|component| component.id).collect();
        Space::of(&self.tables, &ids)
    }

    /// Decodes a file of one scan, finishing rows as they are read.
    fn decode_rows(
        mut self,
        geometry: &Geometry,
        mut components: Vec<Component>,
    ) -> Result<Image, Error> {
        frame::enter(&self.scan, &self.tables, &mut components)?;
        let mut output = Output::new(geometry, &components, self.space())?;
        let (tables, scan, source) = (&self.tables, &self.scan, self.source);
        self.source = if self.frame.process.arithmetic {
            let coder = Arithmetic::new(tables, self.frame.process, scan, source)?;
            rows(coder, scan, &components, geometry, &mut output)?
        } else {
            rows(Sequential::new(tables, scan, source)?, scan, &components, geometry, &mut output)?
        };
        self.check_trailer()?;
        Ok(output.finish())
    }

    /// Decodes a file of several scans.
    fn decode_scans(
        mut self,
        geometry: &Geometry,
        mut components: Vec<Component>,
    ) -> Result<Image, Error> {
        // refuse sampling factors before memory is taken
        upsample::methods(&components, geometry)?;
        for component in &mut components {
            let blocks = component.stride_blocks * geometry.mcus.1 * component.v;
            component.coefficients = vec![[0; 64]; blocks];
        }
        let mut progress = Progress::new(components.len());
        let mut scan = Some(self.scan.clone());
        for count in 1.. {
            let Some(this) = scan else { break };
            if count > MAX_SCANS {
                return Err(Error::damaged(format!("the JPEG has more than {MAX_SCANS} scans")));
            }
            self.decode_scan(&this, geometry, &mut components, &mut progress)?;
            scan = self.tables.next_scan(&mut self.source)?;
        }
        let mut output = Output::new(geometry, &components, self.space())?;
        let is_smoothed = self.frame.process.progressive && progress.is_needed(&components);
        for row in 0..geometry.mcus.1 {
            if is_smoothed {
                smooth::put_row(&mut output, &components, geometry, &progress, row);
            } else {
                put_row(&mut output, &components, row);
            }
            output.emit(row, geometry.mcus.1);
        }
        Ok(output.finish())
    }

    fn decode_scan(
        &mut self,
        scan: &Scan,
        geometry: &Geometry,
        components: &mut [Component],
        progress: &mut Progress,
    ) -> Result<(), Error> {
        frame::enter(scan, &self.tables, components)?;
        let (tables, source, process) = (&self.tables, self.source, self.frame.process);
        let mcus = geometry.mcus;
        let (good, source) = if process.arithmetic {
            let coder = Arithmetic::new(tables, process, scan, source)?;
            progress.enter(scan);
            scan::into_image(coder, scan, components, mcus)?
        } else if process.progressive {
            let coder = Progressive::new(tables, scan, source)?;
            progress.enter(scan);
            scan::into_image(coder, scan, components, mcus)?
        } else {
            scan::into_image(Sequential::new(tables, scan, source)?, scan, components, mcus)?
        };
        progress.good = good;
        self.source = source;
        Ok(())
    }

    /// Reads what follows the pixels, up to the end of the image. The end itself may be missing.
    ///
    /// Pillow reads files in blocks and sees no more than the block in which the pixels end; a second
    /// image further behind does no harm.
    fn check_trailer(&mut self) -> Result<(), Error> {
        let end = self.source.pos.next_multiple_of(PILLOW_BLOCK);
        self.source.data = self.source.data.get(..end).unwrap_or(self.source.data);
        match self.tables.next_scan(&mut self.source) {
            Ok(Some(_)) => Err(Error::damaged("the JPEG has a scan behind its last one")),
            Err(error) if error != Error::truncated() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Decodes the only scan of a file, MCU row by MCU row. Returns where the file goes on.
fn rows<'a, C: Coder<'a>>(
    mut coder: C,
    scan: &Scan,
    components: &[Component],
    geometry: &Geometry,
    output: &mut Output,
) -> Result<Source<'a>, Error> {
    // the blocks of an MCU: slot in the scan, component, column and row in the MCU
    let mut blocks = Vec::new();
    for (slot, &(index, ..)) in scan.components.iter().enumerate() {
        let (h, v) = (components[index].h, components[index].v);
        blocks.extend((0..v).flat_map(|y| (0..h).map(move |x| (slot, index, x, y))));
    }
    let (columns, rows) = geometry.mcus;
    for row in 0..rows {
        for column in 0..columns {
            let is_there = coder.begin()?;
            for &(slot, index, x, y) in &blocks {
                let place = (column * components[index].h + x, y);
                output.strips[index].decode(row, place, |lane| is_there && coder.block(slot, lane));
            }
            coder.end()?;
        }
        output.emit(row, rows);
    }
    coder.finish()
}

/// Puts all blocks of MCU row `row` into the strips.
fn put_row(output: &mut Output, components: &[Component], row: usize) {
    for (component, strip) in components.iter().zip(&mut output.strips) {
        for y in 0..component.v {
            let start = (row * component.v + y) * component.stride_blocks;
            let blocks = &component.coefficients[start..start + component.blocks.0];
            for (column, block) in blocks.iter().enumerate() {
                strip.put(row, (column, y), block);
            }
        }
    }
}
