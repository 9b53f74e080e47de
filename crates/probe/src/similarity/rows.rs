//! Unit vectors that are read block by block, and the tiles of their cosines.

use std::io;
use std::ops::Range;

use engine::matmul::{Mat, MatMut, Precision, Product, matmul};
use engine::pool::Buffer;

use crate::matrix::Matrix;

/// Most rows in a block: 16 MiB of cosines in a tile.
pub(super) const BLOCK: usize = 2048;
/// Most values in a block, so that wide rows such as raw pixels do not fill the memory.
const BLOCK_VALUES: usize = 1 << 25;

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

/// Rows in a block of rows of this width. It does not depend on the number of rows: a cosine's bits may depend on
/// the size of a product, and must not depend on the size of the set.
pub(super) fn block_of(width: usize) -> usize {
    let fitting = BLOCK_VALUES / width.max(1) / HEIGHT * HEIGHT;
    fitting.clamp(HEIGHT, BLOCK)
}

/// Blocks of rows: ranges of at most `block`.
pub(super) fn blocks(rows: usize, block: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(block).map(move |start| start..(start + block).min(rows))
}

/// Rows of the left block are a multiple of this, so that few queries are cheap.
const HEIGHT: usize = 64;

/// Two blocks of rows and their cosines. Blocks are padded with zeros to the same size.
pub(super) struct Tiles {
    left: Buffer,    // [height, width]
    right: Buffer,   // [block, width]
    cosines: Buffer, // [height, block]
    width: usize,
}

impl Tiles {
    /// For left blocks of at most `most` rows.
    pub(super) fn new(width: usize, most: usize) -> Self {
        let block = block_of(width);
        let height = most.next_multiple_of(HEIGHT).clamp(HEIGHT, block);
        let [left, right] = [height, block].map(|rows| Buffer::take(rows * width));
        Self { left, right, cosines: Buffer::take(height * block), width }
    }

    /// The left block of the next tiles.
    pub(super) fn read_left(&mut self, rows: &dyn Rows, range: Range<usize>) -> io::Result<()> {
        read_padded(rows, range, &mut self.left)
    }

    /// The right block of the next tiles.
    pub(super) fn read_right(&mut self, rows: &dyn Rows, range: Range<usize>) -> io::Result<()> {
        read_padded(rows, range, &mut self.right)
    }

    /// The left block, `[height, width]`.
    pub(super) fn left(&self) -> &[f32] {
        &self.left
    }

    /// The right block, `[block, width]`.
    pub(super) fn right(&self) -> &[f32] {
        &self.right
    }

    /// The cosines of both blocks, `[height, block]`: 0 for rows that are padding.
    pub(super) fn cosines(&self) -> &[f32] {
        &self.cosines
    }

    /// Multiplies both blocks in this precision.
    pub(super) fn multiply(&mut self, precision: Precision) -> &[f32] {
        let block = block_of(self.width);
        let height = self.cosines.len() / block;
        let to = MatMut::new(&mut self.cosines, height, block);
        let right = Mat::new(&self.right, block, self.width).t();
        let product = Product::ALL.in_precision(precision);
        matmul(to, Mat::new(&self.left, height, self.width), right, product);
        &self.cosines
    }
}

fn read_padded(rows: &dyn Rows, range: Range<usize>, block: &mut [f32]) -> io::Result<()> {
    let values = range.len() * rows.width();
    rows.read(range, &mut block[..values])?;
    block[values..].fill(0.0);
    Ok(())
}
