//! A `Matrix` holds rows of equal width: features of images, vectors of a head. It is in memory, or in a temporary file
//! if it is too large.

use std::ops::{Deref, DerefMut};

use crate::error::{Error, Result};

/// Where the values of a matrix are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory.
    #[default]
    Memory,
    /// In a temporary file: slower where it is larger than the memory that is free ([`on_disk::Values`]).
    Disk {
        /// Bytes of memory into which rows are copied that are not read in the order in which they lie.
        buffer: usize,
    },
}

/// Rows of equal width, `[rows, width]`.
#[derive(Debug, Default, PartialEq)]
pub struct Matrix {
    /// All values, row-major.
    pub values: Values,
    /// Values in a row.
    pub width: usize,
}

/// Values in memory or on disk. Both are used as a slice.
#[derive(Debug)]
pub enum Values {
    /// In memory.
    Memory(Vec<f32>),
    /// In a temporary file.
    Disk {
        /// The values.
        values: on_disk::Values,
        /// See [`Storage::Disk`].
        buffer: usize,
    },
}

impl Matrix {
    /// A matrix in memory.
    pub fn new(values: Vec<f32>, width: usize) -> Self {
        Self { values: Values::Memory(values), width }
    }

    /// An empty matrix with memory for `rows` rows. Without it, a matrix that grows is in memory twice
    /// while it moves.
    pub fn with_capacity(rows: usize, width: usize) -> Self {
        Self::new(Vec::with_capacity(rows * width), width)
    }

    /// An empty matrix with room for `rows` rows. On disk, there is no room for more.
    ///
    /// # Errors
    /// [`Error::Storage`]: the disk is too full, or the folder for temporary files cannot be written.
    pub fn stored(storage: Storage, rows: usize, width: usize) -> Result<Self> {
        match storage {
            Storage::Memory => Ok(Self::with_capacity(rows, width)),
            Storage::Disk { buffer } => {
                let values = on_disk::Values::with_capacity(rows * width);
                let values = values.map_err(Error::storage)?;
                Ok(Self { values: Values::Disk { values, buffer }, width })
            }
        }
    }

    /// Where the values are.
    pub fn storage(&self) -> Storage {
        match self.values {
            Values::Memory(_) => Storage::Memory,
            Values::Disk { buffer, .. } => Storage::Disk { buffer },
        }
    }

    /// Some of the rows in this order, stored as this matrix is.
    ///
    /// # Errors
    /// As [`stored`](Self::stored).
    ///
    /// # Panics
    /// If there is no such row.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let mut selected = Self::stored(self.storage(), rows.len(), self.width)?;
        rows.iter().for_each(|&row| selected.push(self.row(row), self.width));
        selected.sync()?;
        Ok(selected)
    }

    /// The same rows again, stored as this matrix is.
    ///
    /// # Errors
    /// As [`stored`](Self::stored).
    pub fn try_clone(&self) -> Result<Self> {
        let mut copy = Self::stored(self.storage(), self.len(), self.width)?;
        copy.push(&self.values, self.width);
        copy.sync()?;
        Ok(copy)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..][..self.width]
    }

    /// Appends `rows`, `[any, width]`. The first rows set the width.
    ///
    /// # Panics
    /// If later rows have another width; if they have no room on disk.
    pub fn push(&mut self, rows: &[f32], width: usize) {
        assert!(self.is_empty() || self.width == width, "rows of {} and of {width}", self.width);
        self.width = width;
        match &mut self.values {
            Values::Memory(values) => values.extend_from_slice(rows),
            Values::Disk { values, .. } => values.extend_from_slice(rows),
        }
    }

    /// Appends the rows of another matrix; on disk, it makes room for them.
    ///
    /// # Errors
    /// As [`stored`](Self::stored).
    ///
    /// # Panics
    /// If they have another width.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        let values = self.values.len() + other.values.len();
        let is_full = self.values.capacity() < values;
        if is_full && let Storage::Disk { .. } = self.storage() {
            let mut larger = Self::stored(self.storage(), self.len() + other.len(), self.width)?;
            larger.push(&self.values, self.width);
            *self = larger;
        }
        self.push(&other.values, other.width);
        self.sync()
    }

    /// Makes sure that rows on disk are written. To be called once they are complete.
    ///
    /// # Errors
    /// [`Error::Storage`]: the disk does not take them.
    pub fn sync(&self) -> Result<()> {
        match &self.values {
            Values::Memory(_) => Ok(()),
            Values::Disk { values, .. } => values.sync().map_err(Error::storage),
        }
    }

    /// Removes all rows, and keeps their room.
    pub fn clear(&mut self) {
        match &mut self.values {
            Values::Memory(values) => values.clear(),
            Values::Disk { values, .. } => values.clear(),
        }
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Scales every row to unit length; norms are summed in f64. A row of zeros stays.
    pub fn normalize(&mut self) {
        normalize(&mut self.values, self.width);
    }
}

/// Scales rows of `width` values to unit length; see [`Matrix::normalize`].
pub(crate) fn normalize(values: &mut [f32], width: usize) {
    for row in values.chunks_exact_mut(width.max(1)) {
        let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let scale = 1.0 / norm.max(1e-12);
        row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
    }
}

impl Values {
    /// Values that there is room for, or that a vector in memory can take before it grows.
    pub fn capacity(&self) -> usize {
        match self {
            Self::Memory(values) => values.capacity(),
            Self::Disk { values, .. } => values.capacity(),
        }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Deref for Values {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Memory(values) => values,
            Self::Disk { values, .. } => values,
        }
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Memory(values) => values,
            Self::Disk { values, .. } => values,
        }
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Storage = Storage::Disk { buffer: 0 };

    #[test]
    fn a_matrix_on_disk_is_as_one_in_memory() {
        let build = |storage| {
            let mut matrix = Matrix::stored(storage, 4, 2).unwrap();
            matrix.push(&[3.0, 4.0, 0.0, 0.0], 2);
            matrix.push(&[0.0, -2.0], 2);
            matrix.normalize();
            matrix
        };
        let (memory, disk) = (build(Storage::Memory), build(DISK));
        assert_eq!(memory, disk);
        assert_eq!(disk.values[..], [0.6, 0.8, 0.0, 0.0, 0.0, -1.0]);
        let chosen = disk.select(&[2, 0]).unwrap();
        assert_eq!((chosen.storage(), &chosen.values[..]), (DISK, &[0.0, -1.0, 0.6, 0.8][..]));
        let mut both = chosen.try_clone().unwrap();
        both.append(&memory).unwrap();
        assert_eq!((both.storage(), both.len()), (DISK, 5));
        assert_eq!(both.values[..4], chosen.values[..]);
        assert_eq!(both.values[4..], memory.values[..]);
        let copy = disk.try_clone().unwrap();
        assert_eq!((copy.storage(), copy.len(), &copy), (DISK, 3, &disk));
    }
}
