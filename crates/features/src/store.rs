//! Unit vectors of images in a temporary file: what similarities are computed from, however many there are.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use probe::similarity::Rows;
use probe::{Kind, Pass, Progress, Source};

use crate::error::{Error, Result};
use crate::table::{Table, storing};

/// Rows of unit length on disk, and the images that they are of. A row of zeros stays.
///
/// The file has no name and vanishes with the `Store`; it lies where large temporary files do ([`on_disk::folder`]), and takes 4
/// bytes for each value.
#[derive(Debug)]
pub struct Store {
    file: File,
    width: usize,
    /// Place in the source of the image of each row, ascending.
    images: Vec<usize>,
}

/// A [`Store`] that is being written.
struct Writer {
    file: BufWriter<File>,
    width: usize,
    images: Vec<usize>,
    not_finite: usize,
}

impl Store {
    /// Computes features of a kind that has one row for each image. Returns also a sentence about images that
    /// could not be read, if there are any.
    ///
    /// # Errors
    /// As [`Pass::for_each_batch`]; features that are not finite; a full disk.
    pub fn compute(
        pass: &Pass<'_>,
        source: &dyn Source,
        kind: Kind,
        progress: &mut Progress<'_>,
    ) -> Result<(Self, Option<String>)> {
        let writer = RefCell::new(Writer::new(source.width(kind, &pass.preprocess.shape(1)))?);
        let mut failure = None;
        let passed = pass.for_each_batch(&[source], &[kind], progress, &mut |chunk| {
            if let Err(error) = writer.borrow_mut().add(chunk.rows, chunk.images.iter().copied()) {
                failure.get_or_insert(error);
            }
        })?;
        failure.map_or(Ok(()), |error| Err(storing(error)))?;
        Ok((writer.into_inner().finish()?, passed.left_out))
    }

    /// Reads features from a file, whose rows are of these images of a source.
    ///
    /// # Errors
    /// As [`Table::for_each_block`]; features that are not finite; a full disk.
    ///
    /// # Panics
    /// If there are fewer images than rows.
    pub fn of_table(table: &Table, images: &[usize]) -> Result<Self> {
        let mut writer = Writer::new(table.width())?;
        table.for_each_block(&mut |rows| {
            let first = writer.images.len();
            let of_rows = &images[first..][..rows.len() / table.width()];
            writer.add(rows, of_rows.iter().copied()).map_err(storing)
        })?;
        writer.finish()
    }

    /// Place in the source of the image of each row, ascending.
    pub fn images(&self) -> &[usize] {
        &self.images
    }

    /// A store of some of the rows, in this order.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let mut writer = Writer::new(self.width)?;
        let mut values = vec![0.0; self.width];
        for &row in rows {
            self.read(row..row + 1, &mut values).map_err(storing)?;
            writer.add(&values, [self.images[row]]).map_err(storing)?;
        }
        writer.finish()
    }
}

impl Writer {
    fn new(width: usize) -> Result<Self> {
        let file = on_disk::file().map_err(storing)?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { file, width, images: Vec::new(), not_finite: 0 })
    }

    /// Adds the rows of these images, scaled to unit length.
    fn add(&mut self, rows: &[f32], images: impl IntoIterator<Item = usize>) -> io::Result<()> {
        self.images.extend(images);
        for row in rows.chunks_exact(self.width) {
            self.not_finite += usize::from(row.iter().any(|x| !x.is_finite()));
            let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            let scale = 1.0 / norm.max(f64::from(f32::MIN_POSITIVE));
            let unit = row.iter().map(|&x| (f64::from(x) * scale) as f32);
            let bytes: Vec<u8> = unit.flat_map(f32::to_le_bytes).collect();
            self.file.write_all(&bytes)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Store> {
        let Self { file, width, images, not_finite } = self;
        if not_finite > 0 {
            let (bad, all) = (not_finite, images.len());
            return Err(Error::Features(probe::Error::NonFiniteFeatures { bad, all }));
        }
        let file = file.into_inner().map_err(|error| storing(error.into_error()))?;
        Ok(Store { file, width, images })
    }
}

impl Rows for Store {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, range: Range<usize>, values: &mut [f32]) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start((range.start * self.width * 4) as u64))?;
        let mut bytes = vec![0; 4 * values.len()];
        file.read_exact(&mut bytes)?;
        let words = bytes.as_chunks::<4>().0;
        values.iter_mut().zip(words).for_each(|(value, word)| *value = f32::from_le_bytes(*word));
        Ok(())
    }
}
