//! The [`Decoder`]: from the first byte of a file to its pixels.

use crate::arithmetic::Arithmetic;
use crate::color::Space;
use crate::error::Error;
use crate::frame::{self, Component, Geometry, Scale};
use crate::header::{Frame, Scan, ScanComponent, Tables};
use crate::output::{Image, Output};
use crate::progressive::Progressive;
use crate::scan::{self, Coder};
use crate::sequential::Sequential;
use crate::smooth::{self, Progress};
use crate::source::Source;
use crate::upsample;

/// Limit on the scans of a file. Encoders write about ten, and each may take as long as a whole
/// decode.
const MAX_SCANS: usize = 500;

/// Limit on the pixels per byte of Huffman-coded data: a block of 64 pixels takes at least one bit.
/// Truncated files exceed it, so it applies only to images of more than [`FREE_PIXELS`].
const MAX_PIXELS_PER_BYTE: u64 = 8 * 64;

/// Number of pixels that are allocated however few bytes of data there are.
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
    /// Reads the headers, up to the first scan.
    ///
    /// # Errors
    /// If the headers are damaged, or describe a process that is not supported.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if !bytes.starts_with(&[0xFF, 0xD8]) {
            return Err(Error::damaged("not a JPEG: it does not start with FF D8"));
        }
        let mut source = Source::new(bytes, 2);
        let mut tables = Tables::new();
        let scan = tables.next_scan(&mut source)?;
        let (Some(scan), Some(frame)) = (scan, tables.frame.clone()) else {
            return Err(Error::damaged("the JPEG ends before its first scan"));
        };
        Ok(Self { tables, frame, scan, source })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.frame.width as u32
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.frame.height as u32
    }

    /// Number of components: 1, 3 or 4.
    pub fn components(&self) -> usize {
        self.frame.components.len()
    }

    /// True if decoding keeps the coefficients of the whole image in memory, at any scale.
    pub fn has_several_scans(&self) -> bool {
        self.frame.process.progressive || self.scan.components.len() < self.components()
    }

    /// The EXIF data: all EXIF segments joined, without their names; empty if there are none.
    pub fn exif(&self) -> &[u8] {
        &self.tables.exif
    }

    /// The XMP packet: the last XMP segment, without its name.
    pub fn xmp(&self) -> Option<&'a [u8]> {
        self.tables.xmp
    }

    /// Decodes the image.
    ///
    /// Allocates `width · height` bytes for each component, and three times that for files with
    /// several scans. Check the size first.
    ///
    /// # Errors
    /// If the data end before the last block, or violate the standard in a way that libjpeg does
    /// not repair.
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
        Space::from_tables(&self.tables, &ids)
    }

    /// Decodes a file with one scan, one MCU row at a time.
    fn decode_rows(
        mut self,
        geometry: &Geometry,
        mut components: Vec<Component>,
    ) -> Result<Image, Error> {
        frame::start_scan(&self.scan, &self.tables, &mut components)?;
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

    /// Decodes a file with several scans: all coefficients first, then the pixels.
    fn decode_scans(
        mut self,
        geometry: &Geometry,
        mut components: Vec<Component>,
    ) -> Result<Image, Error> {
        // refuse sampling factors before allocating
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
        frame::start_scan(scan, &self.tables, components)?;
        let (tables, source, process) = (&self.tables, self.source, self.frame.process);
        let mcus = geometry.mcus;
        let (last_good_row, source) = if process.arithmetic {
            let coder = Arithmetic::new(tables, process, scan, source)?;
            progress.start_scan(scan);
            scan::decode_coefficients(coder, scan, components, mcus)?
        } else if process.progressive {
            let coder = Progressive::new(tables, scan, source)?;
            progress.start_scan(scan);
            scan::decode_coefficients(coder, scan, components, mcus)?
        } else {
            scan::decode_coefficients(
                Sequential::new(tables, scan, source)?,
                scan,
                components,
                mcus,
            )?
        };
        progress.last_good_row = last_good_row;
        self.source = source;
        Ok(())
    }

    /// Checks the segments after the pixels, up to the end-of-image marker, which may be missing.
    ///
    /// Pillow reads files in blocks and sees nothing after the block in which the pixels end, so a
    /// second image after that block is allowed.
    fn check_trailer(&mut self) -> Result<(), Error> {
        let end = self.source.pos.next_multiple_of(PILLOW_BLOCK);
        self.source.data = self.source.data.get(..end).unwrap_or(self.source.data);
        match self.tables.next_scan(&mut self.source) {
            Ok(Some(_)) => Err(Error::damaged("the JPEG has a further scan after its last one")),
            Err(error) if error != Error::truncated() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Decodes the only scan of a file, one MCU row at a time. Returns the position after it.
fn rows<'a, C: Coder<'a>>(
    mut coder: C,
    scan: &Scan,
    components: &[Component],
    geometry: &Geometry,
    output: &mut Output,
) -> Result<Source<'a>, Error> {
    // the blocks of an MCU: slot in the scan, component, column and row in the MCU
    let mut blocks = Vec::new();
    for (slot, &ScanComponent { index, .. }) in scan.components.iter().enumerate() {
        let (h, v) = (components[index].h, components[index].v);
        blocks.extend((0..v).flat_map(|y| (0..h).map(move |x| (slot, index, x, y))));
    }
    let (columns, rows) = geometry.mcus;
    for row in 0..rows {
        for column in 0..columns {
            let has_data = coder.begin()?;
            for &(slot, index, x, y) in &blocks {
                let place = (column * components[index].h + x, y);
                output.strips[index].decode(row, place, |lane| has_data && coder.block(slot, lane));
            }
            coder.end()?;
        }
        output.emit(row, rows);
    }
    coder.finish()
}

/// Writes all blocks of MCU row `row` to the strips.
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
