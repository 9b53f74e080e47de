//! The objective on the CPU, tile by tile of prototypes.

mod backward;
mod forward;
pub(super) mod sinkhorn;
mod tile;

use matmul::{Mat, MatMut, Product, matmul};

pub(super) use backward::Backward;
pub(super) use forward::forward;

use super::Pairs;
use crate::simd::dot;
use crate::tensor::Tensor;

/// [`Prototypes`](super::Prototypes) in host memory.
#[derive(Clone, Copy)]
pub(super) struct Prototypes<'a> {
    g: &'a [f32],
    v: &'a [f32],
    bias: &'a [f32],
    temperature: f32,
}

impl<'a> Prototypes<'a> {
    pub(super) fn new(from: &super::Prototypes<'a>, g: &'a [f32], v: &'a [f32]) -> Self {
        Self { g, v, bias: from.bias, temperature: from.temperature }
    }
}

/// [`Inputs`](super::Inputs) in host memory.
pub(super) struct Inputs<'a> {
    pub(super) student_y: &'a Tensor,
    pub(super) student: Prototypes<'a>,
    pub(super) teacher_y: &'a Tensor,
    pub(super) teacher: Prototypes<'a>,
    pub(super) center: &'a [f32],
    pub(super) pairs: Pairs<'a>,
}

pub(super) fn scores(y: &Tensor, g: &[f32], v: &[f32]) -> Tensor {
    let (rows, r, k) = (y.rows(), y.width(), g.len());
    let mut scores = Tensor::uninit(&[rows, k]);
    let to = MatMut::new(scores.host_mut(), rows, k);
    matmul(to, Mat::new(y.host(), rows, r), Mat::new(v, k, r).t(), Product::ALL);
    for row in scores.host_mut().chunks_exact_mut(k) {
        for ((l, g), v) in row.iter_mut().zip(g).zip(v.chunks_exact(r)) {
            *l *= g / dot(v, v).sqrt();
        }
    }
    scores
}
