//! A `Matrix` holds rows of equal width in host memory: features of images, vectors of a head.

/// Rows of equal width, `[rows, width]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// All values, row-major.
    pub values: Vec<f32>,
    /// Values in a row.
    pub width: usize,
}

impl Matrix {
    /// An empty matrix with memory for `rows` rows. Without it, a matrix that grows is in memory twice
    /// while it moves.
    pub fn with_capacity(rows: usize, width: usize) -> Self {
        Self { values: Vec::with_capacity(rows * width), width }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Appends `rows`, `[any, width]`. The first rows set the width.
    ///
    /// # Panics
    /// If later rows have another width.
    pub fn push(&mut self, rows: &[f32], width: usize) {
        assert!(self.is_empty() || self.width == width, "rows of {} and of {width}", self.width);
        self.width = width;
        self.values.extend_from_slice(rows);
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Scales every row to unit length; norms are summed in f64. A row of zeros stays.
    pub fn normalize(&mut self) {
        for row in self.values.chunks_exact_mut(self.width.max(1)) {
            let norm = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            let scale = 1.0 / norm.max(1e-12);
            row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
    }
}
