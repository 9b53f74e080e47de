//! Which rows of the packed token matrix belong together, and the copying of such rows.
//!
//! The tokens of all crops of a step lie in one matrix of rows: sequence after sequence, where
//! sequences of equal length form a group. Everything but attention works on rows and never asks.

use rayon::prelude::*;

use crate::profile;
use crate::rows::OneByOne;
use crate::tensor::Tensor;

/// Sequences of rows: `(first row, number of rows)` each, ascending, not overlapping.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sequences {
    spans: Vec<(usize, usize)>,
}

impl Sequences {
    /// Groups of `(sequences, tokens in each)`, packed one after the other.
    pub fn packed(groups: &[(usize, usize)]) -> Self {
        let mut spans = Vec::new();
        let mut first = 0;
        for &(count, tokens) in groups {
            for _ in 0..count {
                spans.push((first, tokens));
                first += tokens;
            }
        }
        Self { spans }
    }

    /// The sequences for which `keep` says yes, in the same matrix.
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = self.spans.iter().enumerate().filter(|(i, _)| keep(*i));
        Self { spans: kept.map(|(_, &span)| span).collect() }
    }

    /// The first row of each sequence, its \[CLS\] token, in the same matrix.
    pub fn cls(&self) -> Self {
        self.shortened(|_, _| 1)
    }

    /// The first rows of each sequence, in the same matrix: as many as `rows(first, rows)` says.
    pub fn shortened(&self, rows: impl Fn(usize, usize) -> usize) -> Self {
        Self { spans: self.spans.iter().map(|&(first, all)| (first, rows(first, all))).collect() }
    }

    /// Single rows of a matrix, ascending: each a sequence of its own.
    pub fn of_rows(rows: impl IntoIterator<Item = usize>) -> Self {
        Self { spans: rows.into_iter().map(|row| (row, 1)).collect() }
    }

    /// The same sequences once [`gather`] has moved them together.
    pub fn compact(&self) -> Self {
        let mut next = 0;
        let mut spans = self.spans.clone();
        for (first, tokens) in &mut spans {
            *first = next;
            next += *tokens;
        }
        Self { spans }
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Number of rows of all sequences.
    pub fn rows(&self) -> usize {
        self.spans.iter().map(|span| span.1).sum()
    }

    /// `(first row, number of rows)` of each sequence.
    pub fn spans(&self) -> &[(usize, usize)] {
        &self.spans
    }

    /// The rows of every sequence as slices of a matrix that is to be written.
    ///
    /// # Panics
    /// If the matrix ends before the last sequence.
    pub fn split_mut<'a>(&self, mut matrix: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        let mut at = 0;
        let mut pieces = Vec::with_capacity(self.spans.len());
        for &(first, tokens) in &self.spans {
            let (piece, rest) = matrix[(first - at) * width..].split_at_mut(tokens * width);
            pieces.push(piece);
            matrix = rest;
            at = first + tokens;
        }
        pieces
    }
}

/// The rows of the sequences, moved together: `[sequences.rows(), width]`.
pub fn gather(matrix: &Tensor, sequences: &Sequences) -> Tensor {
    let _timer = profile::time("gather rows", 0, 2 * sequences.rows() * matrix.width());
    let width = matrix.width();
    let mut out = Tensor::uninit(&[sequences.rows(), width]);
    let pieces = sequences.compact().split_mut(&mut out, width);
    pieces.into_par_iter().zip(&sequences.spans).one_by_one().for_each(|(piece, &(first, _))| {
        piece.copy_from_slice(&matrix[first * width..][..piece.len()]);
    });
    out
}

/// Adds compact rows back to where [`gather`] took them: its transpose, and so its backward.
pub fn scatter_add(compact: &Tensor, sequences: &Sequences, matrix: &mut Tensor) {
    let _timer = profile::time("scatter rows", 0, 3 * compact.len());
    let width = matrix.width();
    assert_eq!(compact.shape(), [sequences.rows(), width], "rows to scatter");
    let sources = sequences.compact();
    let pieces = sequences.split_mut(matrix, width);
    pieces.into_par_iter().zip(&sources.spans).one_by_one().for_each(|(piece, &(first, _))| {
        let source = &compact[first * width..][..piece.len()];
        piece.iter_mut().zip(source).for_each(|(to, from)| *to += from);
    });
}

#[cfg(test)]
mod tests;
