//! `Product` says how a matmul is computed and what happens to the old contents of the destination.

/// What happens to the old contents of the destination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Write<'a> {
    /// `dst = scale · A B`. The old contents are not read and may be NaN.
    Over,
    /// `dst = scale · A B + bias`, with a bias `[n]` added to every row. The old contents are not read.
    OverBias(&'a [f32]),
    /// `dst += scale · A B`.
    Add,
}

/// Which threads compute a matmul.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread: for matmuls inside a parallel loop.
    One,
    /// All threads of the current rayon pool.
    All,
}

/// The precision that operands are rounded to. Sums are f32 in both cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32, 24 significant bits: operands are not rounded.
    #[default]
    F32,
    /// bf16, 8 significant bits with the range of f32: rounded to nearest, ties to even.
    Bf16,
}

/// How a matmul is computed: `dst = scale · A B` and what [`Write`] adds.
///
/// ```
/// use matmul::{Precision, Product};
///
/// let product = Product::ALL.in_precision(Precision::Bf16).times(0.125).added();
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Product<'a> {
    /// What happens to the old contents of the destination.
    pub write: Write<'a>,
    /// Multiplies the sums, not the bias or the old contents.
    pub scale: f32,
    /// Precision of the operands.
    pub precision: Precision,
    /// Which threads compute.
    pub threads: Threads,
}

impl<'a> Product<'a> {
    /// `dst = A B` in f32 on the calling thread.
    pub const ONE: Self =
        Self { write: Write::Over, scale: 1.0, precision: Precision::F32, threads: Threads::One };
    /// `dst = A B` in f32 on all threads.
    pub const ALL: Self = Self { threads: Threads::All, ..Self::ONE };

    /// The same with operands of this precision.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same with this scale.
    pub fn times(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// The same, added to the old contents of the destination.
    pub fn added(self) -> Self {
        Self { write: Write::Add, ..self }
    }

    /// The same, with a bias `[n]` added to every row.
    pub fn with_bias(self, bias: &'a [f32]) -> Self {
        Self { write: Write::OverBias(bias), ..self }
    }
}
