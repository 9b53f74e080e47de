//! The layout of the token matrix: which of its rows form a sequence.
//!
//! The tokens of all crops of a step lie in one matrix, sequence after sequence. Sequences of equal
//! length form a group. Only attention, and operations that move whole sequences, read the layout;
//! everything else works on rows.

use std::sync::Arc;

/// The rows of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first row.
    pub first: usize,
    /// Number of rows.
    pub rows: usize,
}

/// Sequences of rows, ascending, not overlapping. A clone shares the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    spans: Arc<[Span]>,
}

impl FromIterator<Span> for Layout {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        Self { spans: spans.into_iter().collect() }
    }
}

impl Layout {
    /// Groups of `(sequences, tokens in each)`, packed one after the other.
    pub fn packed(groups: &[(usize, usize)]) -> Self {
        let lengths = groups.iter().flat_map(|&(count, tokens)| std::iter::repeat_n(tokens, count));
        Self::end_to_end(lengths)
    }

    /// Sequences of these lengths without a gap.
    fn end_to_end(lengths: impl Iterator<Item = usize>) -> Self {
        let mut first = 0;
        let span = |rows| {
            let span = Span { first, rows };
            first += rows;
            span
        };
        lengths.map(span).collect()
    }

    /// Single rows of a matrix, ascending, each a sequence of its own.
    pub fn of_rows(rows: impl IntoIterator<Item = usize>) -> Self {
        rows.into_iter().map(|first| Span { first, rows: 1 }).collect()
    }

    /// The sequences for which `keep` is true, in the same matrix.
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = self.spans.iter().enumerate().filter(|(i, _)| keep(*i));
        kept.map(|(_, &span)| span).collect()
    }

    /// The first row of each sequence, its \[CLS\] token, in the same matrix.
    pub fn cls(&self) -> Self {
        self.truncated(|_| 1)
    }

    /// The first `rows(span)` rows of each sequence, in the same matrix.
    pub fn truncated(&self, rows: impl Fn(Span) -> usize) -> Self {
        self.spans.iter().map(|&span| Span { first: span.first, rows: rows(span) }).collect()
    }

    /// The same sequences once [`gather`](crate::ops::tokens::gather) has moved them together.
    pub fn compact(&self) -> Self {
        Self::end_to_end(self.spans.iter().map(|span| span.rows))
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Number of rows of all sequences.
    pub fn rows(&self) -> usize {
        self.spans.iter().map(|span| span.rows).sum()
    }

    /// The rows of each sequence.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The rows of each sequence as disjoint slices of a matrix in host memory.
    ///
    /// # Panics
    /// If the matrix ends before the last sequence.
    pub(crate) fn split_mut<'a>(
        &self,
        mut matrix: &'a mut [f32],
        width: usize,
    ) -> Vec<&'a mut [f32]> {
        let mut at = 0;
        let mut pieces = Vec::with_capacity(self.spans.len());
        for &Span { first, rows } in &*self.spans {
            let (piece, rest) = matrix[(first - at) * width..].split_at_mut(rows * width);
            pieces.push(piece);
            matrix = rest;
            at = first + rows;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(layout: &Layout) -> Vec<(usize, usize)> {
        layout.spans().iter().map(|span| (span.first, span.rows)).collect()
    }

    #[test]
    fn packed_sequences_follow_each_other() {
        let layout = Layout::packed(&[(2, 3), (0, 9), (1, 2)]);
        assert_eq!(pairs(&layout), [(0, 3), (3, 3), (6, 2)]);
        assert_eq!((layout.len(), layout.rows()), (3, 8));
        assert_eq!(pairs(&layout.cls()), [(0, 1), (3, 1), (6, 1)]);
        let kept = layout.filter(|i| i != 1);
        assert_eq!(pairs(&kept), [(0, 3), (6, 2)]);
        assert_eq!(pairs(&kept.compact()), [(0, 3), (3, 2)]);
        assert!(layout.filter(|_| false).is_empty());
    }
}
