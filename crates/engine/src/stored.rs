//! Activations that wait for the backward pass: whole, or rounded to bf16 in half of the memory.
//!
//! What reads them again rounds its factors to bf16 anyway where products are in bf16, so little is
//! lost by keeping no more than that. Numbers are widened again piece by piece, in the cache.

use std::ops::{Deref, Range};

use half::bf16;

use crate::matmul::Precision;
use crate::pool::Buffer;
use crate::rows::{BLOCK, OneByOne};
use crate::tensor::Tensor;
use dispatch::kernel;
use rayon::prelude::*;

/// A tensor kept for the backward pass.
#[derive(Debug)]
pub enum Stored {
    /// As it was.
    Whole(Tensor),
    /// Rounded to bf16.
    Rounded(Rounded),
}

/// Numbers of bf16.
#[derive(Debug)]
pub struct Rounded {
    shape: Vec<usize>,
    words: Buffer, // two numbers in each
}

impl Stored {
    /// Keeps a tensor as products of this precision read it.
    pub fn new(tensor: Tensor, precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::Whole(tensor),
            Precision::Bf16 => Self::Rounded(Rounded::of(&tensor)),
        }
    }

    /// Room for a tensor, of unspecified numbers.
    pub fn uninit(shape: &[usize], precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::Whole(Tensor::uninit(shape)),
            Precision::Bf16 => Self::Rounded(Rounded::uninit(shape)),
        }
    }

    /// Pieces of so many numbers, to be filled.
    pub fn pieces_mut(&mut self, len: usize) -> Vec<PieceMut<'_>> {
        match self {
            Self::Whole(tensor) => tensor.chunks_mut(len).map(PieceMut::Whole).collect(),
            Self::Rounded(rounded) => {
                rounded.numbers_mut().chunks_mut(len).map(PieceMut::Rounded).collect()
            }
        }
    }

    /// The tensor's extents.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Whole(tensor) => tensor.shape(),
            Self::Rounded(rounded) => &rounded.shape,
        }
    }

    /// Its last extent.
    pub fn width(&self) -> usize {
        self.shape().last().copied().unwrap_or(1)
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory to have the tensor in, which holds it already unless it was rounded; then it is to be
    /// [widened](Rounded::widen) into it piece by piece.
    pub fn unpack(self) -> (Tensor, Option<Rounded>) {
        match self {
            Self::Whole(tensor) => (tensor, None),
            Self::Rounded(rounded) => (Tensor::uninit(&rounded.shape), Some(rounded)),
        }
    }

    /// Some of the numbers.
    pub fn read(&self, range: Range<usize>) -> Numbers<'_> {
        match self {
            Self::Whole(tensor) => Numbers::There(&tensor[range]),
            Self::Rounded(rounded) => {
                let mut widened = Buffer::take(range.len());
                rounded.widen(range.start, &mut widened);
                Numbers::Widened(widened)
            }
        }
    }
}

/// Numbers that were read.
pub enum Numbers<'a> {
    /// From where they are.
    There(&'a [f32]),
    /// In memory of their own, because they were rounded.
    Widened(Buffer),
}

impl Deref for Numbers<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::There(numbers) => numbers,
            Self::Widened(numbers) => numbers,
        }
    }
}

/// Some of the numbers, to be filled.
pub enum PieceMut<'a> {
    /// Without rounding.
    Whole(&'a mut [f32]),
    /// Rounded to bf16.
    Rounded(&'a mut [bf16]),
}

impl PieceMut<'_> {
    /// Keeps what `compute` writes; `scratch` has room for it where it is to be rounded.
    pub fn fill(self, scratch: &mut [f32], compute: impl FnOnce(&mut [f32])) {
        match self {
            Self::Whole(to) => compute(to),
            Self::Rounded(to) => {
                compute(scratch);
                round(scratch, to);
            }
        }
    }
}

