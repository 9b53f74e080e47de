//! All parameters of a network in one contiguous buffer, plus a table of names.
//!
//! Gradients, moments and the teacher are further buffers of the same layout, so clipping, AdamW,
//! the teacher's update, all-reduce and checkpoints are passes over contiguous memory.

use std::sync::Arc;

use crate::pool::Buffer;

/// Where a tensor lies in the buffer: what a layer holds in place of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    start: usize,
    len: usize,
}

impl Range {
    /// The position as a range of numbers.
    pub fn numbers(self) -> std::ops::Range<usize> {
        self.start..self.start + self.len
    }
}

/// One tensor of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// PyTorch's name, `backbone.blocks.0.attn.qkv.weight`.
    pub name: String,
    /// Extents, row-major.
    pub shape: Vec<usize>,
    /// Where it lies.
    pub range: Range,
}

/// Names, shapes and places, in the order in which PyTorch lists the parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamTable {
    entries: Vec<Entry>,
    len: usize,
}

impl ParamTable {
    /// Appends a tensor and returns its place.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn add(&mut self, name: impl Into<String>, shape: &[usize]) -> Range {
        let name = name.into();
        assert!(self.find(&name).is_none(), "parameter `{name}` is there twice");
        let range = Range { start: self.len, len: shape.iter().product() };
        self.len += range.len;
        self.entries.push(Entry { name, shape: shape.to_vec(), range });
        range
    }

    /// All tensors, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tensor of this name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// One buffer in the layout of a table: weights, gradients, a moment or the teacher.
#[derive(Debug, Clone)]
pub struct Params {
    table: Arc<ParamTable>,
    numbers: Buffer,
}

impl Params {
    /// All zero.
    pub fn zeros(table: Arc<ParamTable>) -> Self {
        Self { numbers: Buffer::zeros(table.len()), table }
    }

    /// The layout.
    pub fn table(&self) -> &Arc<ParamTable> {
        &self.table
    }

    /// The numbers of one tensor.
    pub fn get(&self, range: Range) -> &[f32] {
        &self.numbers[range.numbers()]
    }

    /// The numbers of one tensor, to change.
    pub fn get_mut(&mut self, range: Range) -> &mut [f32] {
        &mut self.numbers[range.numbers()]
    }

    /// Two tensors to change at once.
    ///
    /// # Panics
    /// If they overlap or `a` does not lie before `b`.
    pub fn pair_mut(&mut self, a: Range, b: Range) -> (&mut [f32], &mut [f32]) {
        let (head, tail) = self.numbers.split_at_mut(b.start);
        (&mut head[a.numbers()], &mut tail[..b.len])
    }

    /// The whole buffer.
    pub fn all(&self) -> &[f32] {
        &self.numbers
    }

    /// The whole buffer, to change.
    pub fn all_mut(&mut self) -> &mut [f32] {
        &mut self.numbers
    }
}
