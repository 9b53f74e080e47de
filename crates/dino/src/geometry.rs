//! Measures of a set of vectors: how many dimensions they fill, and how many are not near-duplicates.
//!
//! Training uses them for its diagnostics, analysis for a whole data set.

pub mod spectrum;
pub mod unique;

use engine::Tensor;

/// A row-major matrix. Each row is the vector of one image, crop or prototype.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// The values, `[rows, width]`.
    pub values: Vec<f32>,
    /// Length of a row.
    pub width: usize,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Appends the first `count` rows of a tensor.
    pub(crate) fn extend(&mut self, tensor: &Tensor, count: usize) {
        self.width = tensor.width();
        self.values.extend_from_slice(&tensor[..count * tensor.width()]);
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }
}
