//! Unit vectors that are read block by block, and the tiles of their cosines.

use std::io;
use std::ops::Range;

use engine::matmul::{Mat, MatMut, Product, matmul};
use engine::pool::Buffer;

use crate::matrix::Matrix;

/// Rows in a block: 16 MiB of cosines in a tile.
pub(super) const BLOCK: usize = 2048;

/// Unit vectors somewhere, `[rows, width]`.
pub trait Rows {
    /// Number of rows.
    fn len(&self) -> usize;

    /// True if there are no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values in a row.
    fn width(&self) -> usize;

    /// Reads these rows into `values`, `[range, width]`.
    ///
    /// # Errors
    /// If a file cannot be read.
    fn read(&self, range: Range<usize>, values: &mut [f32]) -> io::Result<()>;
}

impl Rows for Matrix {
    fn len(&self) -> usize {
        Self::len(self)
    }

    fn width(&self) -> usize {
        self.width
    }

    fn read(&self, range: Range<usize>, values: &mut [f32]) -> io::Result<()> {
        let of_row = |row: usize| row * self.width;
        values.copy_from_slice(&self.values[of_row(range.start)..of_row(range.end)]);
        Ok(())
    }
}

/// Blocks of rows: ranges of at most [`BLOCK`].
pub(super) fn blocks(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(BLOCK).map(move |start| start..(start + BLOCK).min(rows))
}

/// Reads blocks and multiplies them. Blocks are padded with zeros to the same size: a cosine's bits may depend on
/// the size of a product, and must not depend on the size of the set.
pub(super) struct Tiles<'a> {
    left: &'a dyn Rows,
    right: &'a dyn Rows,
    left_block: Buffer,  // [height, width]
    right_block: Buffer, // [BLOCK, width]
    cosines: Buffer,     // [height, BLOCK]
}

/// Rows of the left block are a multiple of this, so that few queries are cheap.
const HEIGHT: usize = 64;

impl<'a> Tiles<'a> {
    /// # Panics
    /// If the two have rows of different widths.
    pub(super) fn new(left: &'a dyn Rows, right: &'a dyn Rows) -> Self {
        assert_eq!(left.width(), right.width(), "widths of rows");
        let height = left.len().next_multiple_of(HEIGHT).clamp(HEIGHT, BLOCK);
        let [left_block, right_block] =
            [height, BLOCK].map(|rows| Buffer::take(rows * left.width()));
        Self { left, right, left_block, right_block, cosines: Buffer::take(height * BLOCK) }
    }

    /// The left block of the next tiles.
    pub(super) fn read_left(&mut self, range: Range<usize>) -> io::Result<()> {
        read_padded(self.left, range, &mut self.left_block)
    }

    /// The cosines of the left block with these rows: a row of [`BLOCK`] values for each left row, those outside 0.
    pub(super) fn multiply(&mut self, range: Range<usize>) -> io::Result<&[f32]> {
        read_padded(self.right, range, &mut self.right_block)?;
        let width = self.left.width();
        let height = self.cosines.len() / BLOCK;
        let to = MatMut::new(&mut self.cosines, height, BLOCK);
        let right = Mat::new(&self.right_block, BLOCK, width);
        matmul(to, Mat::new(&self.left_block, height, width), right.t(), Product::ALL);
        Ok(&self.cosines)
    }
}

fn read_padded(rows: &dyn Rows, range: Range<usize>, block: &mut [f32]) -> io::Result<()> {
    let values = range.len() * rows.width();
    rows.read(range, &mut block[..values])?;
    block[values..].fill(0.0);
    Ok(())
}
