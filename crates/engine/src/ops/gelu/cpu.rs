//! GELU on the CPU.

use rayon::prelude::*;

use super::{Form, Saved};
use crate::ops::cast::cpu::unpack;
use crate::rows::{BLOCK, for_each_block};
use crate::simd::{logistic, normal};
use crate::tensor::Tensor;
use dispatch::kernel;

pub(super) fn infer(x: &Tensor, form: Form) -> Tensor {
    let mut y = Tensor::uninit(x.shape());
    let (width, x) = (x.width(), x.host());
    for_each_block(
        y.host_mut(),
        width,
        #[inline(always)]
        |first, block| {
            form.activate(&x[first * width..][..block.len()], block);
        },
    );
    y
}

/// `y`, in the memory of `x` if that is f32.
pub(super) fn recompute_and_backward(saved: Saved, dy: &mut Tensor) -> Tensor {
    let Saved { x, form } = saved;
    let (mut y, packed) = unpack(x);
    let block = (BLOCK * y.width()).max(1);
    let pairs = y.host_mut().par_chunks_mut(block).zip(dy.host_mut().par_chunks_mut(block));
    pairs.enumerate().with_max_len(1).for_each(|(i, (y, dy))| {
        if let Some(packed) = &packed {
            packed.widen(i * block, y);
        }
        form.activate_and_differentiate(y, dy);
    });
    y
}

impl Form {
    /// `y`.
    pub(in crate::ops) fn activate(self, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Exact => exact(x, y),
            Self::Tanh => tanh(x, y),
        }
    }

    /// Both at once: `x ← y`, `dy ← dx`.
    pub(in crate::ops) fn activate_and_differentiate(self, x: &mut [f32], dy: &mut [f32]) {
        match self {
            Self::Exact => exact_and_slope(x, dy),
            Self::Tanh => tanh_and_slope(x, dy),
        }
    }
}

kernel! {
    /// `y = x Φ(x)`.
    fn exact(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * normal(x).0;
        }
    }
}

kernel! {
    /// `x ← y`, `dy ← dx`.
    fn exact_and_slope(x: &mut [f32], dy: &mut [f32]) {
        for (x, dy) in x.iter_mut().zip(dy.iter_mut()) {
            let (cdf, pdf) = normal(*x);
            *dy *= x.mul_add(pdf, cdf);
            *x *= cdf;
        }
    }
}

/// √(2/π), and that times 0.044715.
const LINEAR: f32 = 0.797_884_6;
const CUBIC: f32 = 0.035_677_407;

kernel! {
    /// `y = x σ(2u)`.
    fn tanh(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            let u = x * (x * x).mul_add(CUBIC, LINEAR);
            *y = x * logistic(2.0 * u);
        }
    }
}

kernel! {
    /// `x ← y`, `dy ← dx`.
    fn tanh_and_slope(x: &mut [f32], dy: &mut [f32]) {
        for (x, dy) in x.iter_mut().zip(dy.iter_mut()) {
            let square = *x * *x;
            let u = *x * square.mul_add(CUBIC, LINEAR);
            let s = logistic(2.0 * u);
            let slope_of_u = square.mul_add(3.0 * CUBIC, LINEAR);
            *dy *= (2.0 * *x * s * (1.0 - s)).mul_add(slope_of_u, s);
            *x *= s;
        }
    }
}
