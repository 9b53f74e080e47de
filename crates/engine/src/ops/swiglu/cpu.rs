//! SwiGLU on the CPU, some rows at a time.

use rayon::prelude::*;

use crate::ops::cast::cpu::unpack;
use crate::rows::{BLOCK, for_each_block};
use crate::simd::logistic;
use crate::tensor::Tensor;
use dispatch::kernel;

pub(super) fn infer(x: &Tensor) -> Tensor {
    let (rows, h) = (x.rows(), x.width() / 2);
    let mut y = Tensor::uninit(&[rows, h]);
    let x = x.host();
    for_each_block(y.host_mut(), h, |first, block| {
        let x = x[first * 2 * h..].chunks_exact((2 * h).max(1));
        for (y, x) in block.chunks_exact_mut(h.max(1)).zip(x) {
            let (a, b) = x.split_at(h);
            gate(a, b, y);
        }
    });
    y
}

/// `y`, and `dx` in the memory of `x` if that is f32.
pub(super) fn recompute_and_backward(x: Tensor, dy: &Tensor) -> (Tensor, Tensor) {
    let h = dy.width();
    let (mut dx, packed) = unpack(x);
    let mut y = Tensor::uninit(&[dy.rows(), h]);
    let block = (BLOCK * h).max(1);
    let outputs = dx.host_mut().par_chunks_mut(2 * block).zip(y.host_mut().par_chunks_mut(block));
    let blocks = outputs.zip(dy.host().par_chunks(block));
    blocks.enumerate().with_max_len(1).for_each(|(i, ((x, y), dy))| {
        if let Some(packed) = &packed {
            packed.widen(i * 2 * block, x);
        }
        let rows = y.chunks_exact_mut(h.max(1)).zip(dy.chunks_exact(h.max(1)));
        for (x, (y, dy)) in x.chunks_exact_mut((2 * h).max(1)).zip(rows) {
            let (a, b) = x.split_at_mut(h);
            gate_and_differentiate(a, b, dy, y);
        }
    });
    (y, dx)
}

kernel! {
    /// `y = a σ(a) ⊙ b`.
    fn gate(a: &[f32], b: &[f32], y: &mut [f32]) {
        for (y, (&a, &b)) in y.iter_mut().zip(a.iter().zip(b)) {
            *y = a * logistic(a) * b;
        }
    }
}

kernel! {
    /// `y`, and `a ← da`, `b ← db`.
    fn gate_and_differentiate(a: &mut [f32], b: &mut [f32], dy: &[f32], y: &mut [f32]) {
        let outputs = y.iter_mut().zip(dy);
        for ((a, b), (y, &dy)) in a.iter_mut().zip(b.iter_mut()).zip(outputs) {
            let s = logistic(*a);
            let gated = *a * s;
            *y = gated * *b;
            *a = dy * *b * gated.mul_add(1.0 - s, s);
            *b = dy * gated;
        }
    }
}
