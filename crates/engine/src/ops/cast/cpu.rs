//! Rounding and widening on the CPU, whole or block by block: operations widen what they read while it
//! is in the cache.

use std::ops::{Deref, Range};

use half::bf16;
use pool::Buffer;
use rayon::prelude::*;

use crate::rows::BLOCK;
use crate::tensor::{Dtype, Tensor};
use dispatch::kernel;

/// A bf16 copy of an f32 tensor.
pub fn rounded(x: &Tensor) -> Tensor {
    let mut y = Tensor::uninit_of(x.shape(), Dtype::Bf16);
    let block = (BLOCK * x.width()).max(1);
    let blocks = y.host_bf16_mut().par_chunks_mut(block).zip(x.host().par_chunks(block));
    blocks.with_max_len(1).for_each(|(to, from)| round(from, to));
    y
}

/// An f32 copy of a bf16 tensor.
pub fn widened(x: &Tensor) -> Tensor {
    let mut y = Tensor::uninit(x.shape());
    let block = (BLOCK * x.width()).max(1);
    let blocks = y.host_mut().par_chunks_mut(block).zip(x.host_bf16().par_chunks(block));
    blocks.with_max_len(1).for_each(|(to, from)| widen(from, to));
    y
}

/// Values of a tensor as f32.
pub enum Values<'a> {
    /// Those of an f32 tensor, where they lie.
    Borrowed(&'a [f32]),
    /// Those of a bf16 tensor, widened.
    Widened(Buffer),
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Borrowed(values) => values,
            Self::Widened(values) => values,
        }
    }
}

/// Some values of a tensor as f32.
pub fn read(x: &Tensor, range: Range<usize>) -> Values<'_> {
    match x.dtype() {
        Dtype::F32 => Values::Borrowed(&x.host()[range]),
        Dtype::Bf16 => {
            let mut widened = Buffer::take(range.len());
            widen(&x.host_bf16()[range], &mut widened);
            Values::Widened(widened)
        }
    }
}

/// An f32 tensor to hold the values of `x`. If `x` is f32, that is `x` itself. If `x` is bf16, the
/// tensor is not written yet: [`Packed::widen`] fills it block by block.
pub fn unpack(x: Tensor) -> (Tensor, Option<Packed>) {
    match x.dtype() {
        Dtype::F32 => (x, None),
        Dtype::Bf16 => (Tensor::uninit(x.shape()), Some(Packed(x))),
    }
}

/// A bf16 tensor that is widened block by block.
pub struct Packed(Tensor);

impl Packed {
    /// Fills `to` with the values from `first` on.
    pub fn widen(&self, first: usize, to: &mut [f32]) {
        widen(&self.0.host_bf16()[first..][..to.len()], to);
    }
}

/// Blocks of `len` values of a tensor, to be filled.
pub fn blocks_mut(x: &mut Tensor, len: usize) -> Vec<BlockMut<'_>> {
    match x.dtype() {
        Dtype::F32 => x.host_mut().chunks_mut(len).map(BlockMut::F32).collect(),
        Dtype::Bf16 => x.host_bf16_mut().chunks_mut(len).map(BlockMut::Bf16).collect(),
    }
}

/// A block of a tensor, to be filled.
pub enum BlockMut<'a> {
    /// Of an f32 tensor.
    F32(&'a mut [f32]),
    /// Of a bf16 tensor.
    Bf16(&'a mut [bf16]),
}

impl BlockMut<'_> {
    /// Stores what `compute` writes. `scratch` holds it before it is rounded.
    pub fn fill(self, scratch: &mut [f32], compute: impl FnOnce(&mut [f32])) {
        match self {
            Self::F32(to) => compute(to),
            Self::Bf16(to) => {
                compute(scratch);
                round(scratch, to);
            }
        }
    }
}

kernel! {
    /// To the nearest bf16, ties to even, without a branch.
    fn round(from: &[f32], to: &mut [bf16]) {
        for (to, from) in to.iter_mut().zip(from) {
            let bits = from.to_bits();
            let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
            // Rounding a NaN would make an infinity of some.
            let quiet = bits >> 16 | 0x40;
            *to = bf16::from_bits(if from.is_nan() { quiet } else { nearest } as u16);
        }
    }
}

kernel! {
    /// To f32, exactly.
    fn widen(from: &[bf16], to: &mut [f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f32::from_bits(u32::from(from.to_bits()) << 16);
        }
    }
}
