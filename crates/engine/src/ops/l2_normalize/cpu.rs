//! Normalization of rows on the CPU.

use super::Saved;
use crate::rows::for_each_block;
use crate::simd::dot;
use crate::tensor::Tensor;
use dispatch::kernel;

const EPS: f32 = 1e-12;

pub(super) fn forward(x: Tensor) -> (Tensor, Saved) {
    let d = x.width();
    let mut norms = Tensor::uninit(&[x.rows(), 1]);
    let values = x.host();
    for_each_block(
        norms.host_mut(),
        1,
        #[inline(always)]
        |first, block| {
            measure_rows(&values[first * d..], d, block);
        },
    );
    let mut y = x;
    let scales = norms.host();
    for_each_block(
        y.host_mut(),
        d,
        #[inline(always)]
        |first, block| {
            scale_rows(&scales[first..], d, block);
        },
    );
    (y.clone(), Saved { y, norms })
}

pub(super) fn backward(saved: &Saved, dy: &mut Tensor) {
    let (d, y, norms) = (dy.width(), saved.y.host(), saved.norms.host());
    for_each_block(
        dy.host_mut(),
        d,
        #[inline(always)]
        |first, block| {
            backward_rows(&y[first * d..], &norms[first..], d, block);
        },
    );
}

kernel! {
    fn measure_rows(x: &[f32], d: usize, norms: &mut [f32]) {
        for (x, norm) in x.chunks_exact(d).zip(norms) {
            *norm = dot(x, x).sqrt();
        }
    }
}

kernel! {
    fn scale_rows(norms: &[f32], d: usize, y: &mut [f32]) {
        for (y, norm) in y.chunks_exact_mut(d).zip(norms) {
            let scale = 1.0 / norm.max(EPS);
            y.iter_mut().for_each(|y| *y *= scale);
        }
    }
}

kernel! {
    fn backward_rows(y: &[f32], norms: &[f32], d: usize, dy: &mut [f32]) {
        let rows = dy.chunks_exact_mut(d).zip(y.chunks_exact(d));
        for ((dy, y), &norm) in rows.zip(norms) {
            let along = if norm > EPS { dot(y, dy) } else { 0.0 };
            let scale = 1.0 / norm.max(EPS);
            for j in 0..d {
                dy[j] = (dy[j] - y[j] * along) * scale;
            }
        }
    }
}