impl Rounded {
    fn uninit(shape: &[usize]) -> Self {
        let len: usize = shape.iter().product();
        Self { shape: shape.to_vec(), words: Buffer::take(len.div_ceil(2)) }
    }

    fn of(tensor: &Tensor) -> Self {
        let mut rounded = Self::uninit(tensor.shape());
        let piece = (BLOCK * tensor.width()).max(1);
        let pieces = rounded.numbers_mut().par_chunks_mut(piece);
        pieces.zip(tensor.par_chunks(piece)).one_by_one().for_each(|(to, from)| round(from, to));
        rounded
    }

    fn numbers_mut(&mut self) -> &mut [bf16] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.shape.iter().product()]
    }

    /// As many numbers as `to` has, from `first` on.
    pub fn widen(&self, first: usize, to: &mut [f32]) {
        widen(&self.numbers()[first..first + to.len()], to);
    }

    fn numbers(&self) -> &[bf16] {
        &bytemuck::cast_slice(&self.words)[..self.shape.iter().product()]
    }
}

kernel! {
    /// To the nearest number of bf16, ties to even, without a branch.
    fn round(from: &[f32], to: &mut [bf16]) {
        for (to, from) in to.iter_mut().zip(from) {
            let bits = from.to_bits();
            let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
            // Rounding would make an infinity of some numbers that are none.
            let quiet = bits >> 16 | 0x40;
            *to = bf16::from_bits(if from.is_nan() { quiet } else { nearest } as u16);
        }
    }
}

kernel! {
    /// As f32, exactly.
    fn widen(from: &[bf16], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f32::from_bits(u32::from(from.to_bits()) << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bits, random_tensor};

    #[test]
    fn bf16_rounds_like_its_library_and_f32_not_at_all() {
        let mut tensor = random_tensor(1, &[67, 33]);
        let special = [f32::NAN, f32::INFINITY, -0.0, f32::MAX, 1e-40, 1.003_906_2, 1.011_718_8];
        tensor[..special.len()].copy_from_slice(&special);
        tensor[special.len()] = f32::from_bits(0x7f80_0001); // NaN in its last bit alone
        let expected: Vec<f32> = tensor.iter().map(|&x| bf16::from_f32(x).to_f32()).collect();
        let range = 0..tensor.len();

        let stored = Stored::new(tensor.clone(), Precision::Bf16);
        assert_eq!((stored.shape(), stored.width(), stored.len()), (&[67, 33][..], 33, 67 * 33));
        assert_eq!(bits(&stored.read(range.clone())), bits(&expected));
        assert_eq!(bits(&stored.read(40..77)), bits(&expected[40..77]));

        let whole = Stored::new(tensor.clone(), Precision::F32);
        assert_eq!(bits(&whole.read(range)), bits(&tensor));
    }

    #[test]
    fn pieces_hold_what_the_whole_does() {
        let tensor = random_tensor(2, &[10, 33]);
        for precision in [Precision::F32, Precision::Bf16] {
            let mut by_pieces = Stored::uninit(tensor.shape(), precision);
            let pieces = by_pieces.pieces_mut(4 * 33).into_iter();
            pieces.zip(tensor.chunks(4 * 33)).for_each(|(piece, numbers)| {
                piece.fill(&mut vec![0.0; numbers.len()], |to| to.copy_from_slice(numbers));
            });
            let at_once = Stored::new(tensor.clone(), precision);
            let expected = bits(&at_once.read(0..tensor.len()));
            assert_eq!(bits(&by_pieces.read(0..tensor.len())), expected);

            let (mut unpacked, rounded) = by_pieces.unpack();
            assert_eq!(
                (unpacked.shape(), rounded.is_some()),
                (tensor.shape(), precision == Precision::Bf16)
            );
            if let Some(rounded) = rounded {
                let (head, tail) = unpacked.split_at_mut(77);
                rounded.widen(0, head);
                rounded.widen(77, tail);
            }
            assert_eq!(bits(&unpacked), expected);
        }
    }
}
