//! GELU on the CPU.

use rayon::prelude::*;

use crate::ops::cast::cpu::unpack;
use crate::rows::{BLOCK, for_each_block};
use crate::simd::normal;
use crate::tensor::Tensor;
use dispatch::kernel;

pub(super) fn infer(x: &Tensor) -> Tensor {
    let mut y = Tensor::uninit(x.shape());
    let (width, x) = (x.width(), x.host());
    for_each_block(
        y.host_mut(),
        width,
        #[inline(always)]
        |first, block| {
            activate(&x[first * width..][..block.len()], block);
        },
    );
    y
}

/// `y`, in the memory of `x` if that is f32.
pub(super) fn recompute_and_backward(x: Tensor, dy: &mut Tensor) -> Tensor {
    let (mut y, packed) = unpack(x);
    let block = (BLOCK * y.width()).max(1);
    let pairs = y.host_mut().par_chunks_mut(block).zip(dy.host_mut().par_chunks_mut(block));
    pairs.enumerate().with_max_len(1).for_each(|(i, (y, dy))| {
        if let Some(packed) = &packed {
            packed.widen(i * block, y);
        }
        activate_and_differentiate(y, dy);
    });
    y
}

kernel! {
    /// `y = x Φ(x)`.
    pub(in crate::ops) fn activate(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * normal(x).0;
        }
    }
}

kernel! {
    /// Both at once: `x ← y`, `dy ← dx`.
    pub(in crate::ops) fn activate_and_differentiate(x: &mut [f32], dy: &mut [f32]) {
        for (x, dy) in x.iter_mut().zip(dy.iter_mut()) {
            let (cdf, pdf) = normal(*x);
            *dy *= x.mul_add(pdf, cdf);
            *x *= cdf;
        }
    }
}
