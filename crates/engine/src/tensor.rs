//! A dense, row-major tensor of f32 in pooled memory.

use std::ops::{Deref, DerefMut};

use crate::pool::Buffer;

/// A dense, row-major tensor of f32. Dereferences to its numbers.
#[derive(Debug, Clone)]
pub struct Tensor {
    shape: Vec<usize>,
    buffer: Buffer,
}

impl Tensor {
    /// A tensor whose numbers are unspecified (NaN in debug builds): the caller writes all of them.
    pub fn uninit(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), buffer: Buffer::take(shape.iter().product()) }
    }

    /// A tensor of zeros.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), buffer: Buffer::zeros(shape.iter().product()) }
    }

    /// A tensor with these numbers, in row-major order.
    ///
    /// # Panics
    /// If there are not as many numbers as the shape has.
    pub fn from_slice(shape: &[usize], values: &[f32]) -> Self {
        let mut tensor = Self::uninit(shape);
        assert_eq!(tensor.len(), values.len(), "shape {shape:?} and number of values differ");
        tensor.copy_from_slice(values);
        tensor
    }

    /// Its extents.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of rows where all but the last extent count as rows.
    pub fn rows(&self) -> usize {
        self.len().checked_div(self.width()).unwrap_or(0)
    }

    /// The last extent.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

impl Deref for Tensor {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.buffer
    }
}

impl DerefMut for Tensor {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer
    }
}
